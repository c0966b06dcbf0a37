# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Many callers at once: what is one step has one winner, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from symphra_cache import MISSING

from ..acompat import arace, asleep
from ..clocks import Dawdler

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import Kit

ROUNDS = 10
VALUES = {"int": 7, "text": "prize", "nested": {"a": [1]}, "None": None}


async def test_add_has_one_winner_in_a_run_over_many_keys(cache: CacheManager) -> None:
    keys = [f"k{number}" for number in range(60)]

    async def aadd_all(who: int) -> list[bool]:
        return [await cache.aadd(key, who) for key in keys]

    answers = await arace(aadd_all)
    for key, won in zip(keys, zip(*answers, strict=True), strict=True):
        assert won.count(True) == 1
        assert await cache.aget(key) == won.index(True)


async def test_add_has_one_winner(cache: CacheManager) -> None:
    for turn in range(ROUNDS):
        key = f"k{turn}"
        answers = await arace(lambda who, key=key: cache.aadd(key, [who]))
        assert Counter(answers) == {True: 1, False: len(answers) - 1}
        assert await cache.aget(key) == [answers.index(True)]


async def test_add_of_managers_on_one_backend_has_one_winner(kit: Kit) -> None:
    managers = [kit.open() for _ in range(5)]
    for turn in range(ROUNDS):
        key = f"k{turn}"
        answers = await arace(lambda who, key=key: managers[who % 5].aadd(key, who))
        assert answers.count(True) == 1
        assert await managers[0].aget(key) == answers.index(True)


async def test_add_over_an_expired_entry_has_one_winner(kit: Kit, cache: CacheManager) -> None:
    for turn in range(ROUNDS):
        key = f"k{turn}"
        await cache.aset(key, "old", ttl=0.02)
        await kit.clock.aadvance(0.03)
        answers = await arace(lambda who, key=key: cache.aadd(key, who))
        assert answers.count(True) == 1
        assert await cache.aget(key) == answers.index(True)


@pytest.mark.needs("two_clocks")
async def test_an_expired_entry_is_replaced_once_however_slow_the_clock(kit: Kit) -> None:
    clock = Dawdler()
    cache = kit.open(kit.make(clock=clock))
    await cache.aset_many({"add": "old", "incr": 7}, ttl=5)
    await cache.aset_many({"pop": "prize", "delete": "prize"}, ttl=50)
    clock.steady += 5_000_000_000
    clock.wall += 5_000_000_000
    added = await arace(lambda who: cache.aadd("add", who, ttl=5))
    assert added.count(True) == 1
    assert await cache.aget("add") == added.index(True)
    sums = await arace(lambda who: cache.aincr("incr", ttl=5))
    assert sorted(sums) == list(range(1, len(sums) + 1))
    popped = await arace(lambda who: cache.apop("pop"))
    assert popped.count("prize") == 1
    deleted = await arace(lambda who: cache.adelete("delete"))
    assert deleted.count(True) == 1


@pytest.mark.parametrize("name", VALUES)
async def test_pop_has_one_winner(cache: CacheManager, name: str) -> None:
    value = VALUES[name]
    for turn in range(ROUNDS):
        key = f"k{turn}"
        await cache.aset(key, value)
        answers = await arace(lambda who, key=key: cache.apop(key, MISSING))
        assert answers.count(MISSING) == len(answers) - 1
        assert [answer for answer in answers if answer is not MISSING] == [value]
        assert not await cache.aexists(key)


async def test_delete_has_one_winner(cache: CacheManager) -> None:
    for turn in range(ROUNDS):
        key = f"k{turn}"
        await cache.aset(key, turn)
        answers = await arace(lambda who, key=key: cache.adelete(key))
        assert answers.count(True) == 1


async def test_pop_and_delete_share_one_prize(cache: CacheManager) -> None:
    for turn in range(ROUNDS):
        key = f"k{turn}"
        await cache.aset(key, "prize")
        answers = await arace(
            lambda who, key=key: cache.apop(key, False) if who % 2 else cache.adelete(key)
        )
        assert len([answer for answer in answers if answer]) == 1


async def test_incr_loses_no_update(cache: CacheManager) -> None:
    await cache.aset("there", 1_000, ttl=60)

    async def acount_up(who: int) -> list[int]:
        answers = []
        for _ in range(ROUNDS):
            answers.append(await cache.aincr("missing", who + 1))
            await cache.adecr("there")
            await asleep(0)
        return answers

    answers = await arace(acount_up)
    racers = len(answers)
    sums = [answer for each in answers for answer in each]
    assert len(set(sums)) == racers * ROUNDS  # each saw a sum of its own
    assert await cache.aget("missing") == max(sums) == ROUNDS * racers * (racers + 1) // 2
    assert await cache.aget("there") == 1_000 - racers * ROUNDS
    assert await cache.attl("there") is not None


async def test_no_reader_sees_half_a_write(cache: CacheManager) -> None:
    async def ause(who: int) -> None:
        for turn in range(ROUNDS):
            value = {"who": who, "turn": turn, "again": [who, turn] * 20}
            if who % 3 == 0:
                await cache.aset("k", value, ttl=who + 1)
            elif who % 3 == 1:
                await cache.aset_many({"k": value, f"own-{who}": value})
            found = await cache.aget("k")
            assert found is None or found["again"] == [found["who"], found["turn"]] * 20
            await asleep(0)

    await arace(ause)


async def test_what_one_caller_wrote_the_same_caller_reads(cache: CacheManager) -> None:
    async def ause(who: int) -> None:
        for turn in range(ROUNDS):
            await cache.aset(f"own-{who}", [who, turn], ttl=60)
            assert await cache.aget(f"own-{who}") == [who, turn]
            assert await cache.apop(f"own-{who}") == [who, turn]
            assert not await cache.aexists(f"own-{who}")

    await arace(ause)
    assert await cache.acount() == 0


async def test_counts_are_exact_under_a_race(cache: CacheManager) -> None:
    await cache.aset("k", 1)

    async def ause(who: int) -> None:
        for _ in range(ROUNDS):
            await cache.aget("k")
            await cache.aget("absent")
            await cache.aset(f"own-{who}", who)

    racers = len(await arace(ause))
    stats = cache.stats()
    assert stats.hits == stats.misses == racers * ROUNDS
    assert stats.sets == racers * ROUNDS + 1


async def test_clear_beside_writers_removes_each_entry_once(cache: CacheManager) -> None:
    keys = [f"k{number}" for number in range(600)]
    await cache.aset_many(dict.fromkeys(keys, 1))
    answers = await arace(
        lambda who: (
            cache.aclear() if who % 2 else cache.adelete_many(keys[who * 10 : who * 10 + 50])
        )
    )
    assert sum(answers) == len(keys)
    assert await cache.acount() == 0


@pytest.mark.needs("bounds")
async def test_a_race_never_exceeds_max_size(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=50))

    async def ause(who: int) -> None:
        for turn in range(ROUNDS * 10):
            await cache.aset(f"{who}-{turn}", turn, ttl=60 if turn % 2 else None)
            await cache.aget(f"{who}-{turn - 1}")
            entries = cache.stats().entries
            assert entries is not None
            assert entries <= 50

    racers = len(await arace(ause))
    assert cache.stats().entries == 50
    assert cache.stats().evictions == racers * ROUNDS * 10 - 50
