"""Forks of a process that is busy with its cache."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from processes import in_child, run_strictly
from redis_servers import shared_server
from symphra_cache import CacheManager, backends
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads; that is the test.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

FORKS = 100 if LONG else 50


@pytest.fixture(params=["FileBackend", "RedisBackend"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A backend that processes share: its class, and what tells it where."""
    if request.param == "FileBackend":
        return request.param, str(tmp_path / "cache.db")
    return request.param, shared_server().fresh().chosen_url


def cache_at(place: tuple[str, str]) -> CacheManager:
    kind, where = place
    return CacheManager(getattr(backends, kind)(where))


def busy(cache: CacheManager, stop: threading.Event) -> list[threading.Thread]:
    """Start threads that use both faces of the cache until ``stop``."""

    def write_blocking() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            cache.set(f"busy-{number % 100}", number)
            cache.get(f"busy-{number % 100}")

    def write_in_loop() -> None:
        async def work() -> None:
            while not stop.is_set():
                await asyncio.gather(*(cache.aset(f"loop-{n}", n) for n in range(20)))

        asyncio.run(work())

    threads = [threading.Thread(target=work) for work in (write_blocking, write_in_loop)]
    for thread in threads:
        thread.start()
    return threads


def test_forks_while_other_threads_write(cache: CacheManager) -> None:
    cache.set("before", "fork")
    shared = not isinstance(cache.backend, MemoryBackend)
    stop = threading.Event()
    threads = busy(cache, stop)
    try:
        for number in range(FORKS):

            def work(number: int = number) -> None:
                assert cache.get("before") == "fork"
                cache.set(f"child-{number}", number)
                assert cache.get(f"child-{number}") == number

                async def in_loop() -> None:
                    await cache.aset(f"child-loop-{number}", number)
                    assert await cache.aget(f"child-{number}") == number

                asyncio.run(in_loop())

            in_child(work)
            if shared:
                assert cache.get(f"child-{number}") == number
                assert cache.get(f"child-loop-{number}") == number
            else:
                assert cache.get(f"child-{number}") is None
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_child_outlives_its_parents_close_and_loses_nothing(place: tuple[str, str]) -> None:
    cache = cache_at(place)
    cache.set("parent", 1)
    asyncio.run(cache.aset("parent-loop", 1))
    go_reader, go_writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(go_writer)
        os.read(go_reader, 1)  # until the parent has closed
        try:
            cache.set("child", 2)
            asyncio.run(cache.aset("child-loop", 2))
        finally:
            os._exit(0)
    cache.close()
    os.close(go_writer)
    os.close(go_reader)
    os.waitpid(child, 0)
    script = """
        import sys
        from symphra_cache import CacheManager, backends

        with CacheManager(getattr(backends, sys.argv[1])(sys.argv[2])) as cache:
            print(cache.get_many(["parent", "parent-loop", "child", "child-loop"]))
        """
    assert run_strictly(script, *place) == str(
        {"parent": 1, "parent-loop": 1, "child": 2, "child-loop": 2}
    )


def test_a_fork_inside_a_running_loop(place: tuple[str, str]) -> None:
    with cache_at(place) as cache:

        async def work() -> None:
            await cache.aset("k", 1)
            writes = [asyncio.ensure_future(cache.aset(f"k{n}", n)) for n in range(20)]
            await asyncio.sleep(0)
            in_child(lambda: child())
            await asyncio.gather(*writes)
            assert cache.count() == 22

        def child() -> None:
            assert cache.get("k") == 1
            cache.set("child", 1)

        asyncio.run(work())


def test_the_memory_of_parent_and_child_part_at_the_fork() -> None:
    cache = CacheManager(MemoryBackend())
    cache.set("k", "old")

    def work() -> None:
        cache.set("k", "child's")
        assert cache.get("k") == "child's"

    in_child(work)
    assert cache.get("k") == "old"
