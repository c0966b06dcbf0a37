"""Loads while the backend is out of reach, goes, or comes back: callers get what was loaded."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from faulty import outages_of
from load_checks import PATIENCE, until, waiting
from loads_in_outages import Runs, World
from symphra_cache import MISSING, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faces import Caller


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
        assert not outages_of(world.cache)._ledgers


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
