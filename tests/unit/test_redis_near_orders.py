"""The near cache through every order in which reads, writes, news and breaks can come.

The table, its marks, epochs and links are the real ones; a server of a few lines and the clock
are the test's. The same with sockets is in ``test_redis_near_gates.py``.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import symphra_cache._async.redis_near as on_loops
import symphra_cache._redis_near as shared
import symphra_cache._redis_tracking as links
import symphra_cache._sync.redis_near as on_threads
from near_world import NAME, PREFIX, World
from symphra_cache import MISSING
from symphra_cache._redis_tracking import Link
from symphra_cache.backends import NearCache

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = ["mark", "serve", "fill"]
OWN = ["begin_own", "write_own", "end_own"]
BROKEN = ["break_link", "link_again"]
BOTH = {"A": READ, "B": READ}
PROGRAMS: dict[str, dict[str, list[str]]] = {
    "two foreign writes": {**BOTH, "W": ["write", "write"]},
    "an own write and a foreign one": {**BOTH, "O": OWN, "W": ["write"]},
    "the link breaks": {**BOTH, "W": ["write", "write"], "L": BROKEN},
    "the link breaks during an own write": {**BOTH, "O": OWN, "L": BROKEN},
    "the server is emptied": {**BOTH, "F": ["flush", "write"]},
    "the server is emptied during an own write": {"A": READ, "F": ["flush"], "O": OWN},
    "the server is emptied and the link breaks": {**BOTH, "F": ["flush", "write"], "L": BROKEN},
    "silence": {"A": READ, "W": ["write"], "C": ["cut"], "Q": ["ask"], "T": ["wait"] * 3},
    "silence, then a new link": {
        **{"A": READ, "B": READ, "W": ["write"]},
        **{"C": ["cut", *BROKEN], "T": ["wait"]},
    },
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[World]]:
    """The world whose time it is."""
    worlds: list[World] = []

    def now() -> float:
        time: float = worlds[0].state["now"]
        return time

    for module in (shared, links, on_threads, on_loops):
        monkeypatch.setattr(module, "monotonic", now)
    yield worlds
    worlds[0].close()


def explored(
    worlds: list[World], programs: dict[str, list[str]], ttl: float, max_staleness: float
) -> World:
    world = World(programs, ttl, NearCache(max_staleness=max_staleness))
    worlds.append(world)
    world.begin()
    world.epochs.append(world.link.epoch)
    return world


@pytest.mark.parametrize("programs", PROGRAMS.values(), ids=PROGRAMS)
def test_no_order_serves_what_is_out_of_date(
    clock: list[World], programs: dict[str, list[str]]
) -> None:
    explored(clock, programs, math.inf, 30.0).explore()


@pytest.mark.parametrize(("ttl", "max_staleness"), [(2.0, 30.0), (math.inf, 2.0)])
def test_no_order_serves_an_entry_for_longer_than_it_may(
    clock: list[World], ttl: float, max_staleness: float
) -> None:
    programs = {**BOTH, "Q": ["ask"], "T": ["wait"] * 2}
    explored(clock, programs, ttl, max_staleness).explore()


def test_no_order_keeps_what_another_node_has_answered(clock: list[World]) -> None:
    programs = {**BOTH, "M": ["move", "write"], "N": ["learn_of_another"]}
    world = explored(clock, programs, math.inf, 30.0)
    cluster = SimpleNamespace(version=0, address=("near", 1))
    cluster.owner = lambda _: cluster.address
    far = Link(world.tracking, ("far", 1))  # which never gets to tell anything
    world.tracking._links = {("near", 1): world.link, ("far", 1): far}
    world.tracking._cluster = cluster
    world.explore()
    far._bell.close()
    far._button.close()


def test_a_change_while_the_way_is_looked_up_is_noticed(clock: list[World]) -> None:
    world = explored(clock, BOTH, math.inf, 30.0)
    cluster = SimpleNamespace(version=0)

    def owner(_: int) -> tuple[str, int]:
        cluster.version += 1  # another thread learns of it just now
        return "near", 1

    cluster.owner = owner
    world.tracking._links = {("near", 1): world.link}
    world.tracking._cluster = cluster
    mark = world.near.mark(NAME, PREFIX)
    world.near.fill(NAME, mark, (1, None))
    assert world.table.hit(NAME) is MISSING
