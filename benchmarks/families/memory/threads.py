"""M6: four threads on one cache, and how much dearer an operation is than in one thread.

A figure is wall time by operations of all threads. On an interpreter with a GIL it can't fall;
growth is the figure with four threads by that with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.memory.common import (
    CAPACITY,
    CORE,
    DICT,
    KEYS,
    LRU,
    MOKA,
    PREDECESSOR,
    S3FIFO,
    TTL,
    contestants,
    integers,
    keys,
    shuffled,
)
from families.memory.mixed import CAPACITY as MIXED_CAPACITY
from families.memory.mixed import VALUE, WARM_UP, operations
from harness.model import Contestant, Goal, Work
from harness.runners import Threads, chunked
from peers.symphra import symphra

if TYPE_CHECKING:
    from collections.abc import Callable

    from families.memory.common import Adapter


def reading(adapter: Adapter, count: int) -> Threads:
    """Return a runner of hits in so many threads."""
    calls, names = adapter(CAPACITY, TTL), keys(KEYS)
    order = shuffled(names)
    chunks = [[*order[start:], *order[:start]] for start in range(0, KEYS, KEYS // 4)]
    pairs = zip(names, integers(KEYS), strict=True)
    return Threads(count, calls, calls.each_get(), chunks, pairs=pairs, held=names)


def mixing(adapter: Adapter, count: int) -> Threads:
    """Return a runner of the mixed stream in so many threads, each in another part of it."""
    calls, stream = adapter(MIXED_CAPACITY, TTL), operations()
    runner = Threads(count, calls, calls.mixed(), chunked(stream, 1_000), VALUE)
    runner.call(calls.replayed(), stream[:WARM_UP], VALUE)
    return runner


def alone(name: str) -> str:
    """Return the name of a contestant in one thread."""
    return f"{name}, 1 thread"


def both(runner: Callable[..., Threads]) -> tuple[Contestant, ...]:
    """Return all contestants in four threads, and those that growth is asked of in one."""
    peers = (*CORE, (PREDECESSOR, symphra, ""))
    single = [(alone(name), *rest) for name, *rest in CORE]
    return (*contestants(peers, runner, 4), *contestants(single, runner, 1))


GROWTH = Goal("M6", LRU, 1.1, DICT, growth=(alone(LRU), alone(DICT)))

THREADS = (
    Work(
        "threads-get",
        "`get`, a hit, 4 threads on one cache: wall time by operations of all threads",
        both(reading),
        (Goal("M6", LRU, 1.0, MOKA), Goal("M6", S3FIFO, None, MOKA), GROWTH),
        (DICT, MOKA),
        longer=4,
        rounds=(7, 40),
    ),
    Work(
        "threads-mixed",
        "An operation of the mixed stream, 4 threads on one cache: likewise",
        both(mixing),
        # Four threads can't be asked for more than M3 asks of one.
        (Goal("M6", LRU, 1.5, MOKA), Goal("M6", S3FIFO, None, MOKA), GROWTH),
        (DICT, MOKA),
        longer=4,
        rounds=(7, 40),
    ),
)
