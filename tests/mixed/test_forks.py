"""Forks of a process that is busy with its cache."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import traceback
from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend, MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads; that is the test.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

FORKS = 50


def in_child(work: Callable[[], None]) -> None:
    """Run ``work`` in a forked child and fail with its traceback if it fails."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as told:
        message = told.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, message


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


def test_fifty_forks_while_other_threads_write(cache: CacheManager) -> None:
    cache.set("before", "fork")
    shared = isinstance(cache.backend, FileBackend)
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


def test_a_child_outlives_its_parents_close_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    cache = CacheManager(FileBackend(path))
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
    script = (
        "import sys; from symphra_cache import CacheManager\n"
        "from symphra_cache.backends import FileBackend\n"
        "with CacheManager(FileBackend(sys.argv[1])) as cache:\n"
        "    print(cache.get_many(['parent', 'parent-loop', 'child', 'child-loop']))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str({"parent": 1, "parent-loop": 1, "child": 2, "child-loop": 2})


def test_a_fork_inside_a_running_loop(tmp_path: Path) -> None:
    with CacheManager(FileBackend(tmp_path / "cache.db")) as cache:

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
