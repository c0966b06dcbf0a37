# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What memory alone promises: a bound; with LRU, the least recently used entry goes first."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import MISSING, CacheError, ConfigurationError

from .. import samples
from ..acompat import acollect
from ..clocks import Meddler

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..acompat import SteppedClock
    from ..backends import Kit

pytestmark = pytest.mark.needs("bounds")
by_use = pytest.mark.needs("lru")

USES: dict[str, Callable[[CacheManager, str], Any]] = {
    "get": lambda cache, key: cache.aget(key),
    "get_many": lambda cache, key: cache.aget_many([key]),
    "set": lambda cache, key: cache.aset(key, 1),
    "set with a ttl": lambda cache, key: cache.aset(key, 1, ttl=60),
    "set_many": lambda cache, key: cache.aset_many({key: 1}),
    "touch": lambda cache, key: cache.atouch(key, 60),
}
NO_USES: dict[str, Callable[[CacheManager, str], Any]] = {
    "exists": lambda cache, key: cache.aexists(key),
    "ttl": lambda cache, key: cache.attl(key),
    "scan": lambda cache, key: acollect(cache.ascan(key)),
    "count": lambda cache, key: cache.acount(),
    "delete_matching of another": lambda cache, key: cache.adelete_matching("absent"),
    "ping": lambda cache, key: cache.aping(),
}
VALUES = {"shared": 1, "copied": [1], "pickled": [[1]]}


@by_use
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_the_least_recently_used_entry_goes_first(kit: Kit, value: object) -> None:
    cache = kit.open(kit.make(max_size=3))
    for number in range(10):
        await cache.aset(f"k{number}", value)
        kept = [f"k{each}" for each in range(max(0, number - 2), number + 1)]
        assert sorted(await acollect(cache.ascan())) == kept


@by_use
@pytest.mark.parametrize("path", [(), ("users",)], ids=["plain", "nested"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("use", USES)
async def test_a_read_or_write_by_its_key_is_a_use(
    kit: Kit, use: str, value: object, path: tuple[str, ...]
) -> None:
    cache = kit.open(kit.make(max_size=3))
    for name in path:
        cache = cache.namespace(name)
    await cache.aset_many(dict.fromkeys("abc", value))
    await USES[use](cache, "a")
    await cache.aset("d", 1)
    assert sorted(await acollect(cache.ascan())) == ["a", "c", "d"]


@by_use
async def test_incr_and_decr_are_uses(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many({"a": 1, "b": 1, "c": 1})
    await cache.aincr("a")
    await cache.adecr("b")
    await cache.aset("d", 1)
    assert sorted(await acollect(cache.ascan())) == ["a", "b", "d"]


@by_use
@pytest.mark.parametrize("path", [(), ("users",)], ids=["plain", "nested"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("use", NO_USES)
async def test_looking_at_an_entry_is_no_use(
    kit: Kit, use: str, value: object, path: tuple[str, ...]
) -> None:
    cache = kit.open(kit.make(max_size=3))
    for name in path:
        cache = cache.namespace(name)
    await cache.aset_many(dict.fromkeys("abc", value))
    await NO_USES[use](cache, "a")
    await cache.aset("d", 1)
    assert sorted(await acollect(cache.ascan())) == ["b", "c", "d"]


@by_use
async def test_a_read_that_missed_is_no_use(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=2))
    await cache.aset_many({"a": 1, "b": 1})
    await cache.aget("absent")
    await cache.aset("c", 1)
    assert sorted(await acollect(cache.ascan())) == ["b", "c"]


@by_use
async def test_the_order_of_uses_decides(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=5))
    await cache.aset_many(dict.fromkeys("abcde", 1))
    for key in "dacbe":
        await cache.aget(key)
    for number, gone in enumerate("dacbe"):
        await cache.aset(f"new-{number}", 1)
        assert not await cache.aexists(gone)


async def test_replacing_an_entry_evicts_nothing(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many({"a": 1, "b": 2, "c": 3})
    for _ in range(5):
        await cache.aset("a", [1], ttl=60)
        await cache.aincr("b")
        await cache.atouch("c")
        await cache.aadd("c", 1)
    assert await cache.acount() == 3
    assert cache.stats().evictions == 0


@by_use
async def test_the_bound_is_that_of_the_backend(kit: Kit) -> None:
    first = kit.open(kit.make(max_size=3))
    second, third = kit.open(first.backend, namespace="other"), first.namespace("users")
    await first.aset("a", 1)
    await second.aset("a", 2)
    await third.aset("a", 3)
    await first.aget("a")
    await second.aset("b", 2)
    assert await first.aexists("a")
    assert not await second.aexists("a")
    assert await third.aexists("a")


async def test_every_kind_of_write_keeps_the_bound(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many({f"many-{number}": number for number in range(20)})
    assert await cache.acount() == 3
    for number in range(5):
        await cache.aadd(f"add-{number}", number)
        await cache.aincr(f"incr-{number}")
        await cache.aset(f"set-{number}", number, ttl=60)
        assert cache.stats().entries == 3


async def test_a_single_entry_is_a_bound(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=1))
    await cache.aset("a", 1)
    await cache.aset("b", 2)
    assert await acollect(cache.ascan()) == ["b"]


async def test_max_size_is_10_000_unless_given(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": None for number in range(10_000)})
    assert await cache.acount() == 10_000
    await cache.aset("one more", None)
    assert await cache.acount() == 10_000
    assert not await cache.aexists("k0")


async def test_max_size_of_none_is_no_bound(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=None))
    await cache.aset_many({f"k{number}": None for number in range(10_500)})
    assert await cache.acount() == 10_500
    assert cache.stats().evictions == 0


def test_a_wrong_max_size_is_refused(kit: Kit) -> None:
    for wrong in (0, -1, True, False, 1.0, 10.5, "10", b"10", [10], float("inf")):
        with pytest.raises(ConfigurationError, match="max_size") as caught:
            kit.make(max_size=wrong)
        assert isinstance(caught.value, CacheError)
        assert isinstance(caught.value, ValueError)


async def test_expired_entries_make_room(kit: Kit, clock: SteppedClock) -> None:
    cache = kit.open(kit.make(max_size=10))
    await cache.aset("old", 1)
    await cache.aset_many({f"short-{number}": number for number in range(9)}, ttl=5)
    await clock.aadvance(5)
    await cache.aset_many({f"new-{number}": number for number in range(9)})
    assert await cache.aget("old") == 1
    assert cache.stats().evictions == 0


async def test_what_expired_is_dropped_by_later_writes(kit: Kit, clock: SteppedClock) -> None:
    cache = kit.open(kit.make(max_size=None))
    for turn in range(5):
        await cache.aset_many({f"{turn}-{number}": number for number in range(1_000)}, ttl=5)
        await clock.aadvance(5)
    entries = cache.stats().entries
    assert entries is not None
    assert entries <= 1_100


async def test_writing_an_entry_again_and_again_takes_no_more_memory(cache: CacheManager) -> None:
    tracemalloc.start()
    try:
        await cache.aset("k", 1, ttl=50)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(15_000):
            await cache.aset("k", 1, ttl=50)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000


async def test_reading_an_expired_entry_drops_it(kit: Kit, clock: SteppedClock) -> None:
    cache = kit.open()
    for read in (cache.aget, cache.aexists, cache.attl, cache.apop):
        await cache.aset("k", 1, ttl=5)
        await clock.aadvance(5)
        await read("k")
        assert cache.stats().entries == 0


@pytest.mark.parametrize("look", [1, 2, 3])
@pytest.mark.parametrize("read", ["aget", "aexists", "attl"])
async def test_an_entry_that_is_written_while_its_forerunner_expires_stays(
    kit: Kit, read: str, look: int
) -> None:
    clock = Meddler()
    cache = kit.open(kit.make(clock=clock))
    await cache.aset("k", "old", ttl=5)
    clock.steady += 5_000_000_000
    clock.meddle = lambda: cache.set("k", "new")
    clock.at = clock.looks + look
    await getattr(cache, read)("k")
    if clock.looks >= clock.at:
        assert await cache.aget("k") == "new"


async def test_an_object_that_can_not_be_made_again_is_a_miss(
    kit: Kit, cache: CacheManager, caplog: pytest.LogCaptureFixture
) -> None:
    other = kit.open(namespace="other")
    for each in (cache, other):
        await each.aset_many({"k": samples.Unloadable(), "l": [samples.Unloadable()], "m": 1})
        assert await each.aget("k", MISSING) is MISSING
        assert await each.aget_many(["k", "l", "m"]) == {"m": 1}
        assert each.stats()[:6] == (1, 3, 3, 0, 3, 0)
        assert await each.aexists("k")
        assert await each.apop("k", "default") == "default"
    records = [record for record in caplog.records if record.name == "symphra_cache"]
    assert [record.levelname for record in records] == ["WARNING"] * 2
    assert "'symphra'" in records[0].getMessage()
    assert "'other'" in records[1].getMessage()
