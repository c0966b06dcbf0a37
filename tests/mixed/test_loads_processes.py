"""Loads and the life of processes: forks in the middle of one, many processes, and the exit."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from load_checks import PATIENCE, assert_nothing_is_left, in_time, until, waiting
from processes import in_child, run_strictly
from symphra_cache import MISSING, CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis_servers import RedisServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


async def loaded(cache: CacheManager, value: object) -> Any:
    return await cache.aget_or_set("k", value)


@pytest.mark.parametrize("leader", ["thread", "task"])
def test_a_child_waits_for_no_load_of_its_parent(cache: CacheManager, leader: str) -> None:
    """Nor do the parent's callers notice the fork: they wait on, and the value is stored."""
    begun, may_end = threading.Event(), threading.Event()

    def load() -> str:
        begun.set()
        assert may_end.wait(PATIENCE)
        return "the parent's"

    async def aload() -> str:
        return await asyncio.to_thread(load)

    def work() -> None:
        assert not cache._loads.flights.live
        assert in_time(lambda: cache.get_or_set("k", lambda: "the child's")) == "the child's"
        assert cache.get("k") == "the child's"
        cache.delete("k")
        assert asyncio.run(loaded(cache, "a task's")) == "a task's"
        assert cache.get_or_set_many(["k"], dict) == {"k": "a task's"}
        assert_nothing_is_left(cache)

    with ThreadPoolExecutor(3) as pool:
        if leader == "thread":
            first = pool.submit(cache.get_or_set, "k", load)
        else:
            first = pool.submit(lambda: asyncio.run(loaded(cache, aload)))
        assert begun.wait(PATIENCE)
        others = [
            pool.submit(cache.get_or_set, "k", "own"),
            pool.submit(lambda: asyncio.run(loaded(cache, "own"))),
        ]
        until(lambda: waiting(cache) == 2)
        in_child(work)
        assert waiting(cache) == 2
        may_end.set()
        assert [one.result(PATIENCE) for one in (first, *others)] == ["the parent's"] * 3
    assert cache.get("k") == "the parent's"  # the later of the two
    assert_nothing_is_left(cache)


@pytest.mark.parametrize("name", ["get_or_set", "get_or_set_many", "cached"])
def test_a_loader_that_forks(cache: CacheManager, name: str) -> None:
    """Both halves return their value; the parent's alone is stored."""
    parent, told = os.getpid(), os.pipe()

    def load() -> str:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return "the parent's"
        return "the child's"

    def load_many(keys: list[str]) -> dict[str, str]:
        return dict.fromkeys(keys, load())

    calls: dict[str, Callable[[], Any]] = {
        "get_or_set": lambda: cache.get_or_set("k", load),
        "get_or_set_many": lambda: cache.get_or_set_many(["k"], load_many)["k"],
        "cached": cache.cached(key="k")(load),
    }
    found: Any = None
    try:
        found = calls[name]()
    finally:
        if os.getpid() != parent:
            with suppress(BaseException):
                kept = cache.get("k", MISSING)
                again = cache.get_or_set("k", "again")
                assert_nothing_is_left(cache)
                os.write(told[1], f"{found}, {kept}, {again}".encode())
            os._exit(0)
    os.close(told[1])
    with os.fdopen(told[0]) as reader:
        assert reader.read() == f"the child's, {MISSING}, again"
    assert found == "the parent's"
    assert cache.get("k") == "the parent's"
    assert_nothing_is_left(cache)


def test_forks_at_any_moment_of_many_loads(cache: CacheManager) -> None:
    """Whatever other threads are at: neither the parent nor a child hangs."""
    is_over = threading.Event()

    def load() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            cache.get_or_set(f"k{number % 5}", list)
            cache.get_or_set_many(["k0", "k1"], lambda keys: dict.fromkeys(keys, 1))
            cache.delete(f"k{number % 5}")

    def work() -> None:
        for number in range(5):
            key = f"k{number}"
            assert in_time(lambda key=key: cache.get_or_set(key, "the child's")) is not None
            cache.delete(key)
        assert_nothing_is_left(cache)

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(load) for _ in range(4)]
        try:
            for _ in range(20):
                in_child(work)
        finally:
            is_over.set()
        for call in calls:
            call.result(PATIENCE)
    assert_nothing_is_left(cache)


@pytest.mark.parametrize("count", [10, 100])
def test_each_of_many_processes_loads_once(cache: CacheManager, tmp_path: Path, count: int) -> None:
    """Four at once, each with so many callers."""
    runs, ready = tmp_path / "runs", threading.Event()

    def load() -> list[int]:
        with runs.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        return [1, 2]

    def call() -> Any:
        assert ready.wait(PATIENCE)
        return cache.get_or_set("k", load)

    async def acalls() -> list[Any]:
        return await asyncio.gather(*(loaded(cache, load) for _ in range(count // 2)))

    def work() -> None:
        with ThreadPoolExecutor(count // 2 + 1) as pool:
            calls = [pool.submit(call) for _ in range(count // 2)]
            ready.set()
            found = [*asyncio.run(acalls()), *(one.result(PATIENCE) for one in calls)]
        assert found == [[1, 2]] * count
        assert cache.get("k") == [1, 2]

    with ThreadPoolExecutor(4) as pool:
        for child in [pool.submit(in_child, work) for _ in range(4)]:
            child.result(2 * PATIENCE)
    loaders = runs.read_text().split()
    assert len(loaders) == len(set(loaders))
    assert 1 <= len(loaders) <= 4
    if cache.backend.kind != "memory":
        assert cache.get_or_set("k", "not this") == [1, 2]


# In development mode asyncio tells of whatever is slow, never awaited or destroyed while pending.
EXITS = """
import asyncio, gc, sys, threading, uvloop
from symphra_cache import CacheManager, RecursiveLoadError
from symphra_cache.backends import FileBackend, MemoryBackend, RedisBackend

kind, loop, where = sys.argv[1:]
made = {"memory": lambda: MemoryBackend(), "file": lambda: FileBackend(where),
        "redis": lambda: RedisBackend(where)}
cache = CacheManager(made[kind]())
run = uvloop.run if loop == "uvloop" else asyncio.run

@cache.cached
async def rows(x):
    for each in range(x):
        yield each

@cache.cached
async def slow(x):
    await asyncio.sleep(0.02)
    return x

async def stuck(keys=()):
    await asyncio.sleep(60)

async def failing():
    await asyncio.sleep(0.01)
    raise LookupError("no")

async def main():
    # Cancelled leaders, cancelled who wait, errors that nobody asks for.
    tasks = [asyncio.create_task(cache.aget_or_set("a", stuck)) for _ in range(10)]
    await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    calls = [cache.aget_or_set("b", failing) for _ in range(5)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in found} == {LookupError}
    assert await asyncio.gather(*(slow(1) for _ in range(5))) == [1] * 5
    await slow.arefresh(1), await slow.ainvalidate(1), await slow.ainvalidate_all()
    found = await cache.aget_or_set_many(["m", "n"], lambda keys: dict.fromkeys(keys, 1))
    async def circle():
        return await cache.aget_or_set("c", circle)
    try:
        await cache.aget_or_set("c", circle)
    except RecursiveLoadError:
        pass
    # What the end of the loop finds: loads under way, who waits for them, half a generator.
    global kept
    kept = rows(3)
    assert await anext(kept) == 0
    kept = [asyncio.create_task(cache.aget_or_set("d", stuck)) for _ in range(3)]
    kept += [asyncio.create_task(cache.aget_or_set_many(["d", "e"], stuck))]
    await asyncio.sleep(0.02)

run(main())
assert [task.cancelled() for task in kept] == [True] * 4
gc.collect()
assert not cache._loads.flights.live
assert cache.get_or_set("d", 5) == 5

# At the exit of the interpreter a thread still loads, and another waits for it.
begun = threading.Event()
def forever():
    begun.set()
    threading.Event().wait(60)
for _ in range(2):
    threading.Thread(target=cache.get_or_set, args=("f", forever), daemon=True).start()
    assert begun.wait(10)
cache.close()
print("done")
"""


@pytest.mark.parametrize("kind", ["memory", "file", "redis"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_nothing_is_said_of_loads_in_development_mode(
    server: RedisServer, tmp_path: Path, kind: str, loop: str
) -> None:
    where = server.chosen_url if kind == "redis" else tmp_path / "cache.db"
    assert run_strictly(EXITS, kind, loop, where) == "done"
