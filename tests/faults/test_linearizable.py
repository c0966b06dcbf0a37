"""Threads, tasks and loops on one object: each key behaves as if there were one copy of it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from registers import Board, number_in, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from symphra_cache import CacheManager

SECONDS = 10 if LONG else 0.3
SIZE = 3
THREADS, LOOPS, TASKS = 8, 2, 100  # tasks of each loop
REGISTERS = THREADS + LOOPS * TASKS  # half of them have a writer
AT_ONCE = 10  # calls, before a task that need not wait lets others run

pytestmark = pytest.mark.timeout(120)


class Party:
    """All who use one cache: every second one writes its own register, the others read any."""

    def __init__(self, cache: CacheManager, board: Board) -> None:
        self.cache, self.board = cache, board
        self.calls = [0] * REGISTERS
        self.end = 0.0

    def thread(self, who: int) -> None:
        """Use the blocking face until the end."""
        rng, cache, board = Random(who), self.cache, self.board
        while True:
            if who % 2:
                number = board.begin(who)
                assert cache.set(f"r{who}", value_of(who, number, SIZE))
                board.acknowledge(who, number)
            else:
                each = rng.randrange(1, REGISTERS, 2)
                floor = board.floor(each)
                board.check(each, floor, number_in(each, cache.get(f"r{each}"), SIZE))
            self.calls[who] += 1
            if time.monotonic() >= self.end:
                return

    async def task(self, who: int) -> None:
        """Use the asyncio face until the end."""
        rng, cache, board = Random(who), self.cache, self.board
        for turn in cycle(range(AT_ONCE)):
            if who % 2:
                number = board.begin(who)
                assert await cache.aset(f"r{who}", value_of(who, number, SIZE))
                board.acknowledge(who, number)
            else:
                each = rng.randrange(1, REGISTERS, 2)
                floor = board.floor(each)
                board.check(each, floor, number_in(each, await cache.aget(f"r{each}"), SIZE))
            self.calls[who] += 1
            if turn == AT_ONCE - 1:
                await asyncio.sleep(0)
                if time.monotonic() >= self.end:
                    return

    def meet(self, works: list[Callable[[], None]]) -> None:
        """Begin all at once, each in a thread of its own; raise what any of them raises."""
        ready = threading.Barrier(len(works), action=self.begin)

        def begun(work: Callable[[], None]) -> None:
            ready.wait()
            work()

        with ThreadPoolExecutor(len(works)) as pool:
            for done in [pool.submit(begun, work) for work in works]:
                done.result()

    def begin(self) -> None:
        """Say when it ends."""
        self.end = time.monotonic() + SECONDS

    async def loop(self, number: int) -> None:
        """Run the tasks of one of the loops."""
        first = THREADS + number * TASKS
        await asyncio.gather(*(self.task(first + each) for each in range(TASKS)))


def looped(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return lambda: asyncio.run(work())


def test_eight_threads_and_two_hundred_tasks_on_two_loops_see_one_copy_of_each_key(
    cache: CacheManager, tmp_path: Path
) -> None:
    party = Party(cache, Board(tmp_path / "board", REGISTERS))
    works = [lambda who=who: party.thread(who) for who in range(THREADS)]
    works += [looped(lambda number=number: party.loop(number)) for number in range(LOOPS)]
    party.meet(works)
    reads, writes = sum(party.calls[::2]), sum(party.calls[1::2])
    print(f"\n{cache.backend.kind}: {writes} writes, {reads} reads, all linearizable")
    assert min(party.calls) > 0
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    for who in range(1, REGISTERS, 2):
        assert number_in(who, cache.get(f"r{who}"), SIZE) == party.board.acknowledged[who]
