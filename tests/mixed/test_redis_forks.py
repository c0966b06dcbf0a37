"""Forks of a process whose threads and loops are connected to a Redis server."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import TYPE_CHECKING

import pytest
import uvloop

from processes import descriptors, in_child, run_strictly
from redis_servers import patient
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from redis_servers import RedisServer

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads; that is the test.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

FORKS = 100


async def ask(cache: CacheManager, who: str, rounds: int) -> None:
    """Write and read values that nobody else has."""

    async def one(task: int) -> None:
        for turn in range(rounds):
            key = f"{who}-{task}"
            await cache.aset(key, (who, task, turn))
            assert await cache.aget(key) == (who, task, turn)

    await asyncio.gather(*(one(task) for task in range(4)))


def ask_blocking(cache: CacheManager, who: str, rounds: int) -> None:
    for turn in range(rounds):
        cache.set(who, (who, turn))
        assert cache.get(who) == (who, turn)


def test_a_hundred_forks_and_no_reply_goes_to_the_wrong_process(
    server: RedisServer, redis_cache: CacheManager
) -> None:
    cache = redis_cache
    with asyncio.Runner() as runner:
        ask_blocking(cache, "parent", 1)
        runner.run(ask(cache, "parent-loop", 1))
        before = descriptors(), server.connections()
        children = []
        for number in range(FORKS):
            child = os.fork()
            if not child:
                status = 1
                try:
                    ask_blocking(cache, f"child-{number}", 5)
                    asyncio.run(ask(cache, f"child-loop-{number}", 3))
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
            # At the same time, on the connections that it had before.
            ask_blocking(cache, "parent", 3)
            runner.run(ask(cache, "parent-loop", 2))
            if len(children) == 4:
                assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
                children.clear()
        assert (descriptors(), server.connections()) == before
        for number in range(FORKS):
            assert cache.get(f"child-{number}") == (f"child-{number}", 4)
            assert cache.get(f"child-loop-{number}-3") == (f"child-loop-{number}", 3, 2)


@pytest.mark.parametrize("way", ["tcp", "tls", "unix"])
@pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_forks_leave_a_running_loop_and_its_connections_alone(
    server: RedisServer, way: str, make_loop: object
) -> None:
    url = patient({"tcp": server.url, "tls": server.tls_url, "unix": server.unix_url}[way])
    cache = CacheManager(RedisBackend(url, ssl_ca_certs=server.ca if way == "tls" else None))
    stop, ready = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    async def work() -> None:
        while not stop.is_set():
            await ask(cache, "parent-loop", 3)
            ready.set()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=make_loop) as runner:  # type: ignore[arg-type]
                runner.run(work())
        except BaseException as error:
            failures.append(error)

    def child() -> None:
        ask_blocking(cache, "child", 3)
        with asyncio.Runner(loop_factory=make_loop) as runner:  # type: ignore[arg-type]
            runner.run(ask(cache, "child-loop", 2))
        cache.close()
        gc.collect()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    clients = server.command("CLIENT", "LIST")
    connections = {line.split()[0] for line in clients.splitlines()}
    for _ in range(10):
        in_child(child)
    clients = server.command("CLIENT", "LIST")
    assert {line.split()[0] for line in clients.splitlines()} == connections
    stop.set()
    thread.join()
    cache.close()
    assert not failures


def test_a_child_has_none_of_its_parents_connections(
    server: RedisServer, redis_cache: CacheManager
) -> None:
    cache = redis_cache

    async def work() -> None:
        await ask(cache, "parent", 2)
        cache.set("k", 1)
        before = descriptors()

        def child() -> None:
            gc.collect()
            # Without the line of the loop and the thread's connection, with the pipe's two ends.
            assert descriptors() == before - 2 + 2

        in_child(child)
        await ask(cache, "parent", 2)

    asyncio.run(work())


def test_children_and_grandchildren_of_a_closed_and_an_open_cache(server: RedisServer) -> None:
    with CacheManager(RedisBackend(server.chosen_url)) as cache:
        cache.set("k", 1)

        def grandchild() -> None:
            assert cache.get("k") == 1
            asyncio.run(cache.aset("grandchild", 3))

        def child() -> None:
            in_child(grandchild)
            assert asyncio.run(cache.aget("grandchild")) == 3
            cache.close()

        in_child(child)
        assert cache.get("grandchild") == 3  # the child has closed its own


def test_a_child_that_ends_like_any_program_is_silent(server: RedisServer) -> None:
    told = run_strictly(
        """
        import asyncio, os, sys
        from symphra_cache import CacheManager
        from symphra_cache.backends import RedisBackend

        cache = CacheManager(RedisBackend(sys.argv[1]))
        cache.set("k", 0)

        async def work():
            await asyncio.gather(*(cache.aset(f"k{task}", 1) for task in range(3)))
            child = os.fork()
            if child:
                status = os.waitpid(child, 0)[1]
                print("child", status, "parent", await cache.aget("k2"), cache.get("k"))
            return child

        loop = asyncio.new_event_loop()
        loop.slow_callback_duration = 10
        if not loop.run_until_complete(work()):
            other = asyncio.new_event_loop()
            other.slow_callback_duration = 10
            other.run_until_complete(cache.aset("k", 7))
            other.close()
        loop.close()
        """,
        server.chosen_url,
    )
    assert told == "child 0 parent 1 7"


def test_the_shared_server_of_the_tests_outlives_a_forked_child(server: RedisServer) -> None:
    in_child(server.close)
    assert server.command("PING")
