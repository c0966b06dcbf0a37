"""Loads whose callers are cancelled or interrupted, wherever they are: who waits gets a value."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import MISSING, CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

PATIENCE = 20


def assert_nothing_is_left(cache: CacheManager) -> None:
    flights = cache._loads.flights
    assert not flights.live
    assert not flights._joinable
    assert not flights.writing
    assert not flights._sweeps


def waiting(cache: CacheManager) -> int:
    live = cache._loads.flights.live
    return sum(len(one.waiting) for each in list(live.values()) for one in list(each))


async def auntil(condition: Callable[[], object]) -> None:
    """Let others run until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0)


class Interrupted:
    """Awaits a coroutine, and cancels the task that does so at one of its awaits.

    Attributes:
        waits: how often it has waited so far.
    """

    def __init__(
        self, work: Coroutine[Any, Any, Any], place: int, cancel: Callable[[Any], object]
    ) -> None:
        self._work, self._place, self._cancel = work, place, cancel
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            try:
                waited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as ended:
                return ended.value
            error = None
            self.waits += 1
            if self.waits == self._place:
                self._cancel(waited)
            try:
                yield waited
            except BaseException as thrown:
                error = thrown


def at_once(_: Any) -> None:
    """Cancel the task as it begins to wait."""
    task().cancel()


def a_turn_later(_: Any) -> None:
    """Cancel it while what it waits for is under way."""
    asyncio.get_running_loop().call_soon(task().cancel)


def with_the_answer(waited: Any) -> None:
    """Cancel it when what it waits for is there already, before it runs again."""
    cancelled = task()
    if isinstance(waited, asyncio.Future):
        waited.add_done_callback(lambda _: cancelled.cancel())
    else:
        cancelled.cancel()


def task() -> asyncio.Task[Any]:
    found = asyncio.current_task()
    assert found is not None
    return found


async def awaited(work: Interrupted) -> Any:
    return await work


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
CANCELS = pytest.mark.parametrize("cancel", [at_once, a_turn_later, with_the_answer])


@CANCELS
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


@CANCELS
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


@CANCELS
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


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


# --- a storm -------------------------------------------------------------------------------

KEYS = [f"k{number}" for number in range(8)]
CALLERS = 1_000
SECONDS = 3.0


class NoSuchRowError(Exception):
    """What the loader raises now and then."""


def asked(draw: random.Random, key: str) -> str | None:
    """Return a key that the load of another asks for: none that comes before, so no circle."""
    behind = KEYS[KEYS.index(key) + 1 :]
    return draw.choice(behind) if behind and draw.random() < 0.3 else None


class Storm:
    """Callers on many threads and loops, some of whom are cancelled, and writers.

    Attributes:
        current: of each key a number that writers raise, and then remove what is cached.
        told: what nobody may see anything older than.
    """

    def __init__(self, cache: CacheManager, seed: int) -> None:
        self.cache = cache
        self.seed = seed
        self.current = dict.fromkeys(KEYS, 0)
        self.told = dict.fromkeys(KEYS, 0)
        self.locks = {key: threading.Lock() for key in KEYS}
        self.end = time.monotonic() + SECONDS
        self.outcomes: dict[str, int] = {"value": 0, "error": 0, "cancelled": 0}

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def load(self, draw: random.Random, key: str, asks: str | None = None) -> int:
        value = self.current[key]
        if asks is not None:
            self.cache.get_or_set(asks, lambda: self.load(draw, asks))
        time.sleep(draw.random() / 1000)
        if draw.random() < 0.1:
            raise NoSuchRowError(key)
        return value

    async def aload(self, draw: random.Random, key: str, asks: str | None = None) -> int:
        value = self.current[key]
        if asks is not None:
            await self.cache.aget_or_set(asks, lambda: self.aload(draw, asks))
        await asyncio.sleep(draw.random() / 100)
        if draw.random() < 0.1:
            raise NoSuchRowError(key)
        return value

    def check(self, told: dict[str, int], found: dict[str, int]) -> None:
        for key, value in found.items():
            assert value >= told[key], f"{key}: {value} was seen after {told[key]} had been told"

    def write(self, seed: int) -> None:
        draw, cache = random.Random(seed), self.cache
        while self.goes_on:
            key = draw.choice(KEYS)
            with self.locks[key]:
                value = self.current[key] = self.current[key] + 1
                how = draw.randrange(5)
                if how == 0:
                    cache.set(key, value)
                elif how == 1:
                    cache.delete_matching(f"{key}*")
                elif how == 2:
                    cache.delete_many([key, "other"])
                elif how == 3:
                    asyncio.run(cache.adelete(key))
                else:
                    cache.delete(key)
                self.told[key] = value
            time.sleep(draw.random() / 200)

    def block(self, seed: int) -> None:
        """Call through the blocking face, in a thread."""
        draw, cache = random.Random(seed), self.cache
        while self.goes_on:
            keys, told = draw.sample(KEYS, 3), dict(self.told)
            try:
                if draw.random() < 0.5:
                    loader = partial(self.load, draw, keys[0], asked(draw, keys[0]))
                    found = {keys[0]: cache.get_or_set(keys[0], loader)}
                else:
                    found = cache.get_or_set_many(
                        keys, lambda keys: {key: self.load(draw, key) for key in keys}
                    )
            except NoSuchRowError:
                self.note("error")
            else:
                self.check(told, found)
                self.note("value")

    async def call(self, draw: random.Random) -> None:
        """Call through the other face, in a task that may be cancelled."""
        cache, keys, told = self.cache, draw.sample(KEYS, 3), dict(self.told)

        async def load_many(keys: list[str]) -> dict[str, int]:
            return {key: await self.aload(draw, key) for key in keys}

        if draw.random() < 0.7:
            loader = partial(self.aload, draw, keys[0], asked(draw, keys[0]))
            value = await cache.aget_or_set(keys[0], loader)
            self.check(told, {keys[0]: value})
        else:
            self.check(told, await cache.aget_or_set_many(keys, load_many))

    async def calls(self, seed: int, tasks: int) -> None:
        draw = random.Random(seed)

        async def caller(draw: random.Random) -> None:
            while self.goes_on:
                task = asyncio.ensure_future(self.call(draw))
                if draw.random() < 0.3:
                    asyncio.get_running_loop().call_later(draw.random() / 50, task.cancel)
                done, _ = await asyncio.wait([task], timeout=PATIENCE)
                assert done, "hangs"
                if task.cancelled():
                    self.note("cancelled")
                elif isinstance(task.exception(), NoSuchRowError):
                    self.note("error")
                else:
                    task.result()
                    self.note("value")

        await asyncio.gather(*(caller(random.Random(draw.random())) for _ in range(tasks)))


@pytest.mark.parametrize("seed", [1])
def test_a_storm_of_cancellations_errors_and_writes(cache: CacheManager, seed: int) -> None:
    """Everybody comes to an end, with a value that is new enough or the loader's error."""
    storm, loops, threads = Storm(cache, seed), 3, 16
    tasks = (CALLERS - threads) // loops
    with ThreadPoolExecutor(loops + threads + 2) as pool:
        calls = [pool.submit(storm.write, seed + number) for number in range(2)]
        calls += [pool.submit(storm.block, seed + number) for number in range(threads)]
        calls += [
            pool.submit(lambda number=number: asyncio.run(storm.calls(seed + number, tasks)))
            for number in range(loops)
        ]
        for call in calls:
            call.result(SECONDS + 2 * PATIENCE)
    print(f"\n{cache.backend.kind}: {storm.outcomes}, {sum(storm.current.values())} writes")
    gc.collect()
    assert_nothing_is_left(cache)
    assert all(storm.outcomes.values())
    for key in KEYS:
        assert cache.get(key, storm.current[key]) == storm.current[key]
        assert cache.get_or_set(key, storm.current[key]) == storm.current[key]
