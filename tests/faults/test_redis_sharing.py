"""One object for forks, loops, threads and tasks, whose servers are a master's or a cluster's.

For a single server `tests/mixed` has these, in `test_redis_forks.py` and its neighbours.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

import pytest

from lives import Lives
from memory_checks import LONG
from processes import descriptors
from redis_cluster import shared_cluster
from redis_load import Load, key_of, longest, threads_left
from redis_sentinel import shared_sentinels
from redis_servers import patient
from registers import Board, number_in, value_of
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend
from topologies import url_of_cluster, url_of_sentinels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORKS = 100 if LONG else 8
AT_ONCE = 4  # children
LOOPS = 200 if LONG else 20
SECONDS = 10 if LONG else 1
SIZE = 3
PARENT = (0, 1)  # the registers of its thread and its loop

pytestmark = [
    pytest.mark.timeout(300),
    # Python 3.12 and later warn of every fork of a process with threads; that is the test.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(params=["sentinel", "cluster"])
def cache(request: pytest.FixtureRequest) -> Iterator[CacheManager]:
    if request.param == "sentinel":
        url = url_of_sentinels(shared_sentinels().fresh())
    else:
        url = url_of_cluster(shared_cluster().fresh())
    with CacheManager(RedisBackend(patient(url))) as manager:
        yield manager


class User:
    """Writes a register that is its own, and reads those of all others."""

    def __init__(self, cache: CacheManager, board: Board, register: int) -> None:
        self.cache, self.board, self.register = cache, board, register
        self.others = Random(register)

    def use(self, rounds: int) -> None:
        cache, board, own = self.cache, self.board, self.register
        for _ in range(rounds):
            number = board.begin(own)
            assert cache.set(key_of(own), value_of(own, number, SIZE))
            board.acknowledge(own, number)
            each = self.others.randrange(len(board.begun))
            floor = board.floor(each)
            board.check(each, floor, number_in(each, cache.get(key_of(each)), SIZE))

    async def ause(self, rounds: int) -> None:
        cache, board, own = self.cache, self.board, self.register
        for _ in range(rounds):
            number = board.begin(own)
            assert await cache.aset(key_of(own), value_of(own, number, SIZE))
            board.acknowledge(own, number)
            each = self.others.randrange(len(board.begun))
            floor = board.floor(each)
            board.check(each, floor, number_in(each, await cache.aget(key_of(each)), SIZE))


def in_child(cache: CacheManager, board: Board, number: int) -> int:
    """Fork a child that uses both faces on registers of its own; return its process."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        blocking, loop = (User(cache, board, 2 * number + one) for one in (2, 3))
        blocking.use(5)
        asyncio.run(loop.ause(5))
        blocking.use(5)
        status = 0
    finally:
        os._exit(status)


def test_forks_and_their_parent_see_one_copy_of_each_key(
    cache: CacheManager, tmp_path: Path
) -> None:
    board = Board(tmp_path / "board", 2 + 2 * FORKS)
    blocking, loop = (User(cache, board, register) for register in PARENT)
    with asyncio.Runner() as runner:
        blocking.use(50)
        runner.run(loop.ause(50))
        before = descriptors()
        children: list[int] = []
        for number in range(FORKS):
            children.append(in_child(cache, board, number))
            # At the same time, on the connections that it had before.
            blocking.use(5)
            runner.run(loop.ause(5))
            if len(children) == AT_ONCE:
                assert [os.waitpid(child, 0)[1] for child in children] == [0] * AT_ONCE
                children.clear()
        assert descriptors() <= before
    for register in range(2 + 2 * FORKS):
        found = number_in(register, cache.get(key_of(register)), SIZE)
        assert found == board.acknowledged[register] > 0
    print(f"\n{FORKS} forks, {sum(board.acknowledged)} writes, all linearizable")


def test_loops_one_after_another(cache: CacheManager) -> None:
    async def turn(number: int) -> None:
        await asyncio.gather(*(cache.aset(f"k{task}", (number, task)) for task in range(20)))
        names = [f"k{task}" for task in range(20)]
        assert await cache.aget_many(names) == {
            name: (number, task) for task, name in enumerate(names)
        }
        assert await cache.aincr("turns") == number

    assert cache.get("turns") is None
    asyncio.run(turn(1))
    before = descriptors(), threading.active_count()
    for number in range(2, LOOPS + 1):
        asyncio.run(turn(number))
    assert descriptors() <= before[0]
    assert threading.active_count() == before[1]
    assert cache.get("turns") == LOOPS


def test_eight_threads_and_two_hundred_tasks_on_two_loops_see_one_copy_of_each_key(
    cache: CacheManager, tmp_path: Path
) -> None:
    loads: list[Load] = []
    with ExitStack() as stack:
        for side in ("left", "right"):
            lives = Lives(tmp_path / side, Load.registers_of(threads=4, tasks=100))
            view = cache.namespace(side)
            load = Load(view, lambda _, lives=lives: lives, threads=4, tasks=100)  # type: ignore[misc]
            loads.append(stack.enter_context(load))
        loads[0].run(SECONDS)
    calls = [outcome for load in loads for outcome in load.outcomes]
    print(f"\n{len(calls)} calls, longest {longest(calls):.3f} s, all linearizable")
    assert not [outcome for outcome in calls if outcome.failed]
    assert not threads_left()
