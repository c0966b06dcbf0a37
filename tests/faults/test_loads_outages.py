"""Loads while the backend is out of reach, goes, or comes back: callers get what was loaded."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from faulty import on_a_slow_machine
from file_processes import Child
from redis_servers import HOST, free_ports, running_server
from symphra_cache import MISSING, BackendUnavailableError, CacheManager
from symphra_cache.backends import FileBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces import Caller
    from redis_servers import RedisServer

PATIENCE = 20
LOCKER = """
if given[0] == "lock":
    db = sqlite3.connect(given[1], isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
else:
    db.execute("ROLLBACK")
    db.close()
"""


class World:
    """A cache whose backend can go and come back.

    Attributes:
        answers_reads: whether it reads while it is out.
    """

    answers_reads = False

    def __init__(self, backend: Any, mode: Any) -> None:
        self.cache = CacheManager(backend, on_outage=mode)
        self.degrades = mode == "degrade"

    def begin(self) -> None:
        """Take the backend away."""
        raise NotImplementedError

    def end(self) -> None:
        """Bring it back."""
        raise NotImplementedError


class StoppedServer(World):
    def __init__(self, server: RedisServer, mode: Any) -> None:
        # Asks again with each call, and does not wait for long.
        super().__init__(RedisBackend(server.url, socket_timeout=0.2, breaker=None), mode)
        self.server = server

    def begin(self) -> None:
        self.server.stop()

    def end(self) -> None:
        self.server.start()


class PausedServer(StoppedServer):
    def begin(self) -> None:
        self.server.pause()

    def end(self) -> None:
        self.server.resume()


class LockedFile(World):
    answers_reads = True

    def __init__(self, path: Path, child: Child, mode: Any) -> None:
        super().__init__(FileBackend(path, busy_timeout=0.1), mode)
        self.path, self.child = path, child

    def begin(self) -> None:
        assert self.child.ask("lock", self.path) == "None"

    def end(self) -> None:
        assert self.child.ask("unlock") == "None"


@pytest.fixture(params=["raise", "degrade"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    on_a_slow_machine(monkeypatch)
    return request.param


@pytest.fixture(params=["stopped", "paused", "locked"])
def world(request: pytest.FixtureRequest, mode: Any, tmp_path: Path) -> Iterator[World]:
    if request.param == "locked":
        with Child(LOCKER) as child:
            yield from checked(LockedFile(tmp_path / "cache.db", child, mode))
        return
    kind = StoppedServer if request.param == "stopped" else PausedServer
    with running_server() as server:
        yield from checked(kind(server, mode))


def checked(world: World) -> Iterator[World]:
    """Yield a world; nothing may be left of loads when a test has done with it."""
    world.cache.set("there", "before")
    with world.cache:
        yield world
        assert_nothing_is_left(world.cache)


def assert_nothing_is_left(cache: CacheManager) -> None:
    flights = cache._loads.flights
    assert not flights.live
    assert not flights._joinable
    assert not flights.writing
    assert not flights._sweeps


class Runs:
    """A loader that counts, and does something before it returns."""

    def __init__(self, does: Callable[[], object] = int, value: Any = None) -> None:
        self.does = does
        self.value = value
        self.count = 0

    def load(self) -> Any:
        self.count += 1
        self.does()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value or f"run {self.count}"

    async def aload(self) -> Any:
        return await asyncio.to_thread(self.load)

    def load_many(self, keys: list[str]) -> dict[str, Any]:
        value = self.load()
        return dict.fromkeys(keys, value)

    async def aload_many(self, keys: list[str]) -> dict[str, Any]:
        return await asyncio.to_thread(self.load_many, keys)


def ways(world: World, call: Caller) -> Iterator[tuple[str, Runs, Callable[[], Any]]]:
    """Yield the ways to load a key: the key, the runs of the loader, and the call."""
    for key in ("get_or_set", "get_or_set_many", "cached"):
        runs = Runs()
        yield key, runs, way(world, call, runs, key)


def way(world: World, call: Caller, runs: Runs, key: str) -> Callable[[], Any]:
    cache = world.cache
    loader: Any = runs.load if call.runner is None else runs.aload
    many: Any = runs.load_many if call.runner is None else runs.aload_many
    function = cache.cached(key=key)(loader)

    async def afunction() -> Any:
        return await function()

    def called() -> Any:
        return function() if call.runner is None else call.runner.run(afunction())

    return {
        "get_or_set_many": lambda: call(cache, key, [key], many)[key],
        "cached": called,
    }.get(key, lambda: call(cache, "get_or_set", key, loader))


def test_the_loader_is_called_and_its_value_returned(world: World, call: Caller) -> None:
    all_ways = [*ways(world, call)]
    world.begin()
    for _, runs, load in all_ways:
        assert [load(), load()] == ["run 1", "run 2"]
        assert runs.count == 2
    found = call(world.cache, "get_or_set", "there", "loaded")
    assert found == ("before" if world.answers_reads else "loaded")
    world.end()
    for key, _, load in all_ways:
        later = load()
        # What a paused server was told to store it may store still, once it goes on.
        assert later == "run 3" or (not world.degrades and later in ("run 1", "run 2"))
        assert load() == later
        assert call(world.cache, "get", key) == later


def test_an_outage_that_begins_before_the_value_is_stored(world: World, call: Caller) -> None:
    for key, runs, load in ways(world, call):
        runs.does = world.begin
        assert load() == "run 1"
        world.end()
        runs.does = int
        later = load()
        assert later == "run 2" or (not world.degrades and later == "run 1")
        assert call(world.cache, "get", key) == later


def test_an_outage_that_ends_before_the_value_is_stored(world: World, call: Caller) -> None:
    for key, runs, load in ways(world, call):
        runs.does = world.end
        world.begin()
        assert load() == "run 1"
        assert call(world.cache, "get", key) == "run 1"
        assert load() == "run 1"


@pytest.mark.parametrize("outcome", ["a value", ZeroDivisionError("no")])
def test_who_waits_in_an_outage_gets_what_was_loaded(
    world: World, call: Caller, outcome: Any
) -> None:
    cache, may_end, begun = world.cache, threading.Event(), threading.Event()

    def does() -> None:
        begun.set()
        assert may_end.wait(PATIENCE)

    runs = Runs(does, outcome)
    load = way(world, call, runs, "k")

    def caught(loads: Callable[[], Any]) -> Any:
        try:
            return loads()
        except ZeroDivisionError as error:
            return str(error)

    async def tasks() -> list[Any]:
        calls = [cache.aget_or_set("k", runs.aload) for _ in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    world.begin()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(caught, load)
        assert begun.wait(PATIENCE)
        blocked = [
            pool.submit(caught, lambda: cache.get_or_set("k", runs.load)),
            pool.submit(caught, lambda: cache.get_or_set_many(["k"], runs.load_many)["k"]),
        ]
        running = pool.submit(lambda: asyncio.run(tasks()))
        until(lambda: waiting(cache) == 5)
        may_end.set()
        found = [one.result(PATIENCE) for one in (first, *blocked)]
        found += map(str, running.result(PATIENCE))
    assert found == [str(outcome)] * 6
    assert runs.count == 1
    world.end()


def waiting(cache: CacheManager) -> int:
    live = cache._loads.flights.live
    return sum(len(one.waiting) for each in list(live.values()) for one in list(each))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


REMOVALS: dict[str, tuple[Any, ...]] = {
    "set": ("k", "set"),
    "delete": ("k",),
    "delete_many": (["k"],),
    "delete_matching": ("k*",),
    "clear": (),
}


@pytest.mark.parametrize("ends", ["during the load", "after it"])
def test_what_was_removed_in_the_outage_does_not_come_back_by_a_load(
    world: World, call: Caller, ends: str
) -> None:
    """Whether or not the removal could be done: the load began before."""
    for name, arguments in REMOVALS.items():
        call(world.cache, "delete", "k")

        def does(name: str = name, arguments: tuple[Any, ...] = arguments) -> None:
            world.begin()
            with suppress(BackendUnavailableError):
                getattr(world.cache, name)(*arguments)
            if ends == "during the load":
                world.end()

        assert way(world, call, Runs(does, "outdated"), "k")() == "outdated"
        if ends == "after it":
            world.end()
        assert call(world.cache, "get", "k", MISSING) in (MISSING, "set"), name
        assert call(world.cache, "get_or_set", "k", "new") in ("new", "set"), name


@pytest.mark.parametrize("mode", ["degrade"], indirect=True)
def test_a_debt_takes_no_value_away_that_was_loaded_after_it(world: World, call: Caller) -> None:
    """What was stored before the removal does not come back either."""
    for key, runs, load in ways(world, call):
        call(world.cache, "set", key, "old")
        world.begin()
        assert call(world.cache, "delete", key) is False
        if not world.answers_reads:
            assert load() == "run 1"
        runs.does, runs.count = world.end, 1
        assert load() == "run 2"
        assert call(world.cache, "get", key) == "run 2"
        assert load() == "run 2"
        assert not world.cache._keyspace._inner._outages._ledgers  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["degrade"], indirect=True)
def test_the_debt_of_a_load_takes_nothing_away_that_was_written_after_it(
    world: World, call: Caller
) -> None:
    for key, runs, load in ways(world, call):
        runs.does = world.begin
        assert load() == "run 1"
        world.end()
        assert call(world.cache, "set", key, "newer") is True
        assert call(world.cache, "get", key) == "newer"
        assert load() == "newer"


# --- errors of the loader itself ----------------------------------------------------------


@pytest.fixture
def other() -> Iterator[CacheManager]:
    """Another cache, whose server is not there."""
    with CacheManager(RedisBackend(f"redis://{HOST}:{free_ports(1)[0]}")) as cache:
        yield cache


@pytest.mark.parametrize("mode", ["raise", "degrade"], indirect=True)
@pytest.mark.parametrize("place", ["loader", "should_cache", "ttl"])
def test_an_outage_of_what_the_loader_uses_is_the_loader_s_error(
    mode: Any, tmp_path: Path, other: CacheManager, call: Caller, place: str
) -> None:
    calls = []

    def use(*_: Any) -> Any:
        calls.append(1)
        return other.get("k")

    def many(keys: list[str]) -> Any:
        use()

    with CacheManager(FileBackend(tmp_path / "cache.db"), on_outage=mode) as cache:
        options: dict[str, Any] = {} if place == "loader" else {place: use}
        loader: Any = use if place == "loader" else 1
        loader_of_many: Any = many if place == "loader" else (lambda keys: dict.fromkeys(keys, 1))
        loads: list[Callable[[], Any]] = [
            lambda: call(cache, "get_or_set", "k", loader, **options),
            lambda: call(cache, "get_or_set_many", ["k"], loader_of_many, **options),
        ]
        for number, load in enumerate(loads, 1):
            with pytest.raises(BackendUnavailableError, match=HOST) as caught:
                load()
            assert caught.value.__cause__ is not None
            assert len(calls) == number
        assert cache.stats().errors == 0
        assert call(cache, "get", "k", MISSING) is MISSING
        assert call(cache, "get_or_set", "k", 2) == 2
        assert_nothing_is_left(cache)
        if mode == "degrade":
            assert not cache._keyspace._inner._outages.alert


@pytest.mark.parametrize("mode", ["raise", "degrade"], indirect=True)
async def test_the_same_below_cached(mode: Any, tmp_path: Path, other: CacheManager) -> None:
    with CacheManager(FileBackend(tmp_path / "cache.db"), on_outage=mode) as cache:

        @cache.cached
        def one(x: int) -> Any:
            return other.get("k")

        @cache.cached
        async def two(x: int) -> Any:
            return await other.aget("k")

        @cache.cached
        def three(x: int) -> Iterator[Any]:
            yield 1
            yield other.get("k")

        @cache.cached
        async def four(x: int) -> Any:
            yield 1
            yield await other.aget("k")

        with pytest.raises(BackendUnavailableError, match=HOST):
            one(1)
        with pytest.raises(BackendUnavailableError, match=HOST):
            await asyncio.wait_for(asyncio.gather(two(1)), PATIENCE)
        with pytest.raises(BackendUnavailableError, match=HOST):
            list(three(1))
        with pytest.raises(BackendUnavailableError, match=HOST):
            print([item async for item in four(1)])
        for function in (one, two, three, four):
            assert function.stats() == (0, 1, 1, 1)  # type: ignore[attr-defined]
        assert cache.stats().errors == 0
        assert cache.count() == 0
        assert_nothing_is_left(cache)


def test_who_waits_gets_the_loader_s_outage_too(tmp_path: Path, other: CacheManager) -> None:
    may_end = threading.Event()

    def load() -> Any:
        assert may_end.wait(PATIENCE)
        return other.get("k")

    with CacheManager(FileBackend(tmp_path / "cache.db")) as cache, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(cache.get_or_set, "k", load) for _ in range(3)]
        until(lambda: waiting(cache) == 2)
        may_end.set()
        errors = [call.exception(PATIENCE) for call in calls]
        assert {type(error) for error in errors} == {BackendUnavailableError}
        assert len(set(map(str, errors))) == 1
        assert all(error.failed == [] and error.__cause__ for error in errors)  # type: ignore[union-attr]
        assert cache.stats().errors == 0
        assert_nothing_is_left(cache)


# --- all at once ----------------------------------------------------------------------------

SECONDS = 4.0


class Source:
    """A number that a writer raises; then it tells the cache, and from then on it is known.

    Attributes:
        current: the number.
        told: nothing older may be seen any more.
    """

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.current = self.told = 0
        self.seen = 0
        self.end = time.monotonic() + SECONDS

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def load(self) -> int:
        value = self.current
        time.sleep(random.random() / 500)
        return value

    async def aload(self) -> int:
        value = self.current
        await asyncio.sleep(random.random() / 500)
        return value

    def write(self) -> None:
        while self.goes_on:
            self.current += 1
            self.tell()
            self.told = self.current
            time.sleep(random.random() / 200)

    def tell(self) -> None:
        while True:
            with suppress(BackendUnavailableError):
                self.cache.delete("k")
                return

    def check(self, told: int, found: int) -> None:
        assert found >= told, f"{found} was seen after {told} had been told"
        self.seen += 1

    def read(self) -> None:
        while self.goes_on:
            told = self.told
            self.check(told, self.cache.get_or_set("k", self.load))

    async def aread(self) -> None:
        while self.goes_on:
            told = self.told
            self.check(told, await self.cache.aget_or_set("k", self.aload))
            await asyncio.sleep(0)

    async def aread_all(self) -> None:
        await asyncio.gather(*(self.aread() for _ in range(8)))


@pytest.mark.parametrize("world", ["stopped", "paused"], indirect=True)
def test_nothing_outdated_is_seen_while_a_server_comes_and_goes(world: World) -> None:
    source = Source(world.cache)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(source.write)]
        calls += [pool.submit(source.read) for _ in range(3)]
        calls += [pool.submit(lambda: asyncio.run(source.aread_all())) for _ in range(2)]
        while source.goes_on:
            time.sleep(random.random() / 2)
            world.begin()
            time.sleep(random.random() / 2)
            world.end()
        for call in calls:
            call.result(PATIENCE)
    print(f"{source.current} writes, {source.seen} values seen")
    assert source.current > 5
    assert source.seen > 50
