"""Threads, event loops and forked processes that look up their master, one beside the other."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from redis_sentinel import NAME, RedisSentinels, shared_sentinels
from redis_servers import HOST, until
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    Address = tuple[str, int]

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads; that is the test.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


def asking(sentinel: Address) -> str:
    return f"redis+sentinel://{sentinel[0]}:{sentinel[1]}/{NAME}"


def test_loops_and_threads_each_find_the_master(sentinels: RedisSentinels) -> None:
    async def count(times: int) -> None:
        for _ in range(times):
            await asyncio.gather(*[cache.aincr("n") for _ in range(5)])

    with CacheManager(RedisBackend(sentinels.url)) as cache:
        threads = [
            threading.Thread(target=lambda: [asyncio.run(count(1)) for _ in range(5)])
            for _ in range(2)
        ]
        threads += [
            threading.Thread(target=lambda: [cache.incr("n") for _ in range(25)]) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cache.get("n") == 100
        assert asyncio.run(cache.aget("n")) == 100


def test_a_forked_child_finds_the_master_itself(sentinels: RedisSentinels) -> None:
    def use(cache: CacheManager) -> bool:
        async def on_a_loop() -> Any:
            return await cache.aincr("n")

        return bool(cache.incr("n") and asyncio.run(on_a_loop()))

    with CacheManager(RedisBackend(sentinels.url)) as cache:
        assert use(cache)
        child = os.fork()
        if child == 0:
            failed = 1
            try:
                failed = 0 if use(cache) else 1
            finally:
                os._exit(failed)
        assert os.waitpid(child, 0)[1] == 0
        assert use(cache)
        assert cache.get("n") == 6


def connections_to(address: Address) -> int:
    """Return how many descriptors of this process are connections to an address."""
    found = 0
    for number in os.listdir("/dev/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(number))) as sock:
            found += sock.getpeername() == address
    return found


def test_a_child_forked_while_a_task_asks_inherits_no_connection() -> None:
    async def ask() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(cache.aget("k"), 2)

    with socket.create_server((HOST, 0)) as listening:
        silent = listening.getsockname()
        backend = RedisBackend(asking(silent), socket_connect_timeout=30)
        with CacheManager(backend) as cache:
            thread = threading.Thread(target=lambda: asyncio.run(ask()))
            thread.start()
            until(lambda: connections_to(silent) == 1, 2, lambda: "nobody asked")
            child = os.fork()
            if child == 0:
                inherited = 99
                try:
                    inherited = connections_to(silent)
                finally:
                    os._exit(inherited)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            thread.join()


async def test_a_task_that_is_cancelled_while_it_asks_leaves_nothing() -> None:
    before = len(os.listdir("/dev/fd"))
    with socket.create_server((HOST, 0)) as listening:
        silent = listening.getsockname()
        backend = RedisBackend(asking(silent), socket_connect_timeout=30)
        async with CacheManager(backend) as cache:
            reads = [asyncio.create_task(cache.aget("k")) for _ in range(5)]
            await asyncio.sleep(0.05)
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
            assert all(read.cancelled() for read in reads)
    await asyncio.sleep(0.01)
    assert len(os.listdir("/dev/fd")) == before
