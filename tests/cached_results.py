"""A cache for the functions that tests decorate at their top level, and a loop to await them in."""

from __future__ import annotations

import asyncio
from typing import Any

from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

cache = CacheManager(MemoryBackend())


def run(awaitable: Any) -> Any:
    """Await something in a loop of its own."""

    async def waiting() -> Any:
        return await awaitable

    return asyncio.run(waiting())
