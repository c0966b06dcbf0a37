"""Tests of one behaviour through either face: the same call, blocking or on a loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from symphra_cache import CacheManager


class Caller:
    """Calls a cache by the names of its blocking face, through the face under test."""

    def __init__(self, runner: asyncio.Runner | None) -> None:
        self.runner = runner

    def __call__(self, cache: CacheManager, name: str, *arguments: Any, **named: Any) -> Any:
        if self.runner is None:
            return getattr(cache, name)(*arguments, **named)
        return self.runner.run(getattr(cache, f"a{name}")(*arguments, **named))

    def scan(self, cache: CacheManager) -> list[str]:
        """Return the keys of a cache in order."""
        if self.runner is None:
            return sorted(cache.scan())

        async def scanned() -> list[str]:
            return sorted([key async for key in cache.ascan()])

        return self.runner.run(scanned())

    def scanning(self, cache: CacheManager) -> Iterator[str]:
        """Yield the keys of a cache one by one."""
        if self.runner is None:
            yield from cache.scan()
            return
        keys = cache.ascan()
        while (key := self.runner.run(_next(keys))) is not None:
            yield key

    def wait(self) -> None:
        """Let the loop learn what has happened to its connections."""
        if self.runner is not None:
            self.runner.run(asyncio.sleep(0.01))


async def _next(keys: AsyncIterator[str]) -> str | None:
    return await anext(keys, None)
