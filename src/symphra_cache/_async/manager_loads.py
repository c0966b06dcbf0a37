# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of `CacheManager`: what is loaded when it is missing."""

from __future__ import annotations

from symphra_cache._loads import Load
from symphra_cache._manager import ManagerState
from symphra_cache.types import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from symphra_cache.types import TTLArgument

__all__ = ["AsyncManagerLoads"]


class AsyncManagerLoads(ManagerState):
    """Loads of one namespace; see `symphra_cache._flights` for who loads when many want to."""

    async def aget_or_set(
        self,
        key: str,
        loader: Any,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        *,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> Any:
        """Return the value under a key, loading and storing it on a miss."""
        load = Load(loader, ttl, should_cache, self._jitter if jitter is None else jitter)
        return await self._loads.aget_or_set(key, load)

    async def aget_or_set_many(
        self,
        keys: Iterable[str],
        loader: Any,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        *,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> dict[str, Any]:
        """Return the values under many keys, loading and storing those that are missing."""
        load = Load(loader, ttl, should_cache, self._jitter if jitter is None else jitter)
        found: dict[str, Any] = await self._loads.aget_or_set_many(keys, load)
        return found
