# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of a keyspace whose writes void the loads that they overlap; see ``_flights.py``."""

from __future__ import annotations

from symphra_cache._callers import AsyncCaller, arung
from symphra_cache._flights import Sweep
from symphra_cache._keys import checked_key, checked_keys, checked_mapping
from symphra_cache._patterns import compile_pattern
from symphra_cache._watched import WatchedState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeVar

    from symphra_cache._degrading import AsyncCall
    from symphra_cache._flights import Flight, Keys
    from symphra_cache.types import TTL

    T = TypeVar("T")

__all__ = ["AsyncWatchedOps"]


class AsyncWatchedOps(WatchedState):
    """Operations on a namespace; reads are the inner keyspace's own."""

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value and return ``True``."""
        # Hot path: what the others do, written out.
        if type(key) is not str:
            key = checked_key(key)
        writing, live, write = self._writing, self._live, object()
        writing[write] = (self._path, key)
        try:
            if live:
                await self._ahalt_loads(key)
            return await self._inner.aset(key, value, ttl)
        finally:
            writing.pop(write, None)
            if live:
                self._flights.void(self._path, key)

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value if nothing lives under the key; tell whether nothing did."""
        return await self._awrite(checked_key(key), self._inner.aadd, key, value, ttl)

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove the entry and return its value, or ``default`` if there is none."""
        return await self._awrite(checked_key(key), self._inner.apop, key, default)

    async def adelete(self, key: str) -> bool:
        """Remove the entry; tell whether there was one."""
        return await self._awrite(checked_key(key), self._inner.adelete, key)

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Add ``delta`` and return the sum; a missing counter starts at 0 and takes ``ttl``."""
        return await self._awrite(checked_key(key), self._inner.aincr, key, delta, ttl)

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Store all values, having checked all before the first; return the keys that failed."""
        checked = checked_mapping(mapping)
        store = self._inner.aset_many
        return await self._awrite(checked, store, checked, ttl, jitter=jitter)

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove the entries; return how many there were."""
        wanted = checked_keys(keys)
        return await self._awrite(wanted, self._inner.adelete_many, wanted)

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match; return how many there were."""
        sweep = Sweep(self._path, compile_pattern(pattern))
        return await self._asweep(sweep, self._inner.adelete_matching, pattern)

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove all entries of this namespace; return how many there were."""
        sweep = Sweep(self._path, nested=nested)
        return await self._asweep(sweep, self._inner.aclear, nested=nested)

    async def _awrite(self, keys: Keys, call: AsyncCall[T], *arguments: Any, **named: Any) -> T:
        """Write; no load under way meanwhile undoes it."""
        writing, live, write = self._writing, self._live, object()
        writing[write] = (self._path, keys)
        try:
            if live:
                await self._ahalt_loads(keys)
            return await call(*arguments, **named)
        finally:
            # None of them is there any more in a child that was forked meanwhile.
            writing.pop(write, None)
            if live:
                self._flights.void(self._path, keys)

    async def _ahalt_loads(self, keys: Keys) -> None:
        for flight in self._flights.void(self._path, keys):
            await self._astored(flight)

    async def _asweep(self, sweep: Sweep, remove: AsyncCall[T], *arguments: Any, **named: Any) -> T:
        try:
            for flight in self._flights.begin_sweep(sweep):
                await self._astored(flight)
            return await remove(*arguments, **named)
        finally:
            self._flights.end_sweep(sweep)

    async def _astored(self, flight: Flight) -> None:
        """Wait until a load is stored, or given up."""
        writer = AsyncCaller()
        while self._flights.waits_for_store(flight, writer):
            await arung(writer)
