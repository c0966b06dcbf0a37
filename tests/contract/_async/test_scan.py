# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""``scan``, ``count`` and ``delete_matching``: walking over a namespace while others write."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..acompat import acollect, asleep, aspawn, atake

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import Kit

# More than any backend takes in one step.
MANY = 1_200


async def test_scan_gives_every_key_once(cache: CacheManager) -> None:
    assert await acollect(cache.ascan()) == []
    await cache.aset_many({f"k{number}": None for number in range(MANY)})
    keys = await acollect(cache.ascan())
    assert len(keys) == MANY
    assert set(keys) == {f"k{number}" for number in range(MANY)}
    assert {type(key) for key in keys} == {str}


async def test_scan_gives_those_that_match(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(MANY)})
    keys = await acollect(cache.ascan("k*7"))
    assert sorted(keys) == sorted(f"k{number}" for number in range(7, MANY, 10))
    assert await acollect(cache.ascan("absent*")) == []


async def test_scan_gives_what_is_there_now(cache: CacheManager) -> None:
    await cache.aset_many({"a": 1, "b": 2})
    await cache.adelete("a")
    await cache.aset("c", 3)
    assert sorted(await acollect(cache.ascan())) == ["b", "c"]


async def test_scan_is_an_iterator(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(10)})
    keys = cache.ascan()
    first = await atake(keys, 3)
    rest = await acollect(cache.ascan())
    assert len(first) == 3
    assert set(first) <= set(rest)


async def test_a_scan_may_be_given_up(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(MANY)})
    for _ in range(3):
        assert len(await atake(cache.ascan(), 2)) == 2
    await cache.aset("k0", "new")
    assert await cache.aget("k0") == "new"
    assert await cache.aclear() == MANY


async def test_two_scans_at_once_do_not_disturb_each_other(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(MANY)})
    seen = Counter()
    pairs = 0
    async for key in cache.ascan():
        seen[key] += 1
        if len(seen) % 400 == 0:
            pairs += len(await acollect(cache.ascan("*[05]")))
    assert set(seen.values()) == {1}
    assert len(seen) == MANY
    assert pairs == 3 * MANY // 5


async def test_a_scan_among_writes_sees_what_lives_through_it_once(cache: CacheManager) -> None:
    stable = {f"stable-{number}" for number in range(MANY)}
    await cache.aset_many(dict.fromkeys(stable, 0))
    await cache.aset_many({f"gone-{number}": 0 for number in range(300)})
    seen: Counter[str] = Counter()
    async for key in cache.ascan():
        seen[key] += 1
        step = seen.total()
        if step % 5 == 0:
            await cache.adelete(f"gone-{step // 5}")
            await cache.aset(f"new-{step}", 1)
            if key in stable:
                await cache.aset(key, "rewritten", ttl=60)
            await cache.atouch(f"stable-{step % MANY}", 50)
            await cache.aincr(f"stable-count-{step % 7}")
        if step % 50 == 0:
            await cache.adelete(f"gone-{step}")
            await cache.aset(f"gone-{step}", "again")
    assert set(seen.values()) == {1}
    assert stable <= set(seen)


async def test_a_scan_beside_writers_sees_what_lives_through_it_once(cache: CacheManager) -> None:
    stable = {f"stable-{number}" for number in range(MANY)}
    await cache.aset_many(dict.fromkeys(stable, 0))
    ended = []

    async def awrite() -> int:
        rounds = 0
        while not ended:
            rounds += 1
            await cache.aset(f"new-{rounds % 200}", rounds)
            await cache.aset(f"stable-{rounds % MANY}", rounds)
            await cache.adelete(f"new-{(rounds + 100) % 200}")
            await asleep(0)
        return rounds

    writer = await aspawn(awrite)
    for _ in range(5):
        seen = Counter(await acollect(cache.ascan()))
        assert set(seen.values()) == {1}
        assert stable <= set(seen)
        assert await cache.acount() >= MANY
        await asleep(0)
    ended.append(True)
    assert await writer.afinish() > 0


async def test_a_scan_does_not_give_what_was_removed_before_its_turn(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(MANY)})
    keys = cache.ascan()
    first = await atake(keys, 1)
    await cache.aclear()
    assert len(first) == 1
    assert await acollect(cache.ascan()) == []
    assert await cache.acount() == 0


async def test_deleting_what_a_scan_gives_removes_all(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(MANY)})
    removed = 0
    async for key in cache.ascan():
        removed += await cache.adelete(key)
    assert removed == MANY
    assert await cache.acount() == 0


async def test_count_is_the_number_of_live_entries(cache: CacheManager) -> None:
    assert await cache.acount() == 0
    for number in range(5):
        await cache.aset(f"k{number}", None)
        assert await cache.acount() == number + 1
    await cache.aset("k0", "again")
    assert await cache.acount() == 5
    await cache.adelete("k0")
    assert await cache.acount() == 4
    await cache.aset_many({f"many{number}": number for number in range(MANY)})
    assert await cache.acount() == MANY + 4


async def test_delete_matching_counts_what_it_removed(cache: CacheManager) -> None:
    await cache.aset_many({f"a{number}": number for number in range(MANY)})
    await cache.aset_many({f"b{number}": number for number in range(10)})
    assert await cache.adelete_matching("a*") == MANY
    assert await cache.adelete_matching("a*") == 0
    assert await cache.acount() == 10
    assert await cache.adelete_matching("*") == 10
    assert await cache.adelete_matching("*") == 0


async def test_scan_and_delete_matching_stay_in_their_namespace(kit: Kit) -> None:
    outer = kit.open()
    inner, other = outer.namespace("users"), kit.open(namespace="symphra2")
    caches = (outer, inner, other)
    for number, cache in enumerate(caches):
        await cache.aset_many({"a": number, f"only-{number}": number})
    for number, cache in enumerate(caches):
        assert sorted(await acollect(cache.ascan())) == ["a", f"only-{number}"]
        assert await cache.acount() == 2
    assert await outer.adelete_matching("*") == 2
    assert await inner.acount() == await other.acount() == 2
    assert await inner.adelete_matching("a") == 1
    assert await other.aget("a") == 2
