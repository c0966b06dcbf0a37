"""R2: asyncio: two hundred tasks at once, one alone, a thousand on default settings."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from families.memory.common import integers, keys, shuffled
from families.redis.common import (
    AIOCACHE,
    ASYNC_ONLY,
    CASHEWS,
    DJANGO,
    FLOOR,
    IN_THREAD,
    KEYS,
    OURS,
    PICKLES,
    PREDECESSOR,
    RAW_ASYNC,
    US,
    Peer,
    contestants,
    reads,
    writes,
)
from harness.model import Goal, Work
from harness.runners import Tasks, chunked
from peers import redis_asyncio, symphra_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.loops import Calls

TASKS = 200
MANY = 1_000
SHARE = KEYS // TASKS
QUEUEING = f"{RAW_ASYNC}, 50 connections"

ASYNC = US._replace(opener=symphra_redis.symphra_async)
RAW_ALONE = Peer(RAW_ASYNC, redis_asyncio.raw, FLOOR, is_raw=True)
CASHEWS_PEER = Peer(CASHEWS, redis_asyncio.cashews, ASYNC_ONLY)
AIOCACHE_PEER = Peer(AIOCACHE, redis_asyncio.aiocache, ASYNC_ONLY)
DJANGO_PEER = Peer(DJANGO, redis_asyncio.django, f"{PICKLES}; {IN_THREAD}")
BEFORE = Peer(PREDECESSOR, symphra_redis.predecessor_async, PICKLES)

ROOM = {"max_connections": TASKS}
# Each on the number of connections on which it does not fail.
CROWD = (
    ASYNC,
    RAW_ALONE._replace(opener=partial(redis_asyncio.raw, **ROOM)),
    Peer(QUEUEING, partial(redis_asyncio.raw_queueing, max_connections=50), FLOOR, is_raw=True),
    CASHEWS_PEER,
    AIOCACHE_PEER._replace(opener=partial(redis_asyncio.aiocache, pool_max_size=TASKS)),
    DJANGO_PEER,
    BEFORE._replace(opener=partial(symphra_redis.predecessor_async, **ROOM)),
)
ALONE = (ASYNC, RAW_ALONE, CASHEWS_PEER, AIOCACHE_PEER, DJANGO_PEER)
# `RAW_ASYNC`'s is the pool that raises if it runs out of connections.
DEFAULTS = (ASYNC, RAW_ALONE, CASHEWS_PEER, AIOCACHE_PEER, BEFORE)


def crowd(peer: Peer, opened: Callable[[], Calls], write: bool) -> Tasks:
    """Return a runner of gets or sets by all tasks at once, each on keys of its own."""
    calls, names = opened(), keys(KEYS)
    pairs = zip(names, integers(KEYS), strict=True)
    timed = calls.each_set() if write else calls.each_get()
    chunks = chunked(shuffled(names), SHARE)
    return Tasks(TASKS, calls, timed, chunks, 1_000_000, pairs=pairs, held=names)


class Failures:
    """Counts the tasks, of many at once, in which a call raised, or missed what was there."""

    operations = 1

    def __init__(self, calls: Calls, shares: Sequence[Sequence[tuple[str, object]]]) -> None:
        self._shares = shares
        self._filled, self._found = calls.filled(), calls.found()
        self._close = calls.close
        self._runner = asyncio.Runner()

    def run(self, passes: int) -> float:
        """Return how many tasks failed."""
        return float(sum(self._runner.run(self._failed()) for _ in range(passes)))

    async def _failed(self) -> int:
        done = await asyncio.gather(*map(self._task, self._shares), return_exceptions=True)
        return sum(isinstance(one, Exception) for one in done)

    async def _task(self, pairs: Sequence[tuple[str, object]]) -> None:
        await self._filled(pairs)
        if None in await self._found([key for key, _ in pairs]):
            raise LookupError("a key is not in the cache")

    def close(self) -> None:
        """Close the connections."""
        if self._close:
            self._runner.run(self._close())
        self._runner.close()


def failures(peer: Peer, opened: Callable[[], Calls]) -> Failures:
    """Return a counter of failures; each task writes and reads keys of its own."""
    count = MANY * SHARE
    pairs = list(zip(keys(count), integers(count), strict=True))
    return Failures(opened(), chunked(pairs, SHARE))


# What is bounded is throughput, so the time of redis.asyncio by ours.
COROUTINES = (
    Work(
        "aget",
        f"`await aget`, a hit: int, by {TASKS} tasks at once: time by operations of all",
        contestants(CROWD, crowd, False),
        (Goal("R2", RAW_ASYNC, 9.0, OURS, kind="at least"), Goal("R2", QUEUEING, None, OURS)),
        (RAW_ASYNC, CASHEWS),
        rounds=(7, 25),
        plot=True,
    ),
    Work(
        "aset",
        "`await aset` of a key that is there: int, with a time to live: likewise",
        contestants(CROWD, crowd, True),
        (Goal("R2", RAW_ASYNC, 8.0, OURS, kind="at least"), Goal("R2", QUEUEING, None, OURS)),
        (RAW_ASYNC, CASHEWS),
        rounds=(7, 25),
        plot=True,
    ),
    Work(
        "aget-alone",
        "`await aget`, a hit: int, by one task",
        contestants(ALONE, reads, integers),
        (Goal("R2", OURS, 1.2, RAW_ASYNC),),
        (RAW_ASYNC, CASHEWS),
        longer=2,
    ),
    Work(
        "aset-alone",
        "`await aset` of a key that is there: int, with a time to live, by one task",
        contestants(ALONE, writes, integers),
        (Goal("R2", OURS, 1.2, RAW_ASYNC),),
        (RAW_ASYNC, CASHEWS),
        longer=2,
    ),
    Work(
        "failures",
        f"Of {MANY:,} tasks at once on default settings, how many failed; each sets {SHARE} keys "
        "of its own, then gets them",
        contestants(DEFAULTS, failures),
        (Goal("R2", OURS, 0.0), Goal("R2", RAW_ASYNC, None)),
        unit="tasks",
        calibrated=False,
        rounds=(3, 10),
    ),
)
