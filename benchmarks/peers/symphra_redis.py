"""symphra_cache over its Redis backend, and its predecessor 0.1.0, whose backend is made otherwise.

What stands for a server is a URL; options go to the backend.
"""

from __future__ import annotations

from typing import Any

from harness.loops import Calls


def symphra(url: str, ttl: int, **options: Any) -> Calls:
    """Our blocking face."""
    cache = _manager(url, ttl, options)
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"get_many": cache.get_many, "set_many": cache.set_many},
        },
        set=f"set(key, value, ttl={ttl})",
        get_many="get_many(keys)",
        set_many=f"set_many(mapping, ttl={ttl})",
        close=cache.close,
    )


def symphra_async(url: str, ttl: int, **options: Any) -> Calls:
    """Our asyncio face."""
    cache = _manager(url, ttl, options)
    return Calls(
        {
            **{"get": cache.aget, "set": cache.aset},
            **{"get_many": cache.aget_many, "set_many": cache.aset_many},
        },
        "await get(key)",
        f"await set(key, value, ttl={ttl})",
        is_async=True,
        get_many="await get_many(keys)",
        set_many=f"await set_many(mapping, ttl={ttl})",
        close=cache.aclose,
    )


def _manager(url: str, ttl: int, options: dict[str, Any]) -> Any:
    from symphra_cache import CacheManager
    from symphra_cache.backends import NearCache, RedisBackend

    if options.pop("near", False):
        options["near_cache"] = NearCache(max_size=10_000)
    return CacheManager(RedisBackend(url, **options))


def predecessor(url: str, ttl: int, **options: Any) -> Calls:
    """The predecessor's blocking face."""
    cache = _predecessor(url, options)
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"get_many": cache.get_many, "set_many": cache.set_many},
        },
        set=f"set(key, value, ttl={ttl})",
        get_many="get_many(keys)",
        set_many=f"set_many(mapping, ttl={ttl})",
    )


def predecessor_async(url: str, ttl: int, **options: Any) -> Calls:
    """The predecessor's asyncio face."""
    cache = _predecessor(url, options)
    names = {"get": cache.aget, "set": cache.aset}
    return Calls(names, "await get(key)", f"await set(key, value, ttl={ttl})", is_async=True)


def _predecessor(url: str, options: dict[str, Any]) -> Any:
    from urllib.parse import urlsplit

    from symphra_cache import CacheManager
    from symphra_cache.backends import RedisBackend

    place = urlsplit(url)
    database = int(place.path.strip("/"))
    return CacheManager(RedisBackend(host=place.hostname, port=place.port, db=database, **options))
