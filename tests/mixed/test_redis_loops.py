"""Redis and event loops: many, closed in any order, by anybody, with and without ceremony."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest
import trio
import uvloop
from asgiref.sync import async_to_sync

from processes import descriptors, run_strictly
from redis_servers import patient
from symphra_cache import CacheClosedError, CacheManager, UnsupportedLoopError
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from redis_servers import RedisServer

    Run = Callable[[Coroutine[object, object, None]], None]

LOOPS = 200


def with_uvloop(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def without_ceremony(work: Coroutine[object, object, None]) -> None:
    """Close the loop as it is, without shutting down its generators first."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work)
    loop.close()


def like_django(work: Coroutine[object, object, None]) -> None:
    async def view() -> None:
        await work

    async_to_sync(view)()


RUNS: dict[str, tuple[Run, int]] = {
    "asyncio.run": (asyncio.run, LOOPS),
    "uvloop": (with_uvloop, 50),
    "closed without ceremony": (without_ceremony, LOOPS),
    "async_to_sync": (like_django, 50),
}


@pytest.mark.parametrize(("run", "loops"), RUNS.values(), ids=RUNS.keys())
def test_loops_one_after_another(
    server: RedisServer, redis_cache: CacheManager, run: Run, loops: int
) -> None:
    cache = redis_cache
    assert cache.get("turn") is None

    async def turn(number: int) -> None:
        await asyncio.gather(*(cache.aset(f"k{task}", (number, task)) for task in range(3)))
        assert await cache.aget("k2") == (number, 2)
        assert await cache.aincr("turns") == number

    run(turn(1))
    before, threads = (descriptors(), server.connections()), threading.active_count()
    for number in range(2, loops + 1):
        run(turn(number))
    assert (descriptors(), server.connections()) == before
    assert threading.active_count() <= threads + 2  # asgiref's own come and go
    assert cache.get("turns") == loops
    cache.close()
    gc.collect()
    assert server.connections() == 0


STRICT = """
    import asyncio, gc, os, sys
    from symphra_cache import CacheManager
    from symphra_cache.backends import RedisBackend

    def run(work):
        loop = asyncio.new_event_loop()
        loop.slow_callback_duration = 10  # loading redis-py takes long
        loop.run_until_complete(work)
        return loop

    cache = CacheManager(RedisBackend(sys.argv[1]))

    async def use(number=0):
        await asyncio.gather(*(cache.aset(f"k{task}", number) for task in range(3)))
        assert await cache.aget("k2") == number

    def descriptors():
        gc.collect()
        return len(os.listdir("/dev/fd"))

    cache.set("blocking", 1)
    """

ENDINGS = {
    "fifty loops closed without ceremony": """
    run(use(0)).close()
    before = descriptors()
    for number in range(50):
        run(use(number)).close()
    print("flat", descriptors() == before)
    """,
    "never closed": "run(use()).close(); print('flat', True)",
    "never closed, collected": """
    run(use()).close(); before = descriptors(); del cache, use
    print("flat", descriptors() == before - 2)  # the loop's line, one of the thread's
    """,
    "collected inside the loop": """
    async def work():
        await use()
        before = descriptors()
        globals().pop("cache")
        globals().pop("use")
        gc.collect()
        await asyncio.sleep(0.05)
        print("flat", descriptors() == before - 2)
    run(work()).close()
    """,
    "closed while the loop stands still": """
    loop = run(use()); before = descriptors(); cache.close(); left = descriptors(); loop.close()
    print("flat", left == before - 2)
    """,
    "closed while the loop stands still, which then goes on": """
    loop = run(use()); cache.close()
    cache = CacheManager(RedisBackend(sys.argv[1]))
    loop.run_until_complete(use(1))
    loop.run_until_complete(cache.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close(); print("flat", True)
    """,
    "tasks under way when the loop ends": """
    async def work():
        tasks = [asyncio.create_task(use(number)) for number in range(50)]
        await asyncio.sleep(0.002)
    with asyncio.Runner() as runner:
        runner.get_loop().slow_callback_duration = 10
        runner.run(work())
    print("flat", True)
    """,
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_nothing_is_left_open_and_nothing_warns(server: RedisServer, way: str, ending: str) -> None:
    url = patient(server.url if way == "tcp" else server.unix_url)
    assert run_strictly(STRICT + ending, url) == "flat True"
    assert server.connections() == 0


def test_loops_that_ended_without_ceremony_are_forgotten(redis_cache: CacheManager) -> None:
    for number in range(20):
        without_ceremony(redis_cache.aset("k", number))  # type: ignore[arg-type]
    # Theirs is closed as soon as another loop comes.
    assert len(redis_cache.backend._store.pools._of_loops) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("face", ["close", "aclose"])
def test_closing_from_another_loop_or_thread_closes_what_a_running_loop_has(
    server: RedisServer, face: str
) -> None:
    cache = CacheManager(RedisBackend(server.chosen_url))
    used, closed = threading.Event(), threading.Event()
    outcomes: list[object] = []

    async def use() -> None:
        await cache.aset("k", 1)
        used.set()
        await asyncio.to_thread(closed.wait)
        await asyncio.sleep(0.05)
        outcomes.append(server.connections())
        try:
            await cache.aget("k")
        except CacheClosedError as error:
            outcomes.append(error)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    used.wait()
    if face == "close":
        cache.close()
    else:
        asyncio.run(cache.aclose())
    closed.set()
    thread.join()
    connections, error = outcomes
    assert connections == 0
    assert isinstance(error, CacheClosedError)


async def test_closing_twice_and_at_once_is_fine(server: RedisServer) -> None:
    cache = CacheManager(RedisBackend(server.chosen_url))
    await cache.aset("k", 1)
    await asyncio.gather(*(cache.aclose() for _ in range(5)))
    cache.close()
    await cache.aclose()
    assert server.connections() == 0
    with pytest.raises(CacheClosedError):
        await cache.aget("k")
    with pytest.raises(CacheClosedError):
        cache.get("k")


def test_under_trio_the_error_names_the_remedy(redis_cache: CacheManager) -> None:
    with pytest.raises(UnsupportedLoopError, match=r"asyncio event loop.*blocking"):
        trio.run(redis_cache.aget, "k")
    redis_cache.set("k", 1)
    assert redis_cache.get("k") == 1
