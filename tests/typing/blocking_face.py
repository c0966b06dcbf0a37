"""Checked by type checkers, never run: what the blocking face takes and returns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from symphra_cache import MISSING, CacheManager, CacheStats, Health
from symphra_cache.backends import FileBackend, MemoryBackend, NullBackend
from symphra_cache.backends.base import Backend
from symphra_cache.types import Missing


def makes_managers(folder: Path) -> None:
    assert_type(CacheManager(MemoryBackend()), CacheManager)
    CacheManager(FileBackend(folder / "cache.db", durability="full"), namespace="users")
    CacheManager(NullBackend(), name="pages", default_ttl=timedelta(hours=1), jitter=0.1)
    assert_type(CacheManager.from_url("memory://?max_size=1000"), CacheManager)
    assert_type(CacheManager.from_config({"backend": "memory"}), CacheManager)
    assert_type(CacheManager.from_config(folder / "cache.toml"), CacheManager)
    assert_type(CacheManager.from_env(), CacheManager)


def keeps_subclasses(url: str) -> None:
    class Pages(CacheManager):
        pass

    assert_type(Pages.from_url(url), Pages)
    assert_type(Pages.from_url(url).namespace("of-one-user"), Pages)
    with Pages.from_url(url) as pages:
        assert_type(pages, Pages)


def reads_and_writes(cache: CacheManager) -> None:
    assert_type(cache.get("k"), Any)
    assert_type(cache.get("k", MISSING), Any)
    assert_type(cache.set("k", ["any", "value"], ttl=60), bool)
    assert_type(cache.set("k", None, timedelta(minutes=1)), bool)
    assert_type(cache.set("k", None, None), bool)
    assert_type(cache.add("k", 1, 0.5), bool)
    assert_type(cache.pop("k", "default"), Any)
    assert_type(cache.delete("k"), bool)
    assert_type(cache.exists("k"), bool)
    assert_type("k" in cache, bool)
    assert_type(cache.touch("k", ttl=None), bool)
    assert_type(cache.ttl("k"), float | None)
    assert_type(cache.incr("n"), int)
    assert_type(cache.decr("n", 2, ttl=60), int)


def handles_many(cache: CacheManager) -> None:
    assert_type(cache.get_many(["a", "b"]), dict[str, Any])
    assert_type(cache.get_many({"a": 1}.keys()), dict[str, Any])
    assert_type(cache.set_many({"a": 1, "b": "two"}, ttl=60), list[str])
    assert_type(cache.delete_many(key for key in "ab"), int)
    assert_type(cache.scan("user:*"), Iterator[str])
    assert_type(cache.delete_matching("user:*"), int)
    assert_type(cache.count(), int)
    assert_type(len(cache), int)
    assert_type(cache.clear(nested=True), int)


def looks_after_itself(cache: CacheManager) -> None:
    assert_type(cache.backend, Backend)
    assert_type(cache.namespace("users"), CacheManager)
    assert_type(cache.ping(), Health)
    assert_type(cache.ping().latency, float)
    assert_type(cache.stats(), CacheStats)
    assert_type(cache.stats().evictions, int | None)
    assert_type(cache.stats().hit_ratio, float)
    cache.close()


def tells_a_miss_from_a_stored_none(found: str | Missing) -> None:
    if isinstance(found, Missing):
        assert_type(found, Missing)
    else:
        assert_type(found, str)


def refuses_what_is_wrong(cache: CacheManager) -> None:
    cache.get(1)  # type: ignore[arg-type]
    cache.set("k")  # type: ignore[call-arg]
    cache.set("k", 1, ttl="60")  # type: ignore[arg-type]
    cache.incr("n", 1.5)  # type: ignore[arg-type]
    cache.incr("n", 1, 60)  # type: ignore[call-arg]
    cache.clear(True)  # type: ignore[call-arg]
    cache.set_many(["a"])  # type: ignore[arg-type]
    CacheManager("memory")  # type: ignore[arg-type]
    CacheManager(MemoryBackend)  # type: ignore[arg-type]
    MemoryBackend(eviction="best")  # type: ignore[arg-type]
    MemoryBackend(isolation="none")  # type: ignore[arg-type]
    FileBackend("cache.db", durability="best")  # type: ignore[arg-type]
