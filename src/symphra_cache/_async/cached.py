# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of a function whose results are kept."""

from __future__ import annotations

from symphra_cache._cached import CachedState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["AsyncCachedOps"]


class AsyncCachedOps(CachedState):
    """What can be done with the kept results of a function."""

    async def amissed(self, key: str, ended: int, args: Any, kwargs: Any) -> Any:
        """Load what a call has missed, or wait for who does already."""
        self.misses += 1
        return await self._loads.aload(key, self._load_of(args, kwargs), ended)

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the result of a call; tell whether there was one."""
        removed: bool = await self._manager.adelete(self._key(*args, **kwargs))
        return removed

    async def ainvalidate_all(self) -> int:
        """Forget the results of all calls; return how many there were."""
        removed: int = await self._manager.adelete_matching(self._pattern())
        return removed

    async def arefresh(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function now, keep its result whatever was kept before, and return it."""
        key = self._key(*args, **kwargs)
        return await self._loads.arefresh(key, self._load_of(args, kwargs))
