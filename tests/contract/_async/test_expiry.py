# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Expiry: when an entry goes, and what is left of it then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from symphra_cache import MISSING, ConfigurationError

from ..acompat import acollect
from ..clocks import TwoHands

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..acompat import SteppedClock
    from ..backends import Kit


async def test_an_entry_lives_for_its_ttl(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset("k", 1, ttl=0.5)
    await clock.aadvance(0.2)
    assert await cache.aget("k") == 1
    await clock.aadvance(0.4)
    assert await cache.aget("k") is None


async def test_fractions_of_a_second_count(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset("k", 1, ttl=0.05)
    left = await cache.attl("k")
    assert left is not None
    assert 0 < left <= 0.05
    await clock.aadvance(0.06)
    assert not await cache.aexists("k")


async def test_the_least_ttl_is_not_for_ever(cache: CacheManager, clock: SteppedClock) -> None:
    for ttl in (0.001, 0.0004, 1e-300):
        await cache.aset("k", 1, ttl=ttl)
        await clock.aadvance(0.002)
        assert not await cache.aexists("k")


@pytest.mark.needs("fake_clock")
async def test_expiry_is_exact_to_the_millisecond(cache: CacheManager, clock: SteppedClock) -> None:
    for milliseconds in (1, 2, 50, 123, 1_000, 59_999, 3_600_000, 100 * 365 * 86_400_000):
        await cache.aset("k", 1, ttl=milliseconds / 1_000)
        assert await cache.attl("k") == pytest.approx(milliseconds / 1_000, abs=1e-6)
        clock.fake.advance(timedelta(milliseconds=milliseconds - 1))
        assert await cache.aget("k") == 1
        assert await cache.aexists("k")
        assert await cache.attl("k") == pytest.approx(0.001, abs=1e-4)
        clock.fake.advance(timedelta(milliseconds=1))
        assert await cache.aget("k") is None
        assert not await cache.aexists("k")
        assert await cache.attl("k") == 0.0


@pytest.mark.needs("fake_clock")
async def test_a_positive_ttl_is_never_an_ended_one(
    cache: CacheManager, clock: SteppedClock
) -> None:
    for ttl in (0.0009, 0.0004, 1e-9, 5e-324, timedelta(microseconds=1)):
        await cache.aset("k", 1, ttl=ttl)
        assert await cache.aget("k") == 1
        clock.fake.advance(0.001)
        assert await cache.aget("k") is None


@pytest.mark.needs("fake_clock")
async def test_the_ttl_that_is_left_is_exact(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset("k", 1, ttl=10)
    for passed in (0.0, 0.25, 3.5, 9.999):
        clock.fake.advance(passed - (10 - (await cache.attl("k") or 0)))
        assert await cache.attl("k") == pytest.approx(10 - passed, abs=1e-6)


@pytest.mark.parametrize("value", [5, "text", None, [1, [2]]], ids=repr)
async def test_an_expired_entry_is_gone_for_every_operation(
    cache: CacheManager, clock: SteppedClock, value: object
) -> None:
    reads = {
        "get": lambda: cache.aget("k", MISSING),
        "get_many": lambda: cache.aget_many(["k"]),
        "pop": lambda: cache.apop("k", MISSING),
        "delete": lambda: cache.adelete("k"),
        "delete_many": lambda: cache.adelete_many(["k"]),
        "exists": lambda: cache.aexists("k"),
        "touch": lambda: cache.atouch("k", 60),
        "touch for ever": lambda: cache.atouch("k", None),
        "touch away": lambda: cache.atouch("k", 0),
        "ttl": lambda: cache.attl("k"),
        "scan": lambda: acollect(cache.ascan()),
        "scan by pattern": lambda: acollect(cache.ascan("k*")),
        "delete_matching": lambda: cache.adelete_matching("*"),
        "count": lambda: cache.acount(),
        "clear": lambda: cache.aclear(),
        "nested clear": lambda: cache.aclear(nested=True),
        "add of nothing": lambda: cache.aadd("k", "new", 0),
        "add": lambda: cache.aadd("k", "new"),
    }
    answers = {
        **dict.fromkeys(reads, 0),
        "get": MISSING,
        "get_many": {},
        "pop": MISSING,
        "scan": [],
        "scan by pattern": [],
        "add of nothing": True,
        "add": True,
    }
    for name, call in reads.items():
        await cache.aset("k", value, ttl=0.05)
        await clock.aadvance(0.05)
        assert await call() == answers[name], name
    assert await cache.aget("k") == "new"
    assert await cache.attl("k") is None


async def test_a_counter_that_expired_starts_at_zero(
    cache: CacheManager, clock: SteppedClock
) -> None:
    for value in (41, "text", [1]):
        await cache.aset("k", value, ttl=0.05)
        await clock.aadvance(0.05)
        assert await cache.aincr("k", ttl=50) == 1
        left = await cache.attl("k")
        assert left is not None
        assert 49 < left <= 50
        assert await cache.aget("k") == 1


async def test_an_expired_counter_is_not_stored_anew_with_an_ended_ttl(
    cache: CacheManager, clock: SteppedClock
) -> None:
    await cache.aset("k", 41, ttl=0.05)
    await clock.aadvance(0.05)
    assert await cache.aincr("k", ttl=0) == 1
    assert not await cache.aexists("k")


async def test_only_what_expired_is_gone(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset_many({f"short-{number}": number for number in range(40)}, ttl=0.05)
    await cache.aset_many({f"long-{number}": number for number in range(40)}, ttl=50)
    await cache.aset_many({f"ever-{number}": number for number in range(40)})
    await clock.aadvance(0.06)
    assert await cache.acount() == 80
    keys = await acollect(cache.ascan())
    assert len(keys) == 80
    assert not [key for key in keys if key.startswith("short")]
    assert await cache.adelete_matching("short*") == 0
    assert await cache.adelete_many([f"short-{number}" for number in range(40)]) == 0
    assert await cache.aclear() == 80


async def test_an_entry_that_was_written_again_lives_by_its_new_ttl(
    cache: CacheManager, clock: SteppedClock
) -> None:
    for key in ("again", "for ever", "touched", "persisted"):
        await cache.aset(key, 1, ttl=0.05)
    await cache.aset("again", 2, ttl=50)
    await cache.aset("for ever", 2)
    assert await cache.atouch("touched", 50)
    assert await cache.atouch("persisted", None)
    await clock.aadvance(0.06)
    for number in range(40):  # writes, which may tidy up
        await cache.aset(f"other-{number}", number, ttl=0.01)
    assert await cache.aget_many(["again", "for ever", "touched", "persisted"]) == {
        "again": 2,
        "for ever": 2,
        "touched": 1,
        "persisted": 1,
    }


async def test_an_entry_may_get_a_shorter_ttl(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset_many({"set": 1, "touched": 1}, ttl=50)
    await cache.aset("set", 2, ttl=0.05)
    await cache.atouch("touched", 0.05)
    await clock.aadvance(0.06)
    assert await cache.acount() == 0


@pytest.mark.needs("two_clocks")
async def test_time_is_the_right_one_of_the_two(kit: Kit) -> None:
    hands = TwoHands()
    cache = kit.open(kit.make(clock=hands))
    await cache.aset("k", 1, ttl=10)
    if kit.kind == "file":  # what processes share is the wall's time
        hands.steady += 1_000_000_000_000
        assert await cache.aget("k") == 1
        hands.wall += 10_000_000_000
    else:
        hands.wall += 1_000_000_000_000
        assert await cache.aget("k") == 1
        hands.steady += 10_000_000_000
    assert await cache.aget("k") is None


async def amany_ttls(cache: CacheManager) -> list[float]:
    found = [await cache.attl(key) for key in await acollect(cache.ascan())]
    return [left for left in found if left is not None]


def assert_spread(ttls: list[float], around: float, share: float) -> None:
    assert len(ttls) == 200
    assert min(ttls) >= around * (1 - share) - 1
    assert max(ttls) <= around * (1 + share) + 0.001
    # Far more than chance would have it: each bound fails once in 10**8 runs.
    assert min(ttls) < around * (1 - share * 0.8)
    assert max(ttls) > around * (1 + share * 0.8)
    assert around * (1 - share / 4) < sum(ttls) / len(ttls) < around * (1 + share / 4)


@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_jitter_spreads_a_ttl_both_ways(kit: Kit, share: float) -> None:
    cache = kit.open(jitter=share, default_ttl=1_000)
    keys = [f"k{number}" for number in range(200)]
    calls = {
        "set": lambda key: cache.aset(key, 1, ttl=1_000),
        "touch": lambda key: cache.atouch(key, ttl=1_000),
        "touch by default": lambda key: cache.atouch(key),
        "add": lambda key: cache.aadd(key, 1, ttl=1_000),
        "incr": lambda key: cache.aincr(key, ttl=1_000),
        "set by default": lambda key: cache.aset(key, 1),
    }
    for name, call in calls.items():
        await (cache.aset_many(dict.fromkeys(keys, 1), None) if "touch" in name else cache.aclear())
        for key in keys:
            await call(key)
        assert_spread(await amany_ttls(cache), 1_000, share)


async def test_jitter_spreads_the_entries_of_one_set_many(kit: Kit) -> None:
    cache = kit.open(jitter=0.1)
    await cache.aset_many({f"k{number}": 1 for number in range(200)}, ttl=1_000)
    assert_spread(await amany_ttls(cache), 1_000, 0.1)


async def test_without_jitter_a_ttl_is_what_was_given(kit: Kit) -> None:
    for cache in (kit.open(), kit.open(jitter=0), kit.open(jitter=0.0)):
        for _ in range(20):
            await cache.aset("k", 1, ttl=1_000)
            left = await cache.attl("k")
            assert left is not None
            assert 999 < left <= 1_000


async def test_jitter_leaves_never_and_already_expired_alone(kit: Kit) -> None:
    cache = kit.open(jitter=0.9)
    for _ in range(20):
        await cache.aset("k", 1)
        assert await cache.attl("k") is None
        await cache.aset("k", 1, ttl=0)
        assert not await cache.aexists("k")
        await cache.aset("k", 1, ttl=-5)
        assert not await cache.aexists("k")


async def test_jitter_keeps_the_shortest_and_the_longest_ttl_legal(kit: Kit) -> None:
    cache = kit.open(jitter=0.99)
    for _ in range(50):
        await cache.aset("k", 1, ttl=0.001)
        await cache.aset("k", 1, ttl=100 * 365 * 86_400)
        assert await cache.aexists("k")


def test_a_wrong_jitter_is_refused(kit: Kit) -> None:
    for jitter in (-0.1, -1, 1, 1.0, 1.5, 10, True, False, "0.1", None, float("nan"), [0.1]):
        with pytest.raises(ConfigurationError, match="jitter"):
            kit.open(jitter=jitter)
