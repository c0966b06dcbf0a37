"""Loads that nobody must wait for, since the thread that would bring them on is blocked."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from load_checks import PATIENCE
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cache() -> Iterator[CacheManager]:
    with CacheManager(MemoryBackend()) as cache:
        yield cache


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_two_loops_that_block_themselves_do_not_wait_for_each_other(
    cache: CacheManager, threads: ThreadPoolExecutor
) -> None:
    led = threading.Barrier(2, timeout=PATIENCE)

    async def main(own: str, other: str) -> tuple[object, object]:
        may_end = asyncio.Event()

        async def load() -> str:
            await may_end.wait()
            return own

        task = asyncio.create_task(cache.aget_or_set(own, load))
        await asyncio.sleep(0)
        led.wait()
        # Blocks the loop, and so the load of the other one's key.
        got = cache.get_or_set(other, lambda: "instead")
        may_end.set()
        return got, await task

    one = threads.submit(lambda: asyncio.run(main("a", "b")))
    two = threads.submit(lambda: asyncio.run(main("b", "a")))
    got, own = one.result(PATIENCE)
    assert (own, two.result(PATIENCE)[1]) == ("a", "b")
    assert "instead" in (got, two.result(PATIENCE)[0])


@pytest.mark.parametrize("wanted", ["a load", "a store"])
def test_nobody_waits_for_a_task_whose_loop_stands_still_until_he_goes_on(
    wanted: str, cache: CacheManager, threads: ThreadPoolExecutor
) -> None:
    def asking() -> object:
        begun.set()
        assert may_ask.wait(PATIENCE)
        return cache.get_or_set("g", "own") if wanted == "a load" else cache.set("g", "own")

    begun, may_ask = threading.Event(), threading.Event()
    other = threads.submit(cache.get_or_set, "f", asking)
    assert begun.wait(PATIENCE)

    async def main() -> None:
        may_end = asyncio.Event()

        async def load() -> str:
            await may_end.wait()
            return "loaded"

        task = asyncio.create_task(cache.aget_or_set("g", load))
        await asyncio.sleep(0)
        if wanted == "a store":  # as it would be with one that takes its time
            (flight,) = cache._loads.flights.live["symphra", "g"]
            flight.is_storing = True
        threading.Timer(0.05, may_ask.set).start()
        # It blocks the loop until the other thread has loaded.
        assert cache.get_or_set("f", "unused") == ("own" if wanted == "a load" else True)
        may_end.set()
        assert await task == "loaded"

    threads.submit(asyncio.run, main()).result(PATIENCE)
    assert other.result(PATIENCE) == ("own" if wanted == "a load" else True)
