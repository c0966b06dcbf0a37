"""Loads whose callers are cancelled or interrupted, wherever they are: who waits gets a value."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from interruptions import CANCELS, Interrupted, awaited
from load_checks import PATIENCE, assert_nothing_is_left, auntil, until, waiting
from symphra_cache import MISSING, CacheManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class NoSuchRowError(Exception):
    """What a generator raises."""


class Scene:
    """One key, its loader, and who wants it.

    Attributes:
        begun: how often the loader was begun.
        finished: how often it came to its end.
    """

    def __init__(self, cache: CacheManager, number: int) -> None:
        self.cache = cache
        self.key = f"k{number}"
        self.begun = self.finished = 0
        self.may_end = asyncio.Event()
        self.function = cache.cached(key=self.key)(self.load)

    async def load(self) -> list[Any]:
        self.begun += 1
        await self.may_end.wait()
        self.finished += 1
        return ["loaded", self.finished]

    async def load_many(self, keys: list[str]) -> dict[str, Any]:
        value = await self.load()
        return dict.fromkeys(keys, value)

    async def get_or_set(self) -> Any:
        return await self.cache.aget_or_set(self.key, self.load)

    async def get_or_set_many(self) -> Any:
        keys = [self.key, f"{self.key}-too"]
        return (await self.cache.aget_or_set_many(keys, self.load_many))[self.key]

    async def cached(self) -> Any:
        return await self.function()

    async def refresh(self) -> Any:
        return await self.function.arefresh()

    async def invalidate(self) -> Any:
        return await self.function.ainvalidate()

    async def wait_begun(self, caller: asyncio.Future[Any]) -> None:
        """Wait until the loader has begun, or will not."""
        await auntil(lambda: self.begun or caller.done())

    async def go_on(self, victim: asyncio.Task[Any]) -> None:
        """Let the loader end once both callers are there, or one is no more."""
        await auntil(lambda: victim.done() or waiting(self.cache))
        self.may_end.set()


LOADS = ("get_or_set", "get_or_set_many", "cached", "refresh")


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("name", LOADS)
async def test_a_load_cancelled_at_any_await(
    cache: CacheManager, name: str, cancel: Callable[[Any], None]
) -> None:
    """Another caller waits for it. He has his value, and the loader runs to its end once."""
    cancelled = 0
    for place in count(1):
        scene = Scene(cache, place)
        work = Interrupted(getattr(scene, name)(), place, cancel)
        victim = asyncio.ensure_future(awaited(work))
        await scene.wait_begun(victim)
        other = asyncio.ensure_future(scene.get_or_set())
        async with asyncio.timeout(PATIENCE):
            await scene.go_on(victim)
            found = await other
            await asyncio.wait([victim])
        assert found == ["loaded", 1]
        assert scene.finished == 1
        assert scene.begun - scene.finished <= victim.cancelled()
        cancelled += victim.cancelled()
        assert victim.cancelled() or victim.result() == found
        assert_nothing_is_left(cache)
        # A store that is cancelled is done or not; who waited has the value all the same.
        was_storing = victim.cancelled() and scene.begun == 1
        kept = await cache.aget(scene.key, MISSING)
        assert kept == found or (kept is MISSING and was_storing)
        again = ["loaded", 2] if kept is MISSING or name == "refresh" else kept
        assert await getattr(scene, name)() == again
        assert await cache.aget(scene.key) == again
        if work.waits < place:
            break
    assert cancelled >= 1
    print(f"\n{cache.backend.kind}: {cancelled} cancelled")


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("name", LOADS)
async def test_who_waits_cancelled_at_any_await(
    cache: CacheManager, name: str, cancel: Callable[[Any], None]
) -> None:
    """Neither who loads nor who waits besides notices."""
    for place in count(1):
        scene = Scene(cache, place)
        first = asyncio.ensure_future(scene.get_or_set())
        other = asyncio.ensure_future(scene.get_or_set_many())
        await auntil(lambda: waiting(cache))
        work = Interrupted(getattr(scene, name)(), place, cancel)
        victim = asyncio.ensure_future(awaited(work))
        async with asyncio.timeout(PATIENCE):
            for _ in range(20):
                await asyncio.sleep(0)
            scene.may_end.set()
            found = await asyncio.gather(first, other)
            await asyncio.wait([victim])
        # One who refreshes does not wait, nor is he waited for.
        assert found[0][0] == found[1][0] == "loaded"
        own_runs = 2 if name == "refresh" else 1  # the other's second key is one, too
        assert scene.finished <= 1 + own_runs
        assert victim.cancelled() or victim.result()[0] == "loaded"
        assert_nothing_is_left(cache)
        assert (await scene.get_or_set())[0] == "loaded"
        assert scene.finished <= 1 + own_runs + (name == "refresh")
        if work.waits < place:
            break


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("name", LOADS[:3])  # one who refreshes does not wait
async def test_who_waits_is_cancelled_and_then_who_loads(
    cache: CacheManager, name: str, cancel: Callable[[Any], None]
) -> None:
    """The load is passed on to who is there still."""
    for place in count(1):
        scene = Scene(cache, place)
        first = asyncio.ensure_future(scene.get_or_set())
        await scene.wait_begun(first)
        work = Interrupted(getattr(scene, name)(), place, cancel)
        victim = asyncio.ensure_future(awaited(work))
        for _ in range(20):
            await asyncio.sleep(0)
        other = asyncio.ensure_future(scene.get_or_set())
        async with asyncio.timeout(PATIENCE):
            await auntil(lambda: waiting(cache))
            first.cancel()
            await asyncio.wait([first])
            scene.may_end.set()
            assert (await other)[0] == "loaded"
            await asyncio.wait([victim])
        assert victim.cancelled() or victim.result()[0] == "loaded"
        assert_nothing_is_left(cache)
        if work.waits < place:
            break


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("when", ["loading", "storing"])
async def test_an_invalidation_cancelled_at_any_await(
    cache: CacheManager, when: str, cancel: Callable[[Any], None]
) -> None:
    """It waits for a load that is being stored; cancelled then, it leaves nothing behind."""
    for place in count(1):
        scene = Scene(cache, place)
        first = asyncio.ensure_future(scene.cached())
        await scene.wait_begun(first)
        if when == "storing":
            scene.may_end.set()
            await asyncio.sleep(0)
        work = Interrupted(scene.invalidate(), place, cancel)
        victim = asyncio.ensure_future(awaited(work))
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([victim])
            scene.may_end.set()
            assert await first == ["loaded", 1]
        assert_nothing_is_left(cache)
        kept = await cache.aget(scene.key, MISSING)
        assert kept in (MISSING, ["loaded", 1])
        if not victim.cancelled():
            assert kept is MISSING
        assert await scene.cached() == (["loaded", 2] if kept is MISSING else kept)
        if work.waits < place:
            break


@pytest.mark.parametrize("cancel", CANCELS)
async def test_a_generator_cancelled_at_any_await(
    cache: CacheManager, cancel: Callable[[Any], None]
) -> None:
    """It keeps all or nothing, and nothing is left though the cancelled task still is there."""
    victims = []
    for place in count(1):

        @cache.cached(key=f"k{place}")
        async def rows() -> AsyncIterator[int]:
            for each in range(3):
                await asyncio.sleep(0)
                yield each

        async def listed(rows: Callable[[], AsyncIterator[int]] = rows) -> list[int]:
            return [each async for each in rows()]

        work = Interrupted(listed(), place, cancel)
        victims.append(asyncio.ensure_future(awaited(work)))
        await asyncio.wait(victims, timeout=PATIENCE)
        assert_nothing_is_left(cache)
        kept = await cache.aget(f"k{place}", MISSING)
        assert kept == [0, 1, 2] or (kept is MISSING and victims[-1].cancelled())
        assert await listed() == [0, 1, 2] == await cache.aget(f"k{place}")
        if work.waits < place:
            break
    assert sum(victim.cancelled() for victim in victims) > 2


async def test_nothing_is_left_of_a_generator_whose_error_is_kept(cache: CacheManager) -> None:
    @cache.cached
    def rows() -> Iterator[int]:
        yield 1
        raise NoSuchRowError

    @cache.cached
    async def arows() -> AsyncIterator[int]:
        yield 1
        raise NoSuchRowError

    with pytest.raises(NoSuchRowError) as first:
        list(rows())
    with pytest.raises(NoSuchRowError) as second:
        print([each async for each in arows()])
    assert_nothing_is_left(cache)
    assert first.value.__traceback__
    assert second.value.__traceback__
    assert rows.stats() == arows.stats() == (0, 1, 1, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("name", ["get_or_set", "get_or_set_many", "cached", "refresh"])
def test_a_thread_whose_loader_is_interrupted(
    cache: CacheManager, name: str, error: type[BaseException]
) -> None:
    runs: list[int] = []

    def load() -> str:
        runs.append(1)
        if len(runs) == 1:
            until(lambda: waiting(cache) == 2)
            raise error
        return "loaded"

    function = cache.cached(key="k")(load)

    def many(keys: list[str]) -> dict[str, str]:
        value = load()
        return dict.fromkeys(keys, value)

    calls: dict[str, Callable[[], Any]] = {
        "get_or_set": lambda: cache.get_or_set("k", load),
        "get_or_set_many": lambda: cache.get_or_set_many(["k", "l"], many)["k"],
        "cached": function,
        "refresh": function.refresh,
    }

    def lead() -> None:
        with pytest.raises(error):
            calls[name]()

    async def wait() -> Any:
        return await cache.aget_or_set("k", load)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(lead)
        until(lambda: runs)
        others = [pool.submit(cache.get_or_set, "k", load), pool.submit(asyncio.run, wait())]
        assert [other.result(PATIENCE) for other in others] == ["loaded"] * 2
        first.result(PATIENCE)
    assert len(runs) == 2
    assert_nothing_is_left(cache)
    assert cache.get("k") == calls["cached"]() == "loaded"


def test_a_thread_that_waits_is_interrupted(cache: CacheManager) -> None:
    """Then who loads is: the load is passed on to who is there still."""
    may_end, victims = threading.Event(), []

    def load() -> str:
        assert may_end.wait(PATIENCE)
        raise SystemExit

    def wait() -> None:
        victims.append(threading.get_ident())
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_set("k", "not this")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_set, "k", load)
        until(lambda: cache._loads.flights.live)
        victim = pool.submit(wait)
        until(lambda: waiting(cache) == 1)
        interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
        interrupt(ctypes.c_ulong(victims[0]), ctypes.py_object(KeyboardInterrupt))
        victim.result(PATIENCE)
        assert waiting(cache) == 0
        other = pool.submit(cache.get_or_set, "k", "own")
        until(lambda: waiting(cache) == 1)
        may_end.set()
        assert other.result(PATIENCE) == "own"
        assert isinstance(first.exception(PATIENCE), SystemExit)
    assert_nothing_is_left(cache)
