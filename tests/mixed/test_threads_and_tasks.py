"""One object, used by threads and by tasks at the same time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symphra_cache import CacheManager

THREADS = 8
TASKS = 200
ROUNDS = 10


def use_blocking(cache: CacheManager, who: int) -> None:
    key = f"thread-{who}"
    for turn in range(ROUNDS):
        cache.set(key, {"who": key, "turn": turn}, ttl=60)
        assert cache.get(key) == {"who": key, "turn": turn}
        cache.incr("total")
        assert set(cache.get_many([key, "nobody"])) == {key}
    assert cache.pop(key) == {"who": key, "turn": ROUNDS - 1}


async def use_in_task(cache: CacheManager, who: int) -> None:
    key = f"task-{who}"
    for turn in range(ROUNDS):
        await cache.aset(key, {"who": key, "turn": turn}, ttl=60)
        assert await cache.aget(key) == {"who": key, "turn": turn}
        await cache.aincr("total")
    assert await cache.adelete(key)


async def test_eight_threads_and_two_hundred_tasks_on_one_object(cache: CacheManager) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(use_blocking, cache, who) for who in range(THREADS)]
        await asyncio.gather(*(use_in_task(cache, who) for who in range(TASKS)))
        for thread in threads:
            await asyncio.wrap_future(thread)
    assert await cache.aget("total") == (THREADS + TASKS) * ROUNDS
    assert [key async for key in cache.ascan()] == ["total"]


async def test_counts_of_a_manager_are_exact_over_both_faces(cache: CacheManager) -> None:
    cache.set("k", 1)
    barrier = threading.Barrier(5)

    def read() -> None:
        barrier.wait()
        for _ in range(2_000):
            cache.get("k")
            cache.get("absent")

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(read) for _ in range(4)]
        barrier.wait()
        for _ in range(500):
            await cache.aget("k")
        for thread in threads:
            await asyncio.wrap_future(thread)
    assert cache.stats().hits == 4 * 2_000 + 500
    assert cache.stats().misses == 4 * 2_000


async def test_add_has_one_winner_among_threads_and_tasks(cache: CacheManager) -> None:
    for turn in range(10):
        key = f"prize-{turn}"
        with ThreadPoolExecutor(THREADS) as pool:
            threads = [pool.submit(cache.add, key, who) for who in range(THREADS)]
            tasks = await asyncio.gather(*(cache.aadd(key, who) for who in range(20)))
            wins = [*tasks, *[await asyncio.wrap_future(thread) for thread in threads]]
        assert wins.count(True) == 1


async def test_a_cancelled_write_is_whole_or_absent_and_hurts_no_neighbour(
    cache: CacheManager,
) -> None:
    for turn in range(30):
        victim = asyncio.create_task(cache.aset("victim", [turn] * 100))
        neighbour = asyncio.create_task(cache.aset("neighbour", turn))
        await asyncio.sleep(0)
        victim.cancel()
        await asyncio.wait([victim])
        assert await neighbour
        assert await cache.aget("neighbour") == turn
        value = await cache.aget("victim", [])
        assert len(set(value)) <= 1
    await cache.aset("victim", "fine")
    assert await cache.aget("victim") == "fine"
