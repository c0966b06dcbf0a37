"""Loads that are passed on at the worst moment: to who is busy, blocked, or about to be hit."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from load_checks import PATIENCE, assert_nothing_is_left, auntil, in_time, until, waiting
from symphra_cache import MISSING, CacheManager
from symphra_cache._loads import Load
from symphra_cache.backends import FileBackend, MemoryBackend
from symphra_cache.serializers import PickleSerializer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
def memory() -> Iterator[CacheManager]:
    with CacheManager(MemoryBackend()) as cache:
        yield cache
        assert_nothing_is_left(cache)


def upper(keys: list[str]) -> dict[str, str]:
    return {key: key.upper() for key in keys}


async def stuck() -> Any:
    await asyncio.sleep(PATIENCE)


async def test_nothing_is_passed_on_to_who_waits_for_another_key_first(
    memory: CacheManager,
) -> None:
    """He wants many and waits for a, whose load waits for b; the leader of b is cancelled."""
    may_ask = asyncio.Event()

    async def asking() -> Any:
        await may_ask.wait()
        return "a of " + await memory.aget_or_set("b", "own b")

    a = asyncio.create_task(memory.aget_or_set("a", asking))
    b = asyncio.create_task(memory.aget_or_set("b", stuck))
    await asyncio.sleep(0)
    many = asyncio.create_task(memory.aget_or_set_many(["a", "b"], upper))
    await auntil(lambda: waiting(memory, "b") == 1)
    may_ask.set()
    await auntil(lambda: waiting(memory, "b") == 2)
    b.cancel()
    async with asyncio.timeout(PATIENCE):
        assert await a == "a of own b"
        assert await many == {"a": "a of own b", "b": "own b"}


async def test_nothing_is_passed_on_to_who_runs_his_loader(memory: CacheManager) -> None:
    """He loads c and waits for b; what he runs asks for b, whose leader is cancelled."""
    asked: list[list[str]] = []

    async def asking(keys: list[str]) -> dict[str, Any]:
        asked.append(keys)
        if keys == ["b"]:
            return {"b": "late b"}
        b.cancel()
        await asyncio.wait([b])
        return {"c": await memory.aget_or_set("b", "inner b")}

    b = asyncio.create_task(memory.aget_or_set("b", stuck))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        found = await memory.aget_or_set_many(["c", "b"], asking)
    assert found == {"c": "inner b", "b": "inner b"}
    assert asked == [["c"]]


async def test_it_is_passed_on_to_who_comes_after_him(memory: CacheManager) -> None:
    may_end = asyncio.Event()

    async def slow(keys: list[str]) -> dict[str, str]:
        await may_end.wait()
        return upper(keys)

    b = asyncio.create_task(memory.aget_or_set("b", stuck))
    await asyncio.sleep(0)
    many = asyncio.create_task(memory.aget_or_set_many(["c", "b"], slow))
    await auntil(lambda: waiting(memory, "b") == 1)
    single = asyncio.create_task(memory.aget_or_set("b", "single"))
    await auntil(lambda: waiting(memory, "b") == 2)
    b.cancel()
    async with asyncio.timeout(PATIENCE):
        assert await single == "single"
        may_end.set()
        assert await many == {"c": "C", "b": "single"}


@pytest.mark.parametrize("is_many", [False, True])
def test_a_blocking_caller_does_not_wait_for_a_task_of_the_loop_that_he_blocks(
    memory: CacheManager, is_many: bool
) -> None:
    """When he began to wait, a thread led; it is interrupted, and next in turn is that task."""
    begun, may_end = threading.Event(), threading.Event()

    def interrupted() -> Any:
        begun.set()
        assert may_end.wait(PATIENCE)
        raise KeyboardInterrupt

    def lead() -> None:
        with suppress(KeyboardInterrupt):
            memory.get_or_set("k", interrupted)

    def interrupt() -> None:
        until(lambda: waiting(memory, "k") == 2)
        may_end.set()

    async def main() -> tuple[Any, Any]:
        task = asyncio.create_task(memory.aget_or_set("k", "the task's"))
        await auntil(lambda: waiting(memory, "k") == 1)
        pool.submit(interrupt)
        if is_many:
            own = memory.get_or_set_many(["k"], lambda keys: {"k": "own"})["k"]
        else:
            own = memory.get_or_set("k", "own")
        return own, await task

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lead)
        assert begun.wait(PATIENCE)
        assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == ("own", "own")
        first.result(PATIENCE)


class Meddling:
    """A value whose pickling does something."""

    does: Callable[[], Any] = int

    def __reduce__(self) -> Any:
        type(self).does()
        return (str, ("unpickled",))


def test_who_stores_may_be_the_one_who_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a finalizer, or by a method of the value: the writer can't wait for himself."""
    backend = FileBackend(tmp_path / "cache.db", serializer=PickleSerializer(secret=b"s" * 32))
    with CacheManager(backend) as cache:
        monkeypatch.setattr(Meddling, "does", lambda: cache.delete("k"))
        assert isinstance(in_time(lambda: cache.get_or_set("k", Meddling)), Meddling)
        assert cache.get("k", MISSING) is MISSING
        assert cache.get_or_set("k", 1) == cache.get("k") == 1
        assert_nothing_is_left(cache)


@pytest.mark.parametrize("does", ["delete", "get_or_set"])
def test_a_finalizer_waits_for_nobody_in_the_middle_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """Whom it would wait for needs the very turn that its thread has."""
    may_end, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert may_end.wait(PATIENCE)

    def load() -> Any:
        if does == "get_or_set":
            wait()
        return Meddling()

    def finalize() -> Any:
        with cache._loads.flights._turn:
            return cache.delete("k") if does == "delete" else cache.get_or_set("k", "own")

    if does == "delete":
        monkeypatch.setattr(Meddling, "does", wait)
    backend = FileBackend(tmp_path / "cache.db", serializer=PickleSerializer(secret=b"s" * 32))
    with CacheManager(backend) as cache, ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get_or_set, "k", load)
        assert begun.wait(PATIENCE)
        found = in_time(finalize)
        may_end.set()
        assert isinstance(first.result(PATIENCE), Meddling)
        assert found == (False if does == "delete" else "own")
        assert cache.get("k", MISSING) == (MISSING if does == "delete" else "unpickled")
        assert_nothing_is_left(cache)


@pytest.mark.parametrize("write", ["set", "clear"])
def test_who_stores_many_may_write_what_he_has_stored(memory: CacheManager, write: str) -> None:
    def is_kept(value: object) -> bool:
        if value == "B":
            memory.set("a", "written") if write == "set" else memory.clear()
        return True

    def load() -> Any:
        return memory.get_or_set_many(["a", "b"], upper, should_cache=is_kept)

    assert in_time(load) == {"a": "A", "b": "B"}
    assert memory.get("a") == ("written" if write == "set" else None)


def test_an_interrupt_while_a_value_is_copied_for_who_waits(
    memory: CacheManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def load() -> Any:
        until(lambda: waiting(memory, "k") == 1)
        return Meddling()

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            memory.get_or_set("k", load, should_cache=lambda value: False)

    monkeypatch.setattr(Meddling, "does", interrupted)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lead)
        until(lambda: memory._loads.flights.live)
        assert pool.submit(memory.get_or_set, "k", "own").result(PATIENCE) == "own"
        first.result(PATIENCE)


def test_a_refresh_runs_the_function_though_somebody_begins_to_load_meanwhile(
    memory: CacheManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who has looked in vain before the old value was stored, and finds it now."""
    flights, values = memory._loads.flights, ["old", "new", "other"]
    voided, others = flights._voided, []

    @memory.cached(key="k")
    def function() -> str:
        return values.pop(0)

    def late() -> None:
        load = memory._loads.load
        others.append(load("k", Load(lambda: "own", None, None, 0.0), -1))

    def hooked(name: Any) -> Any:
        storing = voided(name)
        held.set()
        with suppress(threading.BrokenBarrierError):
            met.wait(0.2)
        return storing

    # While the other looks once more, who refreshes goes on.
    def looked(key: str, default: Any = None) -> Any:
        with suppress(threading.BrokenBarrierError):
            met.wait(0.2)
        time.sleep(0.05)
        return get(key, default)

    assert function() == "old"
    held, met, get = threading.Event(), threading.Barrier(2), memory._loads._keyspace.get
    monkeypatch.setattr(flights, "_voided", hooked)
    monkeypatch.setattr(memory._loads._keyspace, "get", looked)
    with ThreadPoolExecutor(1) as pool:
        refreshed = pool.submit(function.refresh)
        assert held.wait(PATIENCE)
        late()
        assert refreshed.result(PATIENCE) == "new"
    assert memory.get("k") == "new"


@pytest.mark.parametrize("isolation", ["shared", "copy"])
async def test_who_waits_has_the_very_object_where_the_backend_shares_it(isolation: Any) -> None:
    made: list[Any] = []

    async def load() -> Any:
        await asyncio.sleep(0.01)
        made.append([[1]])
        return made[0]

    async with CacheManager(MemoryBackend(isolation=isolation)) as cache:
        found = await asyncio.gather(*(cache.aget_or_set("k", load) for _ in range(3)))
        found.append(await cache.aget("k"))
        assert [one is made[0] for one in found] == [True] + [isolation == "shared"] * 3

        @cache.cached
        async def rows() -> AsyncIterator[Any]:
            yield made

        again = [[each async for each in rows()] for _ in range(2)]
        assert (again[0][0] is again[1][0]) is (isolation == "shared")
