# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Every operation of a manager by its name, for promises that are made about all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..acompat import acollect

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

KEYED: dict[str, Callable[[CacheManager, Any], Any]] = {
    "get": lambda cache, key: cache.aget(key),
    "set": lambda cache, key: cache.aset(key, 1),
    "add": lambda cache, key: cache.aadd(key, 1),
    "pop": lambda cache, key: cache.apop(key),
    "delete": lambda cache, key: cache.adelete(key),
    "exists": lambda cache, key: cache.aexists(key),
    "touch": lambda cache, key: cache.atouch(key),
    "ttl": lambda cache, key: cache.attl(key),
    "incr": lambda cache, key: cache.aincr(key),
    "decr": lambda cache, key: cache.adecr(key),
    "get_many": lambda cache, key: cache.aget_many([key]),
    "set_many": lambda cache, key: cache.aset_many({key: 1}),
    "delete_many": lambda cache, key: cache.adelete_many([key]),
}
"""Operations on a key."""

BULK: dict[str, Callable[[CacheManager], Any]] = {
    "scan": lambda cache: acollect(cache.ascan()),
    "delete_matching": lambda cache: cache.adelete_matching("*"),
    "count": lambda cache: cache.acount(),
    "clear": lambda cache: cache.aclear(),
}
"""Operations on a namespace."""

TIMED: dict[str, Callable[[CacheManager, str, Any], Any]] = {
    "set": lambda cache, key, ttl: cache.aset(key, 1, ttl),
    "add": lambda cache, key, ttl: cache.aadd(key, 1, ttl),
    "touch": lambda cache, key, ttl: cache.atouch(key, ttl),
    "incr": lambda cache, key, ttl: cache.aincr(key, ttl=ttl),
    "decr": lambda cache, key, ttl: cache.adecr(key, ttl=ttl),
    "set_many": lambda cache, key, ttl: cache.aset_many({key: 1}, ttl),
}
"""Operations that take a ttl."""
