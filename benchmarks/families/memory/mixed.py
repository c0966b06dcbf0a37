"""M3: 90 % gets and 10 % sets of skewed keys; a get that misses is followed by a set."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import traces
from families.memory.common import (
    CORE,
    DICT,
    LRU,
    MOKA,
    NO_LOCK,
    NO_TTL,
    ONE_TTL,
    PREDECESSOR,
    S3FIFO,
    TTL,
    contestants,
)
from harness.model import Goal, Work
from harness.runners import Loop, Once, chunked
from peers import blocking
from peers.symphra import symphra

if TYPE_CHECKING:
    from families.memory.common import Adapter

UNIVERSE = 50_000
CAPACITY = UNIVERSE // 10
LENGTH = 1_000_000
WRITES = 0.1
# What is played untimed, to fill the cache.
WARM_UP = 100_000
VALUE = 1_000_000


@cache
def operations() -> list[tuple[str, int]]:
    """Return the stream as (key, whether to set it)."""
    names = [f"user:{number}" for number in range(UNIVERSE)]
    drawn = traces.zipf(UNIVERSE, LENGTH, 1.0, seed=1)
    return [
        (names[key], write)
        for key, write in zip(drawn, traces.chosen(LENGTH, WRITES, seed=2), strict=True)
    ]


def mixed(adapter: Adapter, ttl: int | None) -> Loop:
    """Return a runner that plays the stream over and over into a warm cache."""
    calls, stream = adapter(CAPACITY, ttl), operations()
    runner = Loop(calls, calls.mixed(), chunked(stream, 1_000), VALUE)
    runner.call(calls.replayed(), stream[:WARM_UP], VALUE)
    return runner


def hit_ratio(adapter: Adapter, ttl: int | None) -> Once:
    """Return a runner that plays the stream once, into an empty cache."""

    def figure() -> float:
        calls, stream = adapter(CAPACITY, ttl), operations()
        misses = calls.replayed()(stream, VALUE)
        return 1 - misses / sum(not write for _, write in stream)

    return Once(figure)


PEERS = (
    *CORE,
    ("moka-py lru", partial(blocking.moka, policy="lru"), ONE_TTL),
    ("cachebox TTLCache", blocking.cachebox_ttl, f"{ONE_TTL}; first in, first out"),
    ("theine", blocking.theine, ""),
    ("lru-dict", blocking.lru_dict, f"{NO_TTL}; {NO_LOCK}"),
    ("cachetools TTLCache, lock", blocking.cachetools, ONE_TTL),
    (PREDECESSOR, symphra, ""),
)
SHAPE = f"{UNIVERSE:,} keys, capacity {CAPACITY:,}, zipf 1.0, 90 % get, 10 % set, filling on a miss"

MIXED = (
    Work(
        "mixed",
        f"An operation of the mixed stream ({SHAPE})",
        contestants(PEERS, mixed, TTL),
        (Goal("M3", LRU, 1.5, MOKA), Goal("M3", S3FIFO, None, MOKA)),
        (DICT, MOKA),
        plot=True,
    ),
    Work(
        "hit-ratio",
        f"Share of gets that hit over {LENGTH:,} operations of the mixed stream, empty at first",
        contestants([peer for peer in PEERS if peer[0] != DICT], hit_ratio, TTL),
        (
            Goal("M3", LRU, 0.72, kind="equal", tolerance=0.003),
            Goal("M3", S3FIFO, 0.765, kind="at least"),
        ),
        unit="",
        calibrated=False,
        rounds=(1, 3),
        plot=True,
    ),
)
