"""Peers that are asyncio only, in memory."""

from __future__ import annotations

from harness.loops import Calls


def cashews(capacity: int, ttl: int | None) -> Calls:
    """cashews, with the task that looks for expired entries as it comes."""
    from cashews import Cache

    cache = Cache()
    cache.setup(f"mem://?size={capacity}")
    put = f"await set(key, value, expire={ttl})"
    return Calls({"get": cache.get, "set": cache.set}, "await get(key)", put, is_async=True)


def aiocache(capacity: int, ttl: int | None) -> Calls:
    """aiocache; each entry with a time to live has a timer of the event loop."""
    from aiocache import SimpleMemoryCache

    cache = SimpleMemoryCache()
    put = f"await set(key, value, ttl={ttl})"
    return Calls({"get": cache.get, "set": cache.set}, "await get(key)", put, is_async=True)
