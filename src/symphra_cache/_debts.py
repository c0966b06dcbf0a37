"""What a backend is owed after an outage, namespace by namespace. No I/O here.

A write or a removal that failed may or may not have been applied, and an older value may stand
in its place. So it is a *debt*: until the backend has acknowledged a removal of whatever stands
there, the key reads as absent. What keeps a removal from taking away a value that was written
after it was owed:

- whoever removes *claims* the debts first, so that no two do it at once;
- a claim leaves out the keys that are being written; a write that was acknowledged discharges
  its key, unless another failed meanwhile;
- a write that finds a claim under way on its key is done once more when that is through;
- only a debt as old as its claim is discharged by it: a write that fails meanwhile leaves a
  new one.

A write that has failed and still travels may arrive even after the removal: as in any cache that
gives up waiting, nothing on this side can tell.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import NamedTuple, TypeAlias

from symphra_cache._patterns import compile_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from symphra_cache.backends.base import Keyspace

__all__ = [
    "ALL",
    "LIMIT",
    "NESTED",
    "PATIENCE",
    "Claim",
    "Debt",
    "Entry",
    "Ledger",
    "Wide",
    "aended",
    "ended",
]

LIMIT = 10_000
"""Keys of a namespace that are remembered one by one; beyond that it is cleared as a whole."""

PATIENCE = 1.0
"""Seconds that a write waits for a removal of its key that is under way."""

_PATTERNS = 100  # each is tried on each key that is read, until it is paid
_ABANDONED = 30.0  # seconds after which a claim's task is taken for dead, with its loop


class Wide(NamedTuple):
    """A debt of more than one key: what has to be called, and for which keys.

    To remember another kind (tags, say): give it a name here, its keys in `covers`, and its
    removal in ``_aremove`` of ``_async/degrading.py``.
    """

    kind: str
    pattern: str = "*"

    def covers(self, key: str) -> bool:
        """Tell whether a key of the namespace is among those to be removed."""
        matches = compile_pattern(self.pattern)
        return matches is None or bool(matches(key))


Debt: TypeAlias = "str | Wide"

ALL = Wide("clear")
NESTED = Wide("clear nested")
"""The namespace as a whole; the second, with those inside it."""

_CLEARS = (ALL, NESTED)


class Claim:
    """Debts that somebody is paying just now.

    Attributes:
        ledger: whose they are.
        debts: each with the age that it has.
        ended: done as soon as the removal is through, acknowledged or not.
        thread: of the caller who pays.
    """

    __slots__ = ("begun", "debts", "ended", "ledger", "thread")

    def __init__(self, ledger: Ledger, debts: dict[Debt, int]) -> None:
        from concurrent.futures import Future  # a program without outages never pays for it

        self.ledger = ledger
        self.debts = debts
        self.begun = monotonic()
        self.thread = threading.get_ident()
        self.ended: Future[None] = Future()

    @property
    def wide(self) -> Wide | None:
        """The one wide debt; ``None`` if it is about single keys."""
        first = next(iter(self.debts))
        return first if isinstance(first, Wide) else None


class Entry(NamedTuple):
    """A write of keys of which some are owed.

    Attributes:
        ledger: where they are written down as being written.
        mark: debts that are no older than this are discharged when it is acknowledged.
        claims: removals under way that may take the new values away.
        is_covered: whether one is still owed that will.
    """

    ledger: Ledger | None
    mark: int
    claims: frozenset[Claim]
    is_covered: bool

    @property
    def is_free(self) -> bool:
        """Whether no removal can take away what is written."""
        return not self.claims and not self.is_covered


class Ledger:
    """The debts of one namespace. Everything here happens under the lock of `Outages`.

    Attributes:
        keyspace: the namespace, with counters of its own: what is paid is no call of a program.
        owed: debts, each with its age: the number of the failure that it comes from.
        claims: those that somebody is paying.
        writing: keys that are being written, each with the number of its writers.
    """

    __slots__ = ("claims", "keyspace", "owed", "path", "wide", "writing")

    def __init__(self, path: str, keyspace: Keyspace) -> None:
        self.path = path
        self.keyspace = keyspace
        self.owed: dict[Debt, int] = {}
        self.wide: set[Wide] = set()  # those of `owed` and `claims` that are no single keys
        self.claims: dict[Debt, Claim] = {}
        self.writing: dict[str, int] = {}

    def add(self, debts: Iterable[Debt], age: int) -> None:
        """Remember debts; those that a clear will settle anyway need not be."""
        for debt in debts:
            if debt in _CLEARS:
                self._add_clear(debt, age)
            elif not any(clear in self.owed and clear not in self.claims for clear in _CLEARS):
                self.owed.pop(debt, None)  # to the end of the line
                self.owed[debt] = age
                if isinstance(debt, Wide):
                    self.wide.add(debt)
            if len(self.owed) > LIMIT or len(self.wide) > _PATTERNS:
                self._add_clear(ALL, age)

    def _add_clear(self, clear: Debt, age: int) -> None:
        """Remember a clear, younger than any under way, in the place of all that it settles."""
        self.owed = {debt: owed for debt, owed in self.owed.items() if debt in _CLEARS}
        self.owed[clear] = age
        self._forget_wide()
        self.wide |= {each for each in _CLEARS if each in self.owed}

    def discharge(self, debts: Mapping[Debt, int]) -> None:
        """Forget debts that are not younger than the ages given."""
        for debt, age in debts.items():
            if self.owed.get(debt, age + 1) <= age:
                del self.owed[debt]
        self._forget_wide()

    def _forget_wide(self) -> None:
        if self.wide:
            self.wide = {each for each in self.wide if each in self.owed or each in self.claims}

    def on(self, key: str) -> Iterator[Debt]:
        """Yield the debts, owed or being paid, that a key is among."""
        if key in self.owed or key in self.claims:
            yield key
        for wide in self.wide:
            if wide.covers(key):
                yield wide

    def claimable(self, mark: int, most: int) -> dict[Debt, int]:
        """Return what may be removed with one call: a wide debt, or so many keys."""
        for wide in self.wide:
            if self._is_free(wide, mark):
                return {wide: self.owed[wide]}
        keys = (debt for debt in self.owed if not isinstance(debt, Wide))
        free = (key for key in keys if key not in self.writing and self._is_free(key, mark))
        return {key: self.owed[key] for key in islice(free, most)}

    def _is_free(self, debt: Debt, mark: int) -> bool:
        """Tell whether a debt was there at the mark and nobody is paying it, unless it died."""
        claim = self.claims.get(debt)
        is_dead = claim is None or claim.begun < monotonic() - _ABANDONED
        return is_dead and self.owed.get(debt, mark + 1) <= mark

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to know of the namespace any more."""
        return not (self.owed or self.claims or self.writing)


# --- waiting, in a pair ---------------------------------------------------------------


def ended(claim: Claim) -> bool:
    """Wait until a removal under way is through, and tell whether it is.

    If a task of a loop on this very thread is at it, to wait would keep it from going on.
    """
    if claim.thread != threading.get_ident():
        from concurrent.futures import wait

        wait([claim.ended], PATIENCE)
    return claim.ended.done()


async def aended(claim: Claim) -> bool:
    """Do what `ended` does, in asyncio."""
    import asyncio

    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell(_: Future[None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(told.set)

    claim.ended.add_done_callback(tell)
    with suppress(TimeoutError):
        await asyncio.wait_for(told.wait(), PATIENCE)
    return claim.ended.done()
