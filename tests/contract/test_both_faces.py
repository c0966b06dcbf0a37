"""Two faces of one object: each sees and closes what the other does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheClosedError, CacheManager

from .compare import difference
from .samples import VALUES

if TYPE_CHECKING:
    from .backends import Kit


async def test_what_one_face_wrote_the_other_reads(cache: CacheManager) -> None:
    cache.set_many(VALUES)
    assert difference(await cache.aget_many(VALUES), VALUES) is None
    await cache.aclear()
    assert cache.count() == 0
    await cache.aset_many(VALUES, ttl=50)
    assert difference(cache.get_many(VALUES), VALUES) is None
    assert sorted(cache.scan()) == sorted([key async for key in cache.ascan()])


async def test_both_faces_take_turns_at_one_entry(cache: CacheManager) -> None:
    assert cache.add("k", 1)
    assert not await cache.aadd("k", 2)
    assert await cache.aincr("k", ttl=50) == 2
    assert cache.incr("k") == 3
    assert await cache.atouch("k", 50)
    assert 49 < (cache.ttl("k") or 0) <= 50
    assert cache.touch("k", None)
    assert await cache.attl("k") is None
    assert await cache.aexists("k")
    assert cache.exists("k")
    assert cache.pop("k") == 3
    assert await cache.apop("k") is None


async def test_both_faces_count_into_one(cache: CacheManager) -> None:
    cache.set("k", 1)
    await cache.aset("l", 1)
    cache.get("k")
    await cache.aget("k")
    await cache.aget("absent")
    assert cache.stats()[:3] == (2, 1, 2)


async def test_either_face_closes_both(kit: Kit) -> None:
    first, second = kit.open(kit.make()), kit.open(kit.make())
    for cache in (first, second):
        cache.set("k", 1)
        await cache.aset("k", 1)
    first.close()
    await second.aclose()
    for cache in (first, second):
        with pytest.raises(CacheClosedError):
            cache.get("k")
        with pytest.raises(CacheClosedError):
            await cache.aget("k")
        assert not cache.ping()
        assert not await cache.aping()
        cache.close()
        await cache.aclose()


async def test_a_manager_is_a_context_manager_on_both_faces(kit: Kit) -> None:
    for backend in (kit.make(), kit.make()):
        with kit.open(backend) as outer:
            async with outer as inner:
                assert inner is outer
                await inner.aset("k", 1)
            with pytest.raises(CacheClosedError):
                outer.get("k")


def test_every_operation_has_its_twin() -> None:
    operations = (
        "get set add pop delete exists touch ttl incr decr get_many set_many delete_many"
        " scan delete_matching count clear ping close"
    )
    for name in operations.split():
        assert callable(getattr(CacheManager, name))
        assert callable(getattr(CacheManager, f"a{name}"))
