# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of a keyspace that answers outages itself; ``_debts.py`` says what it remembers.

Every operation calls the backend; what raises `BackendUnavailableError` gets the answer of a
cache that holds nothing. Reads, and what decides by what stands there (``pop``, ``touch``), pay
first what is owed: they would see it. Writes and removals replace what stands there anyway, and
so don't wait for it.
"""

from __future__ import annotations

from time import monotonic

from symphra_cache._debts import ALL, NESTED, Wide, aended
from symphra_cache._degrading import QUICK, ROUNDS, DegradingState
from symphra_cache._integers import checked_delta
from symphra_cache._keys import checked_key, checked_keys, checked_mapping
from symphra_cache._outages import READ, REMOVAL, WRITE
from symphra_cache._patterns import compile_pattern
from symphra_cache._ttl import milliseconds
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping
    from typing import Any, TypeVar

    from symphra_cache._debts import Claim, Debt, Entry
    from symphra_cache._degrading import AsyncCall
    from symphra_cache.types import TTL

    T = TypeVar("T")

__all__ = ["AsyncDegradingOps"]


class AsyncDegradingOps(DegradingState):
    """Operations that go on without their backend; see `symphra_cache.backends.base.Keyspace`."""

    # --- reads ------------------------------------------------------------------------

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or ``default`` on a miss or in an outage."""
        if self._outages.alert:
            return await self._aread(self._reads().aget, default, key, default)
        try:
            return await self._inner.aget(key, default)
        except BackendUnavailableError as error:
            self._failed(READ, error)
            return default

    async def aexists(self, key: str) -> bool:
        """Tell whether something lives under the key; ``False`` in an outage."""
        return await self._aread(self._inner.aexists, False, key)

    async def attl(self, key: str) -> float | None:
        """Return seconds left, ``None`` for never, ``0.0`` if nothing is there or in an outage."""
        gone: float | None = 0.0
        return await self._aread(self._inner.attl, gone, key)

    async def _aread(self, read: AsyncCall[T], gone: T, key: str, *arguments: Any) -> T:
        """Answer by what stands under a key, by ``gone`` if it is owed or the backend is out."""
        if not self._outages.alert:
            try:
                return await read(key, *arguments)
            except BackendUnavailableError as error:
                self._failed(READ, error)
                return gone
        key = checked_key(key)
        if await self._asettle(self._owes(key)) is not None:
            return gone
        is_owed = self._owes(key)
        try:
            found = await read(key, *arguments)
        except BackendUnavailableError as error:
            self._failed(READ, error)
            return gone
        self._worked(READ)
        return gone if is_owed else found

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the hits in the order asked; none in an outage."""
        wanted = checked_keys(keys)
        owed: list[str] = []
        if self._outages.alert:
            if await self._asettle(any(map(self._owes, wanted))) is not None:
                return {}
            owed = [key for key in wanted if self._owes(key)]
        try:
            found = await self._reads().aget_many(wanted)
        except BackendUnavailableError as error:
            self._failed(READ, error)
            return {}
        self._worked(READ)
        for key in owed:
            found.pop(key, None)
        return found

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        """Yield the matching keys that live; an outage ends it."""
        compile_pattern(pattern)
        if self._outages.alert and await self._asettle(self._owes_any()) is not None:
            return
        try:
            async for key in self._inner.ascan(pattern):
                if not (self._outages.alert and self._owes(key)):
                    yield key
        except BackendUnavailableError as error:
            self._failed(READ, error)
            return
        self._worked(READ)

    async def acount(self) -> int:
        """Return how many entries live in this namespace; 0 in an outage."""
        if self._outages.alert:
            if await self._asettle(self._owes_any()) is not None:
                return 0
            if self._owes_any():
                counted = 0
                async for _ in self.ascan():
                    counted += 1
                return counted
        try:
            counted = await self._inner.acount()
        except BackendUnavailableError as error:
            self._failed(READ, error)
            return 0
        self._worked(READ)
        return counted

    # --- changes that decide by what stands there -------------------------------------

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove the entry and return its value; ``default`` if there is none or in an outage."""
        return await self._achange(REMOVAL, self._inner.apop, default, key, default)

    async def atouch(self, key: str, ttl: TTL = None) -> bool:
        """Give the entry a new ttl; tell whether there was one; ``False`` in an outage."""
        milliseconds(ttl)
        return await self._achange(WRITE, self._inner.atouch, False, key, ttl)

    async def _achange(
        self, what: str, change: AsyncCall[T], gone: T, key: str, *arguments: Any
    ) -> T:
        """Change an entry; one that is owed, or that an outage keeps from it, is gone."""
        key = checked_key(key)
        is_owed = False
        if self._outages.alert:
            if await self._asettle(self._owes(key)) is not None:
                self._remember([key])
                return gone
            is_owed = self._owes(key)
        try:
            found = await change(key, *arguments)
        except BackendUnavailableError as error:
            self._missed(what, error, [key])
            return gone
        self._worked(what)
        return gone if is_owed else found

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value if nothing lives under the key; tell whether nothing did."""
        return await self._aanswer(self._inner.aadd, key, value, ttl)

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Add ``delta`` and return the sum; a missing counter starts at 0 and takes ``ttl``."""
        milliseconds(ttl)
        return await self._aanswer(self._inner.aincr, key, checked_delta(delta), ttl)

    async def _aanswer(self, change: AsyncCall[T], key: str, *arguments: Any) -> T:
        """Do what has no answer without the backend: an outage raises."""
        if self._outages.alert and self._outages.concerns(self._path, checked_key(key)):
            await self._afree(checked_key(key))
        try:
            answer = await change(key, *arguments)
        except BackendUnavailableError as error:
            self._failed(WRITE, error)
            raise
        self._worked(WRITE)
        return answer

    async def _afree(self, key: str) -> None:
        """Have removed what is owed under a key, or raise."""
        try:
            await self._apay()
        except BackendUnavailableError as error:
            self._failed(REMOVAL, error)
            self._counters.errors += 1
            raise
        for claim in self._outages.under_way(self._path, key):
            await aended(claim)
        if self._owes(key):
            self._counters.errors += 1
            raise self._unsettled()

    # --- writes -----------------------------------------------------------------------

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value and return ``True``, in an outage too."""
        try:
            if self._outages.alert:
                return await self._awrite([checked_key(key)], self._inner.aset, key, value, ttl)
            return await self._inner.aset(key, value, ttl)
        except BackendUnavailableError as error:
            self._missed(WRITE, error, [checked_key(key)])
            return True

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Store all values, having checked all before the first; return the keys that failed."""
        checked = checked_mapping(mapping)
        store = self._inner.aset_many
        try:
            if self._outages.alert:
                return await self._awrite(list(checked), store, checked, ttl, jitter=jitter)
            return await store(checked, ttl, jitter=jitter)
        except BackendUnavailableError as error:
            return self._missed(WRITE, error, checked)

    async def _awrite(
        self, keys: list[str], write: AsyncCall[T], *arguments: Any, **named: Any
    ) -> T:
        """Write, and once more if a removal may have taken the new values away.

        Not after the removal in the first place: wrong arguments are found by the write, and
        in an outage it is the one call that is made.
        """
        for _ in range(ROUNDS):
            entry = self._outages.enter(self._path, keys)
            written: list[str] = []
            try:
                answer = await write(*arguments, **named)
                written = keys
            except BackendUnavailableError as error:
                failed = frozenset(error.failed or keys)
                written = [key for key in keys if key not in failed]
                raise
            finally:
                self._outages.leave(self._path, entry, keys, written)
            self._worked(WRITE)
            if entry.is_free:
                return answer
            if not await self._apassed(entry):
                break
        # It may be gone again, or be owed still: a miss at the worst.
        return answer

    async def _apassed(self, entry: Entry) -> bool:
        """Have passed what stood in the way of a write; tell whether it is worth another try."""
        if entry.is_covered:
            try:
                await self._apay()
            except BackendUnavailableError as error:
                self._failed(REMOVAL, error)
                return False
        for claim in entry.claims:
            if not await aended(claim):
                return False
        return True

    # --- removals ---------------------------------------------------------------------

    async def adelete(self, key: str) -> bool:
        """Remove the entry; tell whether there was one; ``False`` in an outage."""
        key = checked_key(key)
        age = self._outages.age
        try:
            existed = await self._inner.adelete(key)
        except BackendUnavailableError as error:
            self._missed(REMOVAL, error, [key])
            return False
        self._removed([key], age)
        return existed

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove the entries; return how many there were, 0 in an outage."""
        wanted = checked_keys(keys)
        age = self._outages.age
        try:
            removed = await self._inner.adelete_many(wanted)
        except BackendUnavailableError as error:
            self._missed(REMOVAL, error, wanted)
            return 0
        self._removed(wanted, age)
        return removed

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match; return how many there were, 0 in an outage."""
        compile_pattern(pattern)
        matching = Wide("matching", str.__str__(pattern))
        age = self._outages.age
        try:
            removed = await self._inner.adelete_matching(pattern)
        except BackendUnavailableError as error:
            self._failed(REMOVAL, error)
            self._remember([matching])
            return 0
        self._removed([matching], age)
        return removed

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove all entries of this namespace; return how many there were, 0 in an outage."""
        age = self._outages.age
        try:
            removed = await self._inner.aclear(nested=nested)
        except BackendUnavailableError as error:
            self._failed(REMOVAL, error)
            self._remember([NESTED if nested else ALL])
            return 0
        self._worked(REMOVAL)
        if self._outages.alert:
            self._outages.cleared(self._path, age, nested=nested)
        return removed

    # --- paying what is owed ----------------------------------------------------------

    async def _asettle(self, is_concerned: bool) -> BackendUnavailableError | None:
        """Pay what is owed; return the error if the backend is not worth asking now.

        One that refuses at once (full, read-only, behind an open circuit breaker) costs no
        second wait, and may well have an answer for a read of what is not owed.

        Args:
            is_concerned: whether what is to be read is owed.
        """
        if not self._outages.is_due(is_concerned=is_concerned):
            return None
        begun = monotonic()
        try:
            await self._apay()
        except BackendUnavailableError as error:
            self._failed(REMOVAL, error)
            spent = monotonic() - begun
            if spent < QUICK:
                return None
            self._outages.put_off(spent)
            self._counters.errors += 1
            return error
        return None

    async def _apay(self) -> None:
        """Remove all that is owed by now, of every namespace, unless others are at it."""
        outages = self._outages
        mark, is_first = outages.age, True
        while (claim := outages.claim(mark, is_first=is_first)) is not None:
            missed: Collection[Debt] = claim.debts
            try:
                await self._aremove(claim)
                missed = ()
            except BackendUnavailableError as error:
                missed = (claim.wide is None and error.failed) or claim.debts
                raise
            finally:
                outages.finish(claim, missed)
            self._worked(REMOVAL)
            is_first = False

    async def _aremove(self, claim: Claim) -> None:
        keyspace, wide = claim.ledger.keyspace, claim.wide
        if wide is None:
            await keyspace.adelete_many([key for key in claim.debts if isinstance(key, str)])
        elif wide in (ALL, NESTED):
            await keyspace.aclear(nested=wide == NESTED)
        else:
            await keyspace.adelete_matching(wide.pattern)
