"""Loads that threads and tasks share: who waits, who loads, and what becomes of it."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from load_checks import PATIENCE, until, waiting
from symphra_cache import MISSING, CacheManager, RecursiveLoadError
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def cache() -> Iterator[CacheManager]:
    with CacheManager(MemoryBackend()) as cache:
        yield cache


class Gate:
    """A loader that waits until it may go on; for threads and tasks."""

    def __init__(self, value: object = "loaded") -> None:
        self.value = value
        self.calls = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def load(self) -> object:
        self.calls += 1
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        return self.value

    async def aload(self) -> object:
        self.calls += 1
        self.begun.set()
        await asyncio.to_thread(self.may_end.wait, PATIENCE)
        return self.value


def in_loop(call: Callable[[], Any]) -> Any:
    return asyncio.run(call())


@pytest.mark.parametrize("count", [10, 100, 1_000])
@pytest.mark.parametrize("leader", ["thread", "task"])
def test_threads_and_tasks_share_one_load(cache: CacheManager, leader: str, count: int) -> None:
    gate, threads = Gate({"a": [1]}), min(count, 50)

    async def tasks() -> list[Any]:
        calls = [cache.aget_or_set("k", gate.aload) for _ in range(count)]
        return await asyncio.gather(*calls)

    with ThreadPoolExecutor(threads + 2) as pool:
        if leader == "thread":
            first = pool.submit(cache.get_or_set, "k", gate.load)
        else:
            first = pool.submit(in_loop, lambda: cache.aget_or_set("k", gate.aload))
        assert gate.begun.wait(PATIENCE)
        blocked = [pool.submit(cache.get_or_set, "k", gate.load) for _ in range(threads)]
        running = pool.submit(in_loop, tasks)
        until(lambda: waiting(cache) == threads + count)
        gate.may_end.set()
        found = [first.result(PATIENCE), *running.result(PATIENCE)]
        found += [one.result(PATIENCE) for one in blocked]
    assert gate.calls == 1
    assert found == [{"a": [1]}] * (1 + threads + count)
    assert len({id(one) for one in found}) == len(found)


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_leader_that_is_cancelled_passes_the_load_on(cache: CacheManager, count: int) -> None:
    async def main() -> None:
        calls = 0

        async def aload() -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0 if calls > 1 else PATIENCE)
            return calls

        first = asyncio.create_task(cache.aget_or_set("k", aload))
        await asyncio.sleep(0)
        others = [asyncio.create_task(cache.aget_or_set("k", aload)) for _ in range(count)]
        await asyncio.sleep(0.01)
        first.cancel()
        assert await asyncio.gather(*others) == [2] * count
        assert first.cancelled()
        assert calls == 2

    asyncio.run(main())
    assert cache.get("k") == 2


def test_leaders_that_are_cancelled_one_after_the_other(cache: CacheManager) -> None:
    async def main() -> None:
        begun: list[int] = []

        async def aload(who: int) -> int:
            begun.append(who)
            await asyncio.sleep(PATIENCE if who < 9 else 0)
            return who

        tasks = [
            asyncio.create_task(cache.aget_or_set("k", lambda who=who: aload(who)))
            for who in range(10)
        ]
        for who in range(9):
            await asyncio.to_thread(until, lambda who=who: len(begun) > who)
            tasks[who].cancel()
        assert await tasks[9] == 9
        assert begun == list(range(10))

    asyncio.run(main())


def test_a_waiter_that_is_cancelled_hurts_nobody(cache: CacheManager) -> None:
    gate = Gate()

    async def main() -> None:
        first = asyncio.create_task(cache.aget_or_set("k", gate.aload))
        await asyncio.sleep(0)
        others = [asyncio.create_task(cache.aget_or_set("k", gate.aload)) for _ in range(20)]
        await asyncio.sleep(0.01)
        for one in others[::2]:
            one.cancel()
        await asyncio.sleep(0.01)
        assert waiting(cache) == 10
        gate.may_end.set()
        assert await asyncio.gather(first, *others[1::2]) == ["loaded"] * 11

    asyncio.run(main())
    assert gate.calls == 1


def test_a_thread_takes_over_from_a_task_that_was_cancelled(cache: CacheManager) -> None:
    stuck, own = Gate(), Gate("own")
    own.may_end.set()
    with ThreadPoolExecutor(2) as pool:

        async def main() -> Any:
            task = asyncio.create_task(cache.aget_or_set("k", stuck.aload))
            await asyncio.to_thread(stuck.begun.wait)
            blocked = pool.submit(cache.get_or_set, "k", own.load)
            await asyncio.to_thread(until, lambda: waiting(cache) == 1)
            task.cancel()
            try:
                return await asyncio.wrap_future(blocked)
            finally:
                stuck.may_end.set()

        assert in_loop(main) == "own"
    assert (stuck.calls, own.calls) == (1, 1)
    assert cache.get("k") == "own"


@pytest.mark.parametrize("ended", ["closed", "stopped"])
def test_who_waits_takes_over_from_a_loop_that_has_ended(cache: CacheManager, ended: str) -> None:
    own = Gate("own")
    own.may_end.set()
    loop = asyncio.new_event_loop()
    stuck = loop.create_future()

    async def aload() -> object:
        return await stuck

    task = loop.create_task(cache.aget_or_set("k", aload))
    loop.run_until_complete(asyncio.sleep(0.01))
    if ended == "closed":
        loop.close()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cache.get_or_set, "k", own.load).result(PATIENCE) == "own"
    assert cache.get_or_set("k", own.load) == "own"
    if ended == "stopped":
        # Who wakes up late has his value, and spoils nobody's.
        stuck.set_result("late")
        assert loop.run_until_complete(task) == "late"
        loop.close()
    assert cache.get("k") == "own"
    del task
    gc.collect()
    assert not cache._loads._flights.live


def test_a_blocking_caller_on_the_thread_of_the_loop_that_leads_loads_for_himself(
    cache: CacheManager,
) -> None:
    gate = Gate()

    async def main() -> list[Any]:
        task = asyncio.create_task(cache.aget_or_set("k", gate.aload))
        await asyncio.sleep(0.01)
        found = [cache.get_or_set("k", lambda: "own")]
        gate.may_end.set()
        return [*found, await task]

    assert in_loop(main) == ["own", "loaded"]


def test_the_same_through_a_thread_that_waits_for_that_loop(cache: CacheManager) -> None:
    """The loop's task leads a; a thread leads b and waits for a; the loop's thread wants b."""
    gate = Gate("a")

    async def main() -> Any:
        task = asyncio.create_task(cache.aget_or_set("a", gate.aload))
        await asyncio.sleep(0.01)
        with ThreadPoolExecutor(1) as pool:
            nested = pool.submit(
                cache.get_or_set, "b", lambda: cache.get_or_set("a", lambda: "other a")
            )
            await asyncio.to_thread(until, lambda: waiting(cache) == 1)
            found = cache.get_or_set("b", lambda: "own b")
            gate.may_end.set()
            assert await task == "a"
            assert nested.result(PATIENCE) == "a"
        return found

    assert in_loop(main) == "own b"


@pytest.mark.parametrize("kind", ["threads", "tasks", "mixed"])
def test_a_circle_of_loads_is_an_error(cache: CacheManager, kind: str) -> None:
    """K1 asks for K2 and K2 for K1: one of them is told, and nobody hangs."""
    both = threading.Barrier(2)

    def load(other: str) -> Callable[[], Any]:
        def loader() -> Any:
            both.wait(PATIENCE)
            return cache.get_or_set(other, lambda: "inner")

        return loader

    def aload(other: str) -> Callable[[], Any]:
        async def loader() -> Any:
            await asyncio.to_thread(both.wait, PATIENCE)
            return await cache.aget_or_set(other, lambda: "inner")

        return loader

    def run(key: str, other: str, is_task: bool) -> Any:
        with suppress(RecursiveLoadError):
            if is_task:
                return in_loop(lambda: cache.aget_or_set(key, aload(other)))
            return cache.get_or_set(key, load(other))
        return RecursiveLoadError

    faces = {"threads": (False, False), "tasks": (True, True), "mixed": (True, False)}[kind]
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(run, "k1", "k2", faces[0]),
            pool.submit(run, "k2", "k1", faces[1]),
        ]
        found = [one.result(PATIENCE) for one in calls]
    assert RecursiveLoadError in found
    assert cache.get_or_set("k1", lambda: "fine") in ("fine", "inner")


def test_an_error_of_each_who_waits_has_its_own_traceback(cache: CacheManager) -> None:
    gate = Gate()

    def failing() -> Any:
        gate.load()
        raise LookupError("no", 1)

    def caught() -> LookupError:
        with pytest.raises(LookupError) as found:
            cache.get_or_set("k", failing)
        return found.value

    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(caught) for _ in range(10)]
        until(lambda: waiting(cache) == 9)
        gate.may_end.set()
        errors = [one.result(PATIENCE) for one in calls]
    assert gate.calls == 1
    assert len({id(error) for error in errors}) == 10
    assert {error.args for error in errors} == {("no", 1)}
    assert all(depth(error) < 20 for error in errors)
    assert cache.get("k", MISSING) is MISSING
    assert not cache._loads._flights.live


def depth(error: BaseException) -> int:
    found, traceback = 0, error.__traceback__
    while traceback is not None:
        found, traceback = found + 1, traceback.tb_next
    return found


def test_an_interrupt_passes_the_load_on(cache: CacheManager) -> None:
    gate = Gate()

    def interrupted() -> Any:
        gate.load()
        raise KeyboardInterrupt

    def run() -> Any:
        with suppress(KeyboardInterrupt):
            return cache.get_or_set("k", interrupted)
        return None

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run)
        assert gate.begun.wait(PATIENCE)
        second = pool.submit(cache.get_or_set, "k", lambda: "own")
        until(lambda: waiting(cache) == 1)
        gate.may_end.set()
        assert (first.result(PATIENCE), second.result(PATIENCE)) == (None, "own")


def test_who_comes_after_a_removal_never_gets_what_was_loaded_before(cache: CacheManager) -> None:
    gate = Gate("before")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_set, "k", gate.load)
        assert gate.begun.wait(PATIENCE)
        joined = pool.submit(cache.get_or_set, "k", gate.load)
        until(lambda: waiting(cache) == 1)
        cache.delete("k")
        assert cache.get_or_set("k", lambda: "after") == "after"
        gate.may_end.set()
        assert (first.result(PATIENCE), joined.result(PATIENCE)) == ("before", "before")
    assert cache.get("k") == "after"


def test_nothing_is_left_of_loads(cache: CacheManager) -> None:
    flights = cache._loads._flights
    for number in range(100):
        cache.get_or_set(f"k{number}", lambda: 1)
        with suppress(ZeroDivisionError):
            cache.get_or_set("error", lambda: 1 / 0)
        cache.get_or_set_many([f"m{number}", "k0"], lambda keys: dict.fromkeys(keys, 1))
    assert not flights.live
    assert not flights._joinable
    assert not flights.writing
    assert not flights._sweeps
