"""Peers with a blocking face, in memory."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from harness.loops import Calls

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def moka(capacity: int, ttl: int | None, policy: str = "tiny_lfu") -> Calls:
    """moka-py, one time to live for all entries."""
    from moka_py import Moka

    cache = Moka(capacity, ttl=ttl, policy=policy)
    return Calls({"get": cache.get, "set": cache.set}, settle=cache.run_pending_tasks)


def cachebox_ttl(capacity: int, ttl: int | None) -> Calls:
    """Cachebox with one time to live for all entries; without one, its LRU."""
    from cachebox import LRUCache, TTLCache

    cache = LRUCache(capacity) if ttl is None else TTLCache(capacity, ttl)
    return Calls({"get": cache.get, "set": cache.insert})


def cachebox_vttl(capacity: int, ttl: int) -> Calls:
    """Cachebox with a time to live for each entry."""
    from cachebox import VTTLCache

    cache = VTTLCache(capacity)
    return Calls({"get": cache.get, "set": cache.insert}, set=f"set(key, value, {ttl})")


def cachetools(capacity: int, ttl: int | None) -> Calls:
    """Cachetools under a lock, as its documentation asks for where there are threads."""
    from cachetools import LRUCache, TTLCache

    cache = LRUCache(capacity) if ttl is None else TTLCache(capacity, ttl)
    return locked(cache)


def locked(cache: MutableMapping[str, object]) -> Calls:
    """Call a mapping under a lock."""
    lock = Lock()

    def get(key: str) -> object:
        with lock:
            return cache.get(key)

    def put(key: str, value: object) -> None:
        with lock:
            cache[key] = value

    return Calls({"get": get, "set": put})


def theine(capacity: int, ttl: int | None) -> Calls:
    """Theine: W-TinyLFU, and a thread that expires."""
    from theine import Cache

    cache = Cache(capacity)
    lifetime = None if ttl is None else timedelta(seconds=ttl)
    names = {"get": cache.get, "set": cache.set, "lifetime": lifetime}
    return Calls(names, "get(key)[0]", "set(key, value, lifetime)", close=cache.close)


def lru_dict(capacity: int, ttl: int | None) -> Calls:
    """lru-dict, written in C."""
    from lru import LRU

    cache = LRU(capacity)
    return Calls({"get": cache.get, "cache": cache}, set="cache[key] = value")


def functools_lru(capacity: int, ttl: int | None) -> Calls:
    """`functools.lru_cache`, which is filled by calling it."""
    waiting: dict[str, object] = {}
    call = lru_cache(maxsize=capacity)(lambda key: waiting.pop(key, None))
    names = {"get": call, "waiting": waiting}
    return Calls(names, set="waiting[key] = value; get(key)")


def django(capacity: int, ttl: int | None) -> Calls:
    """Django's local memory, which pickles every value."""
    from django.conf import settings
    from django.core.cache.backends.locmem import LocMemCache

    if not settings.configured:
        settings.configure()
    params = {"timeout": ttl, "OPTIONS": {"MAX_ENTRIES": capacity}}
    cache = LocMemCache(f"benchmark-{id(params)}-{capacity}", params)
    return Calls({"get": cache.get, "set": cache.set}, close=cache.clear)


def dogpile(capacity: int, ttl: int | None) -> Calls:
    """A region of dogpile.cache over its memory backend."""
    from dogpile.cache import make_region
    from dogpile.cache.api import NO_VALUE

    region = make_region().configure("dogpile.cache.memory", expiration_time=ttl or -1)
    names = {"get": region.get, "set": region.set, "NO_VALUE": NO_VALUE}
    return Calls(names, get="(None if (hit := get(key)) is NO_VALUE else hit)")
