# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What outlives the backend object that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from symphra_cache import MISSING

from .. import samples
from ..acompat import acollect
from ..compare import difference

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import FileKit

pytestmark = pytest.mark.needs("persistent")


async def areopened(kit: FileKit, cache: CacheManager) -> CacheManager:
    await cache.aclose()
    return kit.open(kit.again())


async def test_values_survive_closing_and_reopening(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset_many(samples.VALUES)
    cache = await areopened(kit, cache)
    assert difference(await cache.aget_many(samples.VALUES), samples.VALUES) is None
    assert sorted(await acollect(cache.ascan())) == sorted(samples.VALUES)


async def test_a_ttl_goes_on_while_the_cache_is_closed(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("short", 1, ttl=5)
    await cache.aset("long", 1, ttl=50)
    await cache.aset("ever", 1)
    await cache.aclose()
    await kit.clock.aadvance(6)
    cache = kit.open(kit.again())
    assert await cache.aget("short", MISSING) is MISSING
    left = await cache.attl("long")
    assert left is not None
    assert 43 < left <= 44
    assert await cache.attl("ever") is None
    assert await cache.acount() == 2


async def test_counters_go_on(kit: FileKit, cache: CacheManager) -> None:
    await cache.aincr("k", 41, ttl=50)
    cache = await areopened(kit, cache)
    assert await cache.aincr("k") == 42
    assert await cache.attl("k") is not None


async def test_removals_survive_too(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset_many({key: key for key in "abcdef"})
    await cache.adelete("a")
    await cache.apop("b")
    await cache.adelete_many(["c"])
    await cache.adelete_matching("d")
    await cache.aset("e", 1, ttl=0)
    cache = await areopened(kit, cache)
    assert await acollect(cache.ascan()) == ["f"]
    await cache.aclear()
    cache = await areopened(kit, cache)
    assert await cache.acount() == 0


async def test_namespaces_survive(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", "outer")
    await cache.namespace("users").aset("k", "inner")
    cache = await areopened(kit, cache)
    assert await cache.aget("k") == "outer"
    assert await cache.namespace("users").aget("k") == "inner"
    assert await cache.aclear() == 1
    assert await cache.aclear(nested=True) == 1


async def test_counts_begin_anew(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", 1)
    cache = await areopened(kit, cache)
    assert cache.stats()[:6] == (0, 0, 0, 0, 0, 0)


@pytest.mark.needs("file")
async def test_a_cache_begins_without_a_file_or_a_folder(kit: FileKit) -> None:
    for path in (kit.folder / "new.db", kit.folder / "deep" / "er" / "new.db"):
        cache = kit.open(kit.again(path))
        assert await cache.aget("k") is None
        assert await cache.aset("k", 1)
        await cache.aclose()
        assert path.is_file()
        assert await kit.open(kit.again(path)).aget("k") == 1


async def test_two_backends_on_one_file_are_one_cache(kit: FileKit, cache: CacheManager) -> None:
    other = kit.open(kit.again())
    for turn in range(5):
        await cache.aset("k", turn)
        assert await other.aget("k") == turn
        assert await other.aincr("k", 10) == turn + 10
        kit.wait_heard()
        assert await cache.aget("k") == turn + 10
        assert await other.aadd("k", 0) is False
        assert await other.apop("k") == turn + 10
        kit.wait_heard()
        assert await cache.aexists("k") is False
    await other.aclose()
    await cache.aset("k", "still open")
    assert await cache.aget("k") == "still open"
