"""Checked by type checkers, never run: what the asyncio face takes and returns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, assert_type

from symphra_cache import MISSING, CacheManager, Health


async def reads_and_writes(cache: CacheManager) -> None:
    assert_type(await cache.aget("k"), Any)
    assert_type(await cache.aget("k", MISSING), Any)
    assert_type(await cache.aset("k", ["any", "value"], ttl=60), bool)
    assert_type(await cache.aset("k", None, timedelta(minutes=1)), bool)
    assert_type(await cache.aadd("k", 1, 0.5), bool)
    assert_type(await cache.apop("k", "default"), Any)
    assert_type(await cache.adelete("k"), bool)
    assert_type(await cache.aexists("k"), bool)
    assert_type(await cache.atouch("k", ttl=None), bool)
    assert_type(await cache.attl("k"), float | None)
    assert_type(await cache.aincr("n"), int)
    assert_type(await cache.adecr("n", 2, ttl=60), int)


async def handles_many(cache: CacheManager) -> None:
    assert_type(await cache.aget_many(["a", "b"]), dict[str, Any])
    assert_type(await cache.aset_many({"a": 1, "b": "two"}, ttl=60), list[str])
    assert_type(await cache.adelete_many(key for key in "ab"), int)
    assert_type(cache.ascan("user:*"), AsyncIterator[str])
    async for key in cache.ascan():
        assert_type(key, str)
    assert_type(await cache.adelete_matching("user:*"), int)
    assert_type(await cache.acount(), int)
    assert_type(await cache.aclear(nested=True), int)


async def looks_after_itself(url: str) -> None:
    class Pages(CacheManager):
        pass

    async with Pages.from_url(url) as pages:
        assert_type(pages, Pages)
        assert_type(await pages.aping(), Health)
    await pages.aclose()


async def refuses_what_is_wrong(cache: CacheManager) -> None:
    cache.aget("k").upper()  # type: ignore[attr-defined]
    await cache.get_many(["a"])  # type: ignore[misc]
    await cache.aget(1)  # type: ignore[arg-type]
    await cache.aset("k", 1, ttl="60")  # type: ignore[arg-type]
    await cache.aincr("n", 1.5)  # type: ignore[arg-type]
    with cache.namespace("users") as users:
        assert_type(users, CacheManager)
