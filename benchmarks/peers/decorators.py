"""Decorators that keep the results of functions: ours, and those of peers."""

from __future__ import annotations

from functools import lru_cache
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Decorator = Callable[[Any], Any]

CAPACITY = 10_000


def symphra(ttl: int, **options: Any) -> Decorator:
    """`CacheManager.cached` over memory."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import MemoryBackend

    return CacheManager(MemoryBackend(CAPACITY)).cached(ttl=ttl, **options)


def symphra_file(ttl: int, folder: Path, **options: Any) -> Decorator:
    """`CacheManager.cached` over a file."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import FileBackend

    return CacheManager(FileBackend(folder / "cache.db")).cached(ttl=ttl, **options)


def moka(ttl: int, **options: Any) -> Decorator:
    """moka-py's, for functions of both kinds."""
    from moka_py import cached

    return cached(CAPACITY, ttl=ttl, **options)


def cachetools(ttl: int) -> Decorator:
    """cachetools', under a lock."""
    from cachetools import TTLCache, cached

    return cached(TTLCache(CAPACITY, ttl), lock=Lock())


def cachetools_waiting(ttl: int) -> Decorator:
    """cachetools', with a condition that has callers wait for each other."""
    from cachetools import TTLCache, cached

    return cached(TTLCache(CAPACITY, ttl), condition=Condition())


def functools_lru(ttl: int) -> Decorator:
    """The standard library's, which is written in C."""
    return lru_cache(CAPACITY)


def dogpile(ttl: int) -> Decorator:
    """dogpile.cache's, over its memory backend."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=ttl)
    return region.cache_on_arguments()


def async_lru(ttl: int) -> Decorator:
    """async-lru's; each entry with a time to live has a timer of the event loop."""
    from async_lru import alru_cache

    return alru_cache(CAPACITY, ttl=ttl)


def aiocache(ttl: int) -> Decorator:
    """Aiocache's."""
    from aiocache import cached

    return cached(ttl=ttl)


def aiocache_waiting(ttl: int) -> Decorator:
    """aiocache's, with a lock for each key."""
    from aiocache import cached_stampede

    return cached_stampede(ttl=ttl)


def cashews(ttl: int, **options: Any) -> Decorator:
    """cashews', over memory."""
    from cashews import Cache

    cache = Cache()
    cache.setup(f"mem://?size={CAPACITY}")
    return cache(ttl=ttl, key="user:{user}", **options)
