"""Generators below ``@cache.cached``, and what the cache and its callers have to do with it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cached_results import cache, run
from processes import in_child
from symphra_cache import (
    BackendUnavailableError,
    CacheManager,
)
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(autouse=True)
def _empty() -> None:
    cache.clear()


@cache.cached
def rows(n: int) -> Iterator[int]:
    yield from range(n)


@cache.cached
async def arows(n: int) -> AsyncIterator[int]:
    for each in range(n):
        yield each


def test_a_generator_ignores_what_is_sent_and_loses_what_is_returned() -> None:
    @cache.cached
    def echo() -> Any:
        got = yield 1
        yield got
        return "returned"

    for _ in range(2):
        stream = echo()
        assert next(stream) == 1
        assert stream.send("sent") is None
        with pytest.raises(StopIteration) as stopped:
            next(stream)
        assert stopped.value.value is None
    assert echo.stats().hits == 1


def test_an_exception_thrown_into_a_generator_ends_it() -> None:
    closed: list[bool] = []

    @cache.cached
    def steps() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    for _ in range(2):
        stream: Any = steps()
        assert next(stream) == 1
        with pytest.raises(OSError, match="thrown"):
            stream.throw(OSError("thrown"))
        assert list(stream) == []
    assert closed == [True, True]
    assert cache.count() == 0


def test_nothing_runs_before_the_first_item_is_wanted() -> None:
    seen: list[int] = []

    @cache.cached
    def steps(x: int) -> Iterator[int]:
        seen.append(x)
        yield x

    steps(1)
    assert seen == []
    assert steps.stats() == (0, 0, 0, 0)


def test_a_generator_that_was_dropped_leaves_nothing_behind() -> None:
    live: Any = cache._loads.flights.live
    stream = rows(3)
    assert next(iter(stream)) == 0
    assert live
    del stream
    gc.collect()
    assert not live

    async def begun() -> Any:
        stream = arows(3)
        assert await anext(stream) == 0
        return stream

    # A loop that ends without a word to the generators that it has seen.
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begun())
    assert live
    loop.close()
    del stream
    gc.collect()
    assert not live


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_a_fork_has_cut_in_two_is_not_stored_by_the_child() -> None:
    stream = rows(2)
    assert next(stream) == 0

    def finish() -> None:
        cache.set(rows.key_for(2), [7])
        assert list(stream) == [1]
        assert list(rows(2)) == [7]

    in_child(finish)
    assert list(stream) == [1]
    assert cache.get(rows.key_for(2)) == [0, 1]


def test_a_function_that_was_dropped_lets_go_of_its_cache() -> None:
    def used() -> weakref.ref[CacheManager]:
        own = CacheManager(MemoryBackend())

        @own.cached(key="{x}")
        def one(x: int) -> int:
            return x

        @own.cached
        def two(x: int) -> Iterator[int]:
            yield x

        one(1)
        one.refresh(1)
        list(two(1))
        return weakref.ref(own)

    gc.collect()
    gc.disable()
    try:
        assert used()() is None
    finally:
        gc.enable()


def test_in_an_outage_the_function_is_called() -> None:
    class Dead(MemoryBackend):
        def keyspace(self, path: str, counters: Any) -> Any:
            keyspace: Any = super().keyspace(path, counters)

            def dead(*args: Any, **named: Any) -> Any:
                raise BackendUnavailableError("out")

            async def adead(*args: Any, **named: Any) -> Any:
                raise BackendUnavailableError("out")

            for name in ("get", "set", "set_if", "delete"):
                setattr(keyspace, name, dead)
                setattr(keyspace, f"a{name}", adead)
            return keyspace

    dead = CacheManager(Dead())

    @dead.cached
    def one(x: int) -> int:
        return x

    @dead.cached
    async def two(x: int) -> int:
        return x

    @dead.cached
    def three(x: int) -> Iterator[int]:
        yield x

    for _ in range(2):
        assert (one(1), run(two(1)), list(three(1))) == (1, 1, [1])
    assert one.stats() == two.stats() == three.stats() == (0, 2, 2, 0)
    with pytest.raises(BackendUnavailableError):
        one.invalidate(1)


def waiting() -> int:
    """Return how many callers wait for runs."""
    flights = cache._loads.flights
    return sum(len(one.waiting) for each in list(flights.live.values()) for one in each)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


def test_threads_and_tasks_share_a_run() -> None:
    begun, may_end = threading.Event(), threading.Event()

    @cache.cached
    def slow(x: int) -> list[int]:
        begun.set()
        assert may_end.wait(30)
        return [x]

    async def refreshing() -> Any:
        return await cache.aget_or_set(slow.key_for(1), list)

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(slow, 1) for _ in range(10)]
        assert begun.wait(30)
        calls.append(pool.submit(asyncio.run, refreshing()))
        until(lambda: waiting() == 10)
        may_end.set()
        assert [call.result(30) for call in calls] == [[1]] * 11
    assert slow.stats() == (0, 10, 1, 0)


def test_counts_are_exact_with_many_threads() -> None:
    @cache.cached
    def one(x: int) -> int:
        return x

    def calling() -> None:
        for _ in range(5_000):
            one(1)

    one(1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for call in [pool.submit(calling) for _ in range(8)]:
                call.result(60)
    finally:
        sys.setswitchinterval(interval)
    assert one.stats() == (40_000, 1, 1, 0)
