"""Redis under many threads and tasks: cancelled, queueing for connections, closed meanwhile."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import uvloop

from processes import descriptors
from redis_servers import patient, running_server
from symphra_cache import CacheClosedError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from redis_servers import RedisServer

LOOP_CONNECTIONS = 16
"""Connections of one loop, by default."""


async def test_a_thousand_tasks_at_once_queue_and_none_fails(redis_cache: CacheManager) -> None:
    cache = redis_cache

    async def use(number: int) -> None:
        await cache.aset(f"k{number}", number)
        assert await cache.aget(f"k{number}") == number
        await cache.aincr("total")

    await asyncio.gather(*(use(number) for number in range(1_000)))
    assert await cache.aget("total") == 1_000
    assert await cache.acount() == 1_001


def test_two_hundred_threads_at_once_queue_and_none_fails(redis_cache: CacheManager) -> None:
    cache = redis_cache

    def use(number: int) -> None:
        cache.set(f"k{number}", number)
        assert cache.get(f"k{number}") == number
        cache.incr("total")

    with ThreadPoolExecutor(200) as pool:
        for future in [pool.submit(use, number) for number in range(400)]:
            future.result()
    assert cache.get("total") == 400


# --- cancelling -----------------------------------------------------------------------


async def operation(cache: CacheManager, chance: random.Random, number: int) -> None:
    """Do something whose answer tells whether it was meant for it."""
    key, other = f"k{number}", f"k{number + 1}"
    match chance.randrange(6):
        case 0:
            assert await cache.aset(key, number)
        case 1:
            assert await cache.aget(key, number) == number
        case 2:
            assert await cache.aincr(f"n{number}", number + 1) % (number + 1) == 0
        case 3:
            found = await cache.aget_many([key, other])
            assert all(name == f"k{value}" for name, value in found.items())
        case 4:
            assert await cache.aset_many({key: number, other: number + 1}) == []
        case 5:
            assert isinstance(await cache.adelete(key), bool)


async def cancel_at_random(cache: CacheManager, seed: int, tasks: int = 200) -> None:
    chance = random.Random(seed)
    running = [
        asyncio.create_task(operation(cache, chance, number % 50)) for number in range(tasks)
    ]
    for task in chance.sample(running, tasks * 9 // 10):
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        task.cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 20)
    failures = [one for one in outcomes if isinstance(one, Exception)]
    assert not failures, failures[0]


async def check_replies(cache: CacheManager) -> None:
    for number in range(100):
        await cache.aset(f"after-{number}", f"value-{number}")
        assert await cache.aget(f"after-{number}") == f"value-{number}"


@pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_tasks_cancelled_anywhere_leave_the_next_replies_right(
    redis_cache: CacheManager, make_loop: object
) -> None:
    async def work() -> None:
        for seed in range(10):
            await cancel_at_random(redis_cache, seed)
            await check_replies(redis_cache)
        before = descriptors()
        for seed in range(10, 20):
            await cancel_at_random(redis_cache, seed)
        await check_replies(redis_cache)
        await asyncio.gather(*(redis_cache.aget("k") for _ in range(LOOP_CONNECTIONS)))
        assert descriptors() <= before + LOOP_CONNECTIONS

    with asyncio.Runner(loop_factory=make_loop) as runner:  # type: ignore[arg-type]
        runner.run(work())


async def test_a_turn_given_to_a_cancelled_task_passes_to_the_next() -> None:
    with running_server() as server:
        cache = CacheManager(RedisBackend(server.chosen_url))
        await asyncio.gather(*(cache.aset("k", 1) for _ in range(100)))
        server.pause()
        lent = [asyncio.create_task(cache.aget("k")) for _ in range(LOOP_CONNECTIONS)]
        await asyncio.sleep(0.02)
        queueing = [asyncio.create_task(cache.aget("k")) for _ in range(LOOP_CONNECTIONS + 1)]
        await asyncio.sleep(0.02)
        server.resume()
        while not any(task.done() for task in lent):  # noqa: ASYNC110 - to the very turn
            await asyncio.sleep(0)
        # Those next in line have just been told that it is their turn.
        for task in queueing[:-1]:
            task.cancel()
        assert await asyncio.wait_for(queueing[-1], 5) == 1
        assert await asyncio.gather(*lent) == [1] * LOOP_CONNECTIONS
        await asyncio.wait(queueing)
        await cache.aclose()


async def test_a_task_cancelled_while_it_queues_leaves_the_queue() -> None:
    with running_server() as server:
        cache = CacheManager(RedisBackend(server.chosen_url))
        await cache.aset("k", 1)
        server.pause()
        lent = [asyncio.create_task(cache.aget("k")) for _ in range(LOOP_CONNECTIONS)]
        queueing = [asyncio.create_task(cache.aget("k")) for _ in range(100)]
        await asyncio.sleep(0.02)
        for task in queueing:
            task.cancel()
        await asyncio.wait(queueing, timeout=5)
        assert all(task.cancelled() for task in queueing)
        server.resume()
        assert await asyncio.gather(*lent) == [1] * LOOP_CONNECTIONS
        await check_replies(cache)
        await cache.aclose()


# --- closing --------------------------------------------------------------------------


def test_threads_in_flight_finish_or_learn_that_the_cache_is_closed(server: RedisServer) -> None:
    before = descriptors()
    for turn in range(6):
        cache = CacheManager(RedisBackend(server.chosen_url))
        outcomes: list[BaseException] = []
        # More threads than connections: some of them queue when the cache is closed.
        count = 80 if turn % 3 == 0 else 4
        started = threading.Barrier(count + 1)

        def use(
            cache: CacheManager = cache,
            outcomes: list[BaseException] = outcomes,
            started: threading.Barrier = started,
        ) -> None:
            started.wait()
            try:
                while True:
                    cache.set("k", 1)
                    cache.set_many({"a": 1, "b": 2})
                    cache.incr("n")
            except BaseException as error:
                outcomes.append(error)

        threads = [threading.Thread(target=use) for _ in range(count)]
        for thread in threads:
            thread.start()
        started.wait()
        cache.close()
        for thread in threads:
            thread.join()
        assert [type(outcome) for outcome in outcomes] == [CacheClosedError] * count
        assert cache.stats().errors == 0
    assert descriptors() == before
    assert server.connections() == 0


@pytest.mark.parametrize("how", ["aclose", "close", "close from a thread"])
@pytest.mark.parametrize("way", ["tcp", "unix"])
async def test_tasks_in_flight_finish_or_learn_that_the_cache_is_closed(
    server: RedisServer, how: str, way: str
) -> None:
    cache = CacheManager(RedisBackend(patient(server.url if way == "tcp" else server.unix_url)))
    before = descriptors()

    async def use(number: int) -> None:
        while True:
            await cache.aset(f"k{number}", number)
            await cache.aset_many({"a": 1, "b": 2})
            assert await cache.aget(f"k{number}") == number

    tasks = [asyncio.create_task(use(number)) for number in range(100)]
    await asyncio.sleep(0.02)
    if how == "aclose":
        await cache.aclose()
    elif how == "close":
        cache.close()
    else:
        await asyncio.to_thread(cache.close)
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    assert {type(outcome) for outcome in outcomes} == {CacheClosedError}
    assert cache.stats().errors == 0
    await asyncio.sleep(0.02)
    gc.collect()
    assert descriptors() <= before + 3  # a worker thread's, at the most
    assert server.connections() == 0


async def test_closing_does_not_wait_for_a_server_that_hangs() -> None:
    with running_server() as server:
        backend = RedisBackend(server.tls_url, ssl_ca_certs=server.ca)
        async with CacheManager(backend) as cache, asyncio.timeout(3):
            await asyncio.gather(*(cache.aset("k", number) for number in range(5)))
            cache.set("k", 1)
            server.pause()
            before = descriptors()
            await cache.aclose()
            assert descriptors() == before - 2  # the line of the loop, and the thread's
        server.resume()
