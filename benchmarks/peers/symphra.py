"""symphra_cache itself, and its predecessor 0.1.0, which is called alike."""

from __future__ import annotations

from harness.loops import Calls


def symphra(capacity: int, ttl: int | None, **options: object) -> Calls:
    """Our blocking face; options go to the backend."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import MemoryBackend

    cache = CacheManager(MemoryBackend(max_size=capacity, **options))
    put = "set(key, value)" if ttl is None else f"set(key, value, ttl={ttl})"
    return Calls({"get": cache.get, "set": cache.set}, set=put, close=cache.close)


def symphra_async(capacity: int, ttl: int | None, **options: object) -> Calls:
    """Our asyncio face; options go to the backend."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import MemoryBackend

    cache = CacheManager(MemoryBackend(max_size=capacity, **options))
    put = "await set(key, value)" if ttl is None else f"await set(key, value, ttl={ttl})"
    return Calls({"get": cache.aget, "set": cache.aset}, "await get(key)", put, is_async=True)
