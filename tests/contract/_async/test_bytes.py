# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What `max_bytes` promises: the sizes of all entries never add up to more."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheError, ConfigurationError, ValueTooLargeError

from ..acompat import acollect, arace
from ..weights import Scales, fits, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..acompat import SteppedClock
    from ..backends import Kit

pytestmark = pytest.mark.needs("bounds")

WRITES: dict[str, Callable[[CacheManager, str, Any], Any]] = {
    "set": lambda cache, key, value: cache.aset(key, value),
    "set with a ttl": lambda cache, key, value: cache.aset(key, value, ttl=60),
    "add": lambda cache, key, value: cache.aadd(key, value),
    "set_many": lambda cache, key, value: cache.aset_many({key: value}, ttl=60),
}
REMOVALS: dict[str, Callable[[CacheManager], Any]] = {
    "delete": lambda cache: cache.adelete("k"),
    "pop": lambda cache: cache.apop("k"),
    "delete_many": lambda cache: cache.adelete_many(["k", "absent"]),
    "delete_matching": lambda cache: cache.adelete_matching("k"),
    "touch with a ttl of 0": lambda cache: cache.atouch("k", 0),
    "set with a ttl of 0": lambda cache: cache.aset("k", b"x", ttl=0),
}
NOTICING: dict[str, Callable[[CacheManager], Any]] = {
    "get": lambda cache: cache.aget("k"),
    "get_many": lambda cache: cache.aget_many(["k"]),
    "pop": lambda cache: cache.apop("k"),
    "delete": lambda cache: cache.adelete("k"),
    "exists": lambda cache: cache.aexists("k"),
    "touch": lambda cache: cache.atouch("k", 5),
    "a write": lambda cache: cache.aset("other", b""),
}
each_write = pytest.mark.parametrize("write", WRITES)


async def aweigh(cache: CacheManager) -> int:
    """Return the weights of what lives in a cache."""
    found = await cache.aget_many(await acollect(cache.ascan()))
    return sum(map(weight, found.values()))


async def test_bytes_are_the_sum_of_all_sizes(kit: Kit) -> None:
    first = kit.open(kit.make(max_bytes=1_000, sizeof=weight))
    second, third = kit.open(first.backend, namespace="other"), first.namespace("users")
    assert first.stats().bytes == 0
    await first.aset("a", b"x" * 10)
    await second.aset("a", b"x" * 20)
    await third.aset_many({"a": b"x" * 30, "b": b""}, ttl=60)
    assert await third.aadd("c", b"x" * 40)
    assert await first.aincr("counter") == 1
    assert first.stats().bytes == second.stats().bytes == 108
    assert first.stats().evictions == 0


async def test_without_max_bytes_nobody_counts_bytes(cache: CacheManager) -> None:
    await cache.aset("k", b"x" * 1_000)
    assert cache.stats().bytes is None
    await cache.adelete("k")
    assert cache.stats().bytes is None


async def test_a_value_of_exactly_max_bytes_fits(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    for number in range(5):
        await cache.aset(f"k{number}", b"x" * 100)
        assert await acollect(cache.ascan()) == [f"k{number}"]
        assert cache.stats().bytes == 100


@each_write
async def test_a_value_that_is_too_large_leaves_all_as_it_was(kit: Kit, write: str) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset_many({"k": b"old", "l": b"other"}, ttl=50)
    for key in ("k", "absent"):
        with pytest.raises(ValueTooLargeError, match="max_bytes=100") as caught:
            await WRITES[write](cache, key, b"x" * 101)
        assert isinstance(caught.value, CacheError)
        assert "bytes of 101 bytes" in str(caught.value)
    assert await cache.aget_many(["k", "l", "absent"]) == {"k": b"old", "l": b"other"}
    assert await cache.attl("k") == 50
    assert (cache.stats().bytes, cache.stats().sets, cache.stats().evictions) == (8, 2, 0)


async def test_one_value_that_is_too_large_keeps_set_many_from_writing_any(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset("k", b"old")
    with pytest.raises(ValueTooLargeError):
        await cache.aset_many({"j": b"x", "k": b"new", "l": b"x" * 101})
    assert await acollect(cache.ascan()) == ["k"]
    assert await cache.aget("k") == b"old"


async def test_a_counter_that_grows_too_large_stays_as_it_was(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=lambda value: value))
    assert await cache.aincr("k", 60) == 60
    assert await cache.aincr("k", 40) == 100
    for delta in (1, 1_000):
        with pytest.raises(ValueTooLargeError):
            await cache.aincr("k", delta)
        with pytest.raises(ValueTooLargeError):
            await cache.aincr("absent", 100 + delta)
    assert await cache.aget_many(["k", "absent"]) == {"k": 100}
    assert cache.stats().bytes == 100


@each_write
async def test_only_as_many_entries_go_as_must(kit: Kit, write: str) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    for number in range(10):
        await cache.aset(f"k{number}", b"x" * 10)
    await WRITES[write](cache, "new", b"x" * 35)
    assert await cache.aget("new") == b"x" * 35
    assert (cache.stats().bytes, cache.stats().evictions, cache.stats().entries) == (95, 4, 7)
    await cache.aset("small", b"x" * 5)
    assert (cache.stats().bytes, cache.stats().evictions) == (100, 4)


async def test_an_entry_replaced_by_a_larger_one_makes_room(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset_many({"a": b"x" * 30, "b": b"x" * 30, "c": b"x" * 30})
    await cache.aset("c", b"x" * 40)
    assert (cache.stats().bytes, cache.stats().evictions) == (100, 0)
    await cache.aset("c", b"x" * 41)
    assert sorted(await acollect(cache.ascan())) == ["b", "c"]
    assert (cache.stats().bytes, cache.stats().evictions) == (71, 1)
    await cache.aset("c", b"x" * 100)
    assert await cache.aget_many(["b", "c"]) == {"c": b"x" * 100}
    await cache.aset("c", b"x" * 10)
    assert (cache.stats().bytes, cache.stats().evictions) == (10, 2)


async def test_a_counter_that_grows_makes_room(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=lambda value: value))
    await cache.aset("other", 60)
    assert await cache.aincr("k", 40, ttl=60) == 40
    assert await cache.aincr("k", 50) == 90
    assert await cache.aget_many(["other", "k"]) == {"k": 90}
    assert await cache.attl("k") == 60
    assert await cache.adecr("k", 80) == 10
    assert (cache.stats().bytes, cache.stats().entries) == (10, 1)


@pytest.mark.parametrize("remove", REMOVALS)
async def test_what_is_removed_gives_its_bytes_back(kit: Kit, remove: str) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset_many({"k": b"x" * 60, "l": b"x"}, ttl=50)
    await REMOVALS[remove](cache)
    assert (cache.stats().bytes, cache.stats().entries) == (1, 1)
    await cache.aset("m", b"x" * 99)
    assert (cache.stats().bytes, cache.stats().evictions) == (100, 0)


@pytest.mark.parametrize("notice", NOTICING)
async def test_what_expired_gives_its_bytes_back(
    kit: Kit, clock: SteppedClock, notice: str
) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset("k", b"x" * 60, ttl=5)
    await cache.aset("l", b"x")
    await clock.aadvance(5)
    await NOTICING[notice](cache)
    assert (cache.stats().bytes, cache.stats().expirations) == (1, 1)


async def test_clear_and_close_give_all_bytes_back(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    users = cache.namespace("users")
    await cache.aset_many({"a": b"x" * 10, "b": b"x" * 20}, ttl=60)
    await users.aset("a", b"x" * 40)
    assert await cache.aclear() == 2
    assert cache.stats().bytes == 40
    await cache.aset("a", b"x" * 5)
    assert await cache.aclear(nested=True) == 2
    assert cache.stats().bytes == 0
    await cache.aset("a", b"x" * 5)
    await cache.aclose()
    assert cache.stats().bytes == 0


async def test_what_changes_no_value_changes_no_size(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset_many({"k": b"x" * 30, "l": [b"x"] * 10}, ttl=60)
    for ttl in (5, 500, None, 60):
        assert await cache.atouch("k", ttl)
        assert not await cache.aadd("l", b"")
        await cache.aget_many(["k", "l", "absent"])
        assert await cache.aexists("k")
        assert await cache.attl("k") == ttl
        assert await cache.acount() == 2
        assert cache.stats().bytes == 40


async def test_both_bounds_hold(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=5, max_bytes=100, sizeof=weight))
    for number in range(20):
        await cache.aset(f"small-{number}", b"x")
    assert (cache.stats().bytes, cache.stats().entries) == (5, 5)
    await cache.aset("large", b"x" * 99)
    assert (cache.stats().bytes, cache.stats().entries) == (100, 2)


async def test_entries_of_no_size_are_bounded_by_their_number(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=10, max_bytes=1, sizeof=lambda value: 0))
    for number in range(50):
        await cache.aset(f"k{number}", number)
    assert (cache.stats().bytes, cache.stats().entries) == (0, 10)


@pytest.mark.needs("lru")
async def test_the_least_recently_used_make_room_for_bytes(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100, sizeof=weight))
    await cache.aset_many(dict.fromkeys("abcde", b"x" * 20))
    for key in "dacbe":
        await cache.aget(key)
    await cache.aset("new", b"x" * 41)
    assert sorted(await acollect(cache.ascan())) == ["b", "e", "new"]


@pytest.mark.parametrize("estimated", [True, False], ids=["estimated", "sizeof"])
async def test_any_run_of_operations_keeps_the_sum_right(
    kit: Kit, clock: SteppedClock, estimated: bool
) -> None:
    sizes: dict[str, Any] = {"max_bytes": 9_000} if estimated else {"max_bytes": 500}
    cache = kit.open(kit.make(**sizes, sizeof=None if estimated else weight))
    random = Random(7)
    for _ in range(1_500):
        key = f"k{random.randrange(40)}"
        value = random.choice([b"x" * random.randrange(60), [b"x"] * 5, [[b"x"] * 7]])
        ttl = random.choice([None, 0, 1, 3, random.random() * 5])
        step = random.choice(["set", "set", "set", "add", "many", "incr", "touch", "pop", "wait"])
        if step == "set":
            await cache.aset(key, value, ttl)
        elif step == "add":
            await cache.aadd(key, value, ttl)
        elif step == "many":
            await cache.aset_many({key: value, "last": value}, ttl)
        elif step == "incr":
            await cache.aincr(f"counter-{key}", ttl=ttl)
        elif step == "touch":
            await cache.atouch(key, ttl)
        elif step == "pop":
            await cache.apop(key)
        else:
            await clock.aadvance(0.2)
        kit.check(cache)
        if not estimated:
            assert (cache.stats().bytes or 0) >= await aweigh(cache)
    assert (cache.stats().evictions or 0) > 20
    await cache.aclear()
    await clock.aadvance(5)
    await cache.aset("k", b"x")
    assert estimated or cache.stats().bytes == await aweigh(cache)


async def test_a_race_never_exceeds_max_bytes(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=300, sizeof=weight))
    seen = []

    async def ause(who: int) -> None:
        for turn in range(50):
            await cache.aset(f"{who}-{turn % 7}", b"x" * (turn % 40), ttl=60)
            await cache.aincr(f"counter-{turn % 3}")
            await cache.apop(f"{who - 1}-{turn % 7}")
            seen.append(cache.stats().bytes or 0)

    await arace(ause)
    assert max(seen) <= 300
    assert cache.stats().bytes == await aweigh(cache)


async def test_an_estimate_counts_key_and_all_parts_of_a_value(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=1_000_000))
    sizes = {}
    for name, key, value in (
        ("least", "k", None),
        ("long key", "k" * 1_000, None),
        ("bytes", "k", b"x" * 10_000),
        ("list", "k", ["x" * 1_000 for _ in range(20)]),
        ("flat list", "k", [f"{number:0500}" for number in range(20)]),
        ("dict", "k", {f"{number:0500}": 10**500 + number for number in range(20)}),
        ("nested", "k", [[[f"{number:0500}"] for number in range(20)]]),
    ):
        await cache.aset(key, value)
        sizes[name] = cache.stats().bytes or 0
        await cache.adelete(key)
        assert cache.stats().bytes == 0
    assert 100 < sizes["least"] < 500
    assert sizes["long key"] >= sizes["least"] + 990
    assert 10_000 < sizes["bytes"] < 11_000
    assert sizes["flat list"] > 10_000
    assert sizes["dict"] > 14_000
    assert sizes["nested"] > 10_000


async def test_an_estimate_looks_into_shared_objects(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=100_000, isolation="shared"))
    ring: list[Any] = [bytes(10_000)]
    ring += [ring, ring]  # holds itself, and is counted once
    await cache.aset("k", Scales({"parts": ring}))
    assert 10_000 < (cache.stats().bytes or 0) < 12_000
    with pytest.raises(ValueTooLargeError, match="a Scales of"):
        await cache.aset("l", Scales(bytes(100_000)))


def test_a_wrong_max_bytes_is_refused(kit: Kit) -> None:
    for wrong in (0, -1, True, False, 1.0, 10.5, "10", b"10", [10], float("inf")):
        with pytest.raises(ConfigurationError, match="max_bytes") as caught:
            kit.make(max_bytes=wrong)
        assert isinstance(caught.value, ValueError)
    assert fits(kit.make(max_bytes=1), None) is False
    assert fits(kit.make(max_bytes=None), b"x" * 100_000) is True
