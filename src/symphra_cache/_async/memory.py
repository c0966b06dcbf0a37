# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of the memory backend. Nothing waits here: the state answers at once.

What backends use of it for ``get`` is a reader of ``memory_readers.py``, save in subclasses that
have a ``get`` of their own.
"""

from __future__ import annotations

from symphra_cache._integers import checked_delta
from symphra_cache._keys import checked_key, checked_keys, checked_mapping
from symphra_cache._memory import MemoryKeyspaceState
from symphra_cache._ttl import spread
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from typing import Any

    from symphra_cache.types import TTL


__all__ = ["AsyncMemoryOps"]


class AsyncMemoryOps(MemoryKeyspaceState):
    """Operations on one namespace in memory; see `symphra_cache.backends.base.Keyspace`."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or ``default`` on a miss."""
        return self._looked_up(key, default)

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value and return ``True``."""
        return self._stored(key, value, ttl)

    async def aset_if(
        self, may_store: Callable[[], bool], key: str, value: Any, ttl: TTL = None
    ) -> bool:
        """Store the value if that is allowed, in one step with being told so."""
        return self._write_if(may_store, *self._prepared(key, value, ttl))

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value if nothing lives under the key; tell whether nothing did."""
        return self._write_absent(*self._prepared(key, value, ttl))

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove the entry and return its value, or ``default`` if there is none."""
        return self._popped(key, default)

    async def adelete(self, key: str) -> bool:
        """Remove the entry; tell whether there was one."""
        return self._remove(self._name(checked_key(key)))

    async def aexists(self, key: str) -> bool:
        """Tell whether something lives under the key."""
        return self._peeked(key) is not None

    async def atouch(self, key: str, ttl: TTL = None) -> bool:
        """Give the entry a new ttl; tell whether there was one."""
        return self._touched(key, ttl)

    async def attl(self, key: str) -> float | None:
        """Return seconds left, ``None`` for never, ``0.0`` if nothing is there."""
        entry = self._peeked(key)
        if entry is None:
            return 0.0
        if entry[1] is None:
            return None
        return max(0, entry[1] - self._store.now()) / self._store.per_ms / 1000

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Add ``delta`` and return the sum; a missing counter starts at 0 and takes ``ttl``."""
        return self._incremented(key, checked_delta(delta), ttl)

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the hits in the order asked."""
        self._require_open()
        hits = {}
        for key in checked_keys(keys):
            value = await self.aget(key, MISSING)
            if value is not MISSING:
                hits[key] = value
        return hits

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Store all values, having checked all before the first; return the keys that failed."""
        prepared = [
            self._prepared(key, value, spread(ttl, jitter))
            for key, value in checked_mapping(mapping).items()
        ]
        self._require_open()
        for each in prepared:
            self._write(*each)
        return []

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove the entries; return how many there were."""
        self._require_open()
        return sum([self._remove(self._name(key)) for key in checked_keys(keys)])

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        """Yield the matching keys that live."""
        for key in self._keys(pattern):
            yield key

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match; return how many there were."""
        return self._removed_matching(pattern)

    async def acount(self) -> int:
        """Return how many entries live in this namespace."""
        self._require_open()
        return sum(1 for _ in self._living(nested=False))

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove all entries of this namespace; return how many there were."""
        return self._cleared(nested)

    async def aping(self) -> str:
        """Return one line on the state of the backend."""
        self._require_open()
        return f"{len(self._store.policy.entries)} entries"

    async def aclose(self) -> None:
        """Forget everything; later use raises `CacheClosedError`."""
        self._store.close()
