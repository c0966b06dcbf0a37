"""What ``on_outage="degrade"`` knows of a backend: whether it is out, and what it is owed.

The same for all managers and views of the process that degrade on the backend: what one of them
failed to remove, the others must not read. No I/O here: the faces are in ``_async/degrading.py``
and its generated twin; the rules of what is owed stand in ``_debts.py``.
"""

from __future__ import annotations

import threading
from time import monotonic

from symphra_cache._debts import NESTED, Claim, Entry, Ledger, Wide
from symphra_cache._forks import fork_aware
from symphra_cache._log import log_outage, log_recovery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from symphra_cache._debts import Debt
    from symphra_cache.backends.base import Keyspace

__all__ = ["READ", "REMOVAL", "WRITE", "Outages", "outages_of"]

READ, REMOVAL, WRITE = "reads", "removals", "writes"
"""What may fail while the rest works: a full server refuses writes, a replica removals too."""

_BATCH = 500
_PAUSE = 4  # times what was spent in vain


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
        self._paying_again: float = 0.0
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
        if what != READ:
            self._paying_again = 0.0
        if what not in self._failing:
            return
        with self._lock:
            was_failing = bool(self._failing)
            self._failing.discard(what)
            is_over = was_failing and not self._failing
            self._look()
        if is_over:
            log_recovery(self._kind, path)

    def fails(self, what: str) -> bool:
        """Tell whether such calls failed when last seen."""
        return what in self._failing

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

    def concerns(self, path: str, key: str) -> bool:
        """Tell whether a removal of a key is owed or under way."""
        with self._lock:
            return any(self._debts_on(path, key))

    def under_way(self, path: str, key: str) -> frozenset[Claim]:
        """Return the removals of a key that are under way."""
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

    def is_due(self, *, is_concerned: bool) -> bool:
        """Tell whether a read should have paid what is owed.

        Not if it has just been tried in vain, that took its time, and reads work all the same:
        another process may hold the lock of a file for long.

        Args:
            is_concerned: whether what is to be read is among it.
        """
        return is_concerned or READ in self._failing or monotonic() >= self._paying_again

    def put_off(self, spent: float) -> None:
        """Take note that so many seconds were spent on paying in vain."""
        self._paying_again = monotonic() + _PAUSE * spent

    def claim(self, mark: int, *, is_first: bool) -> Claim | None:
        """Return debts, no younger than this, for the caller to pay; ``None`` if there are none.

        Until one is paid a single key has to do: in an outage this is all that each call sends.
        """
        with self._lock:
            for ledger in self._ledgers.values():
                debts = ledger.claimable(mark, 1 if is_first and self._failing else _BATCH)
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
            if missed and self._ledgers.get(ledger.path) is ledger:
                self._ledgers[ledger.path] = self._ledgers.pop(ledger.path)
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

    def leave(
        self, path: str, entry: Entry, keys: Collection[str], written: Collection[str]
    ) -> None:
        """End a write; what it has written is not owed any more, if nothing can take it away."""
        with self._lock:
            ledger = entry.ledger
            if ledger is None:
                return
            for key in keys:
                writers = ledger.writing.pop(key, 1) - 1
                if writers:
                    ledger.writing[key] = writers
            if entry.is_free:
                ledger.discharge(dict.fromkeys(written, entry.mark))
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
