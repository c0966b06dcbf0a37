"""What `on_outage="degrade"` knows of a backend: whether it is out, and what it still owes us.

A write or a removal that failed may or may not have been applied, and an older value may stand
in its place. So it is a *debt*: until the backend has acknowledged a removal of whatever stands
there, the key reads as absent. Debts belong to a namespace of a backend, whichever manager or
view of the process left them. No I/O here: the faces are in ``_async/degrading.py`` and its
generated twin.

What keeps a removal from taking away a value that was written after it was owed:

- whoever removes *claims* the debts first, so that no two do it at once;
- a claim leaves out the keys that are being written; a write that was acknowledged discharges
  its key, unless another failed meanwhile;
- a write that finds a claim under way on its key is done once more when that is through;
- only a debt as old as its claim is discharged by it: a write that fails meanwhile leaves a
  new one.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import NamedTuple, TypeAlias

from symphra_cache._forks import fork_aware
from symphra_cache._log import log_outage, log_recovery
from symphra_cache._patterns import compile_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from symphra_cache.backends.base import Keyspace

__all__ = [
    "ALL",
    "LIMIT",
    "NESTED",
    "PATIENCE",
    "READ",
    "REMOVAL",
    "WRITE",
    "Claim",
    "Entry",
    "Outages",
    "Wide",
    "aended",
    "ended",
    "outages_of",
]

LIMIT = 10_000
"""Keys of a namespace that are remembered one by one; beyond that it is cleared as a whole."""

PATIENCE = 1.0
"""Seconds that a write waits for a removal of its key that is under way."""

_PATTERNS = 100  # each is tried on each key that is read, until it is paid
_BATCH = 500
_ABANDONED = 30.0  # seconds after which a claim's task is taken for dead, with its loop

READ, REMOVAL, WRITE = "reads", "removals", "writes"
"""What may fail while the rest works: a full server refuses writes, a replica removals too."""


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
    claims: frozenset[Claim] = frozenset()
    is_covered: bool = False


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


class Outages:
    """State of one backend, for all managers of the process that degrade on it.

    Attributes:
        alert: whether a call has more to do than to call the backend: something is owed, or it
            was out when last seen. The one thing that is looked at when all is well.
        age: the number of the latest failure.
    """

    def __init__(self, kind: str) -> None:
        self.alert: bool = False
        self.age: int = 0
        self._kind = kind
        self._failing: set[str] = set()
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.RLock()  # reentrant: a finalizer may use the cache at any time
        fork_aware(self)

    # --- whether it is out ------------------------------------------------------------

    def failed(self, what: str, path: str, error: Exception) -> None:
        """Take note that a call failed; the first is logged."""
        with self._lock:
            is_first = not self._failing
            self._failing.add(what)
            self.alert = True
        if is_first:
            log_outage(self._kind, path, error)

    def worked(self, what: str, path: str) -> None:
        """Take note that a call was answered; if all that failed works again, log that."""
        if what not in self._failing:
            return
        with self._lock:
            was_failing = bool(self._failing)
            self._failing.discard(what)
            is_over = was_failing and not self._failing
            self._look()
        if is_over:
            log_recovery(self._kind, path)

    def _look(self) -> None:
        self.alert = bool(self._failing or self._ledgers)

    # --- what is owed -----------------------------------------------------------------

    def remember(self, path: str, debts: Iterable[Debt], keyspace: Keyspace) -> None:
        """Remember what may be out of date, before the call that failed returns."""
        with self._lock:
            self.age += 1
            ledger = self._ledgers.get(path)
            if ledger is None:
                ledger = self._ledgers[path] = Ledger(path, keyspace)
            ledger.add(debts, self.age)
            self._look()

    def owes(self, path: str, key: str) -> bool:
        """Tell whether what stands under a key may be out of date. To be asked before a read."""
        with self._lock:
            return any(debt in ledger.owed for ledger, debt in self._debts_on(path, key))

    def owes_any(self, path: str) -> bool:
        """Tell whether any key of the namespace may be out of date."""
        with self._lock:
            ledger = self._ledgers.get(path)
            return bool(ledger and ledger.owed) or self._is_covered(path)

    def under_way(self, path: str, key: str) -> frozenset[Claim]:
        """Return the removals under way that a key is among."""
        with self._lock:
            found = [ledger.claims.get(debt) for ledger, debt in self._debts_on(path, key)]
            return frozenset([claim for claim in found if claim is not None])

    def _debts_on(self, path: str, key: str) -> Iterator[tuple[Ledger, Debt]]:
        ledger = self._ledgers.get(path)
        if ledger is not None:
            for debt in ledger.on(key):
                yield ledger, debt
        for above in self._above(path):
            if NESTED in above.owed or NESTED in above.claims:
                yield above, NESTED

    def _is_covered(self, path: str) -> bool:
        return any(NESTED in above.owed for above in self._above(path))

    def _above(self, path: str) -> Iterator[Ledger]:
        while path := path.rpartition("/")[0]:
            ledger = self._ledgers.get(path)
            if ledger is not None:
                yield ledger

    def removed(self, path: str, debts: Iterable[Debt], age: int) -> None:
        """Forget what the backend has removed for the program itself, begun at this age."""
        with self._lock:
            ledger = self._ledgers.get(path)
            if ledger is not None:
                ledger.discharge(dict.fromkeys(debts, age))
                self._close(path)

    def cleared(self, path: str, age: int, *, nested: bool) -> None:
        """Forget all debts of a namespace that was cleared."""
        with self._lock:
            below = f"{path}/"
            for each, ledger in list(self._ledgers.items()):
                if each == path or (nested and each.startswith(below)):
                    kept = NESTED if each == path and not nested else None
                    paid = [debt for debt in ledger.owed if debt != kept]
                    ledger.discharge(dict.fromkeys(paid, age))
                    self._close(each)

    def _close(self, path: str) -> None:
        if path in self._ledgers and self._ledgers[path].is_settled:
            del self._ledgers[path]
            self._look()

    # --- paying -----------------------------------------------------------------------

    def claim(self, mark: int) -> Claim | None:
        """Return debts, no younger than this, for the caller to pay; ``None`` if there are none.

        While nothing shows that the backend works again a single key has to do.
        """
        with self._lock:
            for ledger in self._ledgers.values():
                debts = ledger.claimable(mark, 1 if self._failing else _BATCH)
                if debts:
                    claim = Claim(ledger, debts)
                    ledger.claims.update(dict.fromkeys(debts, claim))
                    return claim
        return None

    def finish(self, claim: Claim, missed: Collection[Debt]) -> None:
        """End a claim: what was not missed is paid, the rest goes to the end of the line."""
        ledger = claim.ledger
        with self._lock:
            for debt in claim.debts:
                if ledger.claims.get(debt) is claim:
                    del ledger.claims[debt]
            for debt in missed:
                if debt in ledger.owed:
                    ledger.owed[debt] = ledger.owed.pop(debt)
            left = frozenset(missed)
            ledger.discharge({debt: age for debt, age in claim.debts.items() if debt not in left})
            self._close(ledger.path)
        claim.ended.set_result(None)

    # --- writing ----------------------------------------------------------------------

    def enter(self, path: str, keys: Collection[str]) -> Entry:
        """Begin a write: from now on nobody claims its keys. Ends with `leave`."""
        with self._lock:
            ledger = self._ledgers.get(path)
            if ledger is not None:
                for key in keys:
                    ledger.writing[key] = ledger.writing.get(key, 0) + 1
            found = [pair for key in keys for pair in self._debts_on(path, key)]
            claims = [each.claims[debt] for each, debt in found if debt in each.claims]
            is_covered = any(
                isinstance(debt, Wide) and debt in each.owed and debt not in each.claims
                for each, debt in found
            )
            return Entry(ledger, self.age, frozenset(claims), is_covered)

    def leave(self, path: str, entry: Entry, keys: Collection[str], *, is_paid: bool) -> None:
        """End a write; if that made up for what was owed, forget that."""
        with self._lock:
            ledger = entry.ledger
            if ledger is None:
                return
            for key in keys:
                writers = ledger.writing.pop(key, 1) - 1
                if writers:
                    ledger.writing[key] = writers
            if is_paid:
                ledger.discharge(dict.fromkeys(keys, entry.mark))
            self._close(path)

    # --- fork -------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Let steps under way finish."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Keep what is owed: a child must not read it either. Nobody is at work on it here."""
        self._lock = threading.RLock()
        for path, ledger in list(self._ledgers.items()):
            ledger.claims.clear()
            ledger.writing.clear()
            ledger.discharge({})
            self._close(path)


def outages_of(backend: object, kind: str) -> Outages:
    """Return what is known of a backend, the same for all managers on it."""
    try:
        attributes = vars(backend)
    except TypeError:  # it has slots: then each manager learns by itself
        return Outages(kind)
    found = attributes.get("_symphra_outages")
    if found is None:
        found = attributes.setdefault("_symphra_outages", Outages(kind))  # atomic
    known: Outages = found
    return known


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
