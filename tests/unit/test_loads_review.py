"""Loads at awkward moments: what a program's own code does in the middle of them, and threads.

What is awkward happens at a chosen step, by a value, a clock or a function of the test's own.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from load_checks import PATIENCE, assert_nothing_is_left, until, waiting
from symphra_cache import CacheManager, RecursiveLoadError
from symphra_cache._flights import Flight, Flights
from symphra_cache.backends import FileBackend, MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cache() -> Iterator[CacheManager]:
    with CacheManager(MemoryBackend()) as cache:
        yield cache


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Gate:
    """A loader that waits until it may go on."""

    def __init__(self, value: object = "loaded") -> None:
        self.value = value
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> object:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        return self.value


# --- what the program's own code does in the middle of a load ---------------------------------


class Interrupting:
    """A value that can be pickled once; Ctrl-C is pressed while it is pickled again."""

    pickled = 0

    def __reduce__(self) -> Any:
        Interrupting.pickled += 1
        if Interrupting.pickled == 2:
            raise KeyboardInterrupt
        return (Interrupting, ())


def test_an_interrupt_while_a_value_is_copied_for_who_waits_leaves_no_load_behind(
    cache: CacheManager, threads: ThreadPoolExecutor
) -> None:
    Interrupting.pickled = 0
    gate = Gate(Interrupting())
    leader = threads.submit(cache.get_or_set, "k", gate, should_cache=lambda value: True)
    assert gate.begun.wait(PATIENCE)
    waiter = threads.submit(cache.get_or_set, "k", lambda: 1)
    until(lambda: waiting(cache, "k"))
    gate.may_end.set()
    with pytest.raises(KeyboardInterrupt):
        leader.result(PATIENCE)
    assert isinstance(waiter.result(PATIENCE), Interrupting)
    assert_nothing_is_left(cache)


@pytest.mark.parametrize("name", ["get_or_set", "get_or_set_many"])
def test_an_interrupt_at_the_end_of_joining_leaves_no_load_behind(
    name: str, cache: CacheManager
) -> None:
    def interrupt(frame: Any, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is Flights.join.__code__:
            sys.setprofile(None)
            raise KeyboardInterrupt

    call = getattr(cache, name)
    sys.setprofile(interrupt)
    with pytest.raises(KeyboardInterrupt):
        call("k" if name == "get_or_set" else ["k"], {})
    assert_nothing_is_left(cache)
    assert cache.get_or_set("k", lambda: 2) == 2


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_the_ttl_function_of_many_keys_may_write_any_of_them(
    kind: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    backend = MemoryBackend() if kind == "memory" else FileBackend(tmp_path / "cache.db")
    with CacheManager(backend) as cache:

        def ttl(value: str) -> int:
            if value == "b":
                cache.delete("a")
                cache.clear()
            return 60

        def load(keys: list[str]) -> dict[str, str]:
            return {key: key for key in keys}

        call = threads.submit(cache.get_or_set_many, ["a", "b"], load, ttl)
        assert call.result(PATIENCE) == {"a": "a", "b": "b"}
        assert not cache.exists("a")


def test_who_refreshes_a_function_inside_of_itself_is_told_so(cache: CacheManager) -> None:
    @cache.cached
    def again(number: int) -> Any:
        return again.refresh(number)

    with pytest.raises(RecursiveLoadError):
        again(1)
    with pytest.raises(RecursiveLoadError):
        again.refresh(1)


def test_a_write_does_not_hide_from_a_loader_that_it_asks_for_its_own_key(
    cache: CacheManager,
) -> None:
    def load() -> Any:
        cache.delete("k")
        return cache.get_or_set("k", load)

    with pytest.raises(RecursiveLoadError):
        cache.get_or_set("k", load)


def test_two_caches_may_keep_one_key_one_behind_the_other(cache: CacheManager) -> None:
    with CacheManager(MemoryBackend()) as far:
        assert cache.get_or_set("k", lambda: far.get_or_set("k", lambda: 1)) == 1


def flights_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Flight) for each in gc.get_objects())


@pytest.mark.parametrize("overlap", [False, True])
def test_a_chain_of_tasks_that_load_keeps_no_load_but_the_last(
    overlap: bool, cache: CacheManager
) -> None:
    steps, before = 400, flights_alive()
    alive = []

    async def main() -> None:
        over = asyncio.Event()
        tasks = set()

        async def step(at: int) -> None:
            async def load() -> int:
                if at < steps:
                    tasks.add(asyncio.create_task(later(at + 1)))
                    # The next one begins while this one runs, or when it is over.
                    for _ in range(3 if overlap else 0):
                        await asyncio.sleep(0)
                else:
                    await asyncio.sleep(0.01)
                    tasks.clear()
                    alive.append(flights_alive() - before)
                    over.set()
                return at

            await cache.aget_or_set(f"k{at}", load)

        async def later(at: int) -> None:
            await asyncio.sleep(0 if overlap else 0.001)
            await step(at)

        await step(0)
        await over.wait()

    asyncio.run(main())
    assert alive[0] < steps / 10


# --- writes and the store of a load -----------------------------------------------------------


class PausingClock:
    """The system's clock, which stops one thread once."""

    def __init__(self) -> None:
        self.thread = 0
        self.reached = threading.Event()
        self.may_go_on = threading.Event()
        self.time_ns = time.time_ns

    def monotonic_ns(self) -> int:
        if threading.get_ident() == self.thread:
            self.thread = 0
            self.reached.set()
            self.may_go_on.wait(PATIENCE)
        return time.monotonic_ns()


def test_a_load_that_begins_in_the_middle_of_a_write_does_not_undo_it(
    threads: ThreadPoolExecutor,
) -> None:
    clock = PausingClock()
    with CacheManager(MemoryBackend(clock=clock)) as cache:

        def write() -> int:
            clock.thread = threading.get_ident()
            return cache.incr("k", 5)

        def load() -> str:
            began_after.append(clock.may_go_on.is_set())
            clock.may_go_on.set()
            return "loaded"

        began_after: list[bool] = []
        writer = threads.submit(write)
        assert clock.reached.wait(PATIENCE)
        threading.Timer(0.1, clock.may_go_on.set).start()
        assert threads.submit(cache.get_or_set, "k", load).result(PATIENCE) == "loaded"
        assert writer.result(PATIENCE) == 5
        assert cache.get("k") == ("loaded" if began_after[0] else 5)


@pytest.mark.parametrize("on_outage", ["raise", "degrade"])
def test_who_missed_the_key_before_it_was_stored_does_not_load_it_once_more(
    on_outage: Any, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CacheManager(MemoryBackend(), on_outage=on_outage) as cache:
        flights, calls = cache._loads.flights, []
        gate, end = Gate(), flights.end
        stored = threading.Event()

        def ending(*arguments: Any) -> bool:
            stored.set()
            assert gate.begun.wait(PATIENCE)
            return end(*arguments)

        def read_slowly(key: str) -> Any:
            value = read(key)
            assert stored.wait(PATIENCE)
            return value

        read = cache._loads._read
        monkeypatch.setattr(flights, "end", ending)
        monkeypatch.setattr(cache._loads, "_read", read_slowly)
        late = threads.submit(cache.get_or_set, "k", lambda: calls.append("late") or "late")
        until(lambda: cache.stats().misses)
        monkeypatch.setattr(cache._loads, "_read", read)
        leader = threads.submit(cache.get_or_set, "k", lambda: calls.append("leader") or "loaded")
        assert stored.wait(PATIENCE)
        time.sleep(0.05)  # long enough for the late one to come, or to load once more
        gate.begun.set()
        assert (leader.result(PATIENCE), late.result(PATIENCE)) == ("loaded", "loaded")
        assert calls == ["leader"]


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_new_ttl_of_the_old_value_does_not_keep_a_refresh_from_being_stored(
    kind: str, tmp_path: Path
) -> None:
    backend = MemoryBackend() if kind == "memory" else FileBackend(tmp_path / "cache.db")
    with CacheManager(backend) as cache:
        loads = 0

        @cache.cached(key="k")
        def load() -> int:
            nonlocal loads
            loads += 1
            cache.touch("k", 60)
            return loads

        assert load() == 1
        assert load.refresh() == 2
        assert load() == 2


class Garbage:
    """Writes to the cache when the garbage collector comes."""

    def __init__(self, cache: CacheManager) -> None:
        self.itself = self
        self.cache = cache

    def __del__(self) -> None:
        self.cache.set("x", 1)


def test_a_finalizer_may_write_in_the_middle_of_joining_a_load(threads: ThreadPoolExecutor) -> None:
    clock = PausingClock()
    with CacheManager(MemoryBackend(clock=clock)) as cache:
        held = Gate()
        other = threads.submit(cache.get_or_set, "other", held)
        assert held.begun.wait(PATIENCE)  # writes look for loads now
        cache.set("y", 0, ttl=0.001)
        time.sleep(0.002)

        def write() -> bool:
            clock.thread = threading.get_ident()
            return cache.add("y", 1)

        def collect(frame: Any, event: str, argument: object) -> None:
            if event == "call" and frame.f_code is Flight.__init__.__code__:
                sys.setprofile(None)
                gc.collect()

        def load() -> Any:
            Garbage(cache)
            threading.Timer(0.1, clock.may_go_on.set).start()
            sys.setprofile(collect)
            return cache.get_or_set("k", lambda: 2)

        writer = threads.submit(write)
        assert clock.reached.wait(PATIENCE)
        gc.disable()
        try:
            assert threads.submit(load).result(PATIENCE) == 2
        finally:
            gc.enable()
        assert writer.result(PATIENCE)
        held.may_end.set()
        assert other.result(PATIENCE) == "loaded"


def test_without_isolation_who_waits_gets_the_very_object(threads: ThreadPoolExecutor) -> None:
    with CacheManager(MemoryBackend(isolation="shared")) as cache:
        gate = Gate([1])
        leader = threads.submit(cache.get_or_set, "k", gate)
        assert gate.begun.wait(PATIENCE)
        waiter = threads.submit(cache.get_or_set, "k", list)
        until(lambda: waiting(cache, "k"))
        gate.may_end.set()
        assert leader.result(PATIENCE) is waiter.result(PATIENCE) is cache.get("k")
