# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of the null backend: checks its arguments like the others, and keeps nothing."""

from __future__ import annotations

from symphra_cache._integers import added, checked_delta
from symphra_cache._null import NullKeyspaceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from typing import Any

    from symphra_cache.types import TTL

__all__ = ["AsyncNullOps"]


class AsyncNullOps(NullKeyspaceState):
    """Operations that find and keep nothing; see `symphra_cache.backends.base.Keyspace`."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return ``default``."""
        self._check(key)
        self._counters.misses += 1
        return default

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Return ``True``."""
        self._check(key, ttl)
        self._counters.sets += 1
        return True

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Return ``True``: the key was absent."""
        self._check(key, ttl)
        self._counters.sets += 1
        return True

    async def apop(self, key: str, default: Any = None) -> Any:
        """Return ``default``."""
        self._check(key)
        self._counters.misses += 1
        return default

    async def adelete(self, key: str) -> bool:
        """Return ``False``."""
        return self._check(key)

    async def aexists(self, key: str) -> bool:
        """Return ``False``."""
        return self._check(key)

    async def atouch(self, key: str, ttl: TTL = None) -> bool:
        """Return ``False``."""
        return self._check(key, ttl)

    async def attl(self, key: str) -> float | None:
        """Return ``0.0``."""
        return float(self._check(key))

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Return ``delta``: every counter is missing."""
        self._check(key, ttl)
        total = added(0, checked_delta(delta))
        self._counters.sets += 1
        return total

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return nothing."""
        self._counters.misses += len(self._check_many(keys))
        return {}

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Return ``[]``: no key failed."""
        self._counters.sets += len(self._check_mapping(mapping, ttl))
        return []

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Return 0."""
        self._check_many(keys)
        return 0

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        """Yield nothing."""
        self._check_pattern(pattern)
        keys: tuple[str, ...] = ()
        for key in keys:
            yield key

    async def adelete_matching(self, pattern: str) -> int:
        """Return 0."""
        return self._check_pattern(pattern)

    async def acount(self) -> int:
        """Return 0."""
        return self._nothing()

    async def aclear(self, *, nested: bool = False) -> int:
        """Return 0."""
        return self._nothing()

    async def aping(self) -> str:
        """Return one line on the state of the backend."""
        self._nothing()
        return "keeps nothing"

    async def aclose(self) -> None:
        """Have later use raise `CacheClosedError`."""
        self._switch.closed = True
