"""R1: one blocking client that waits for each answer."""

from __future__ import annotations

from families.memory.common import integers, records, texts
from families.redis.common import (
    BLOCKING,
    KEYS,
    OURS,
    PACKING,
    RAW,
    contestants,
    reads,
    writes,
)
from harness.model import Goal, Work

GOALS = (Goal("R1", OURS, 1.15, RAW),)
# A dict reaches redis-py alone as bytes, and comes back as bytes.
OF_DICTS = (*GOALS, Goal("R1", OURS, None, PACKING))

SINGLE = (
    Work(
        "get-int",
        f"`get`, a hit: int (the same {KEYS:,} keys)",
        contestants(BLOCKING, reads, integers),
        GOALS,
        (RAW,),
        longer=2,
        plot=True,
    ),
    Work(
        "get-str",
        "`get`, a hit: str, likewise",
        contestants(BLOCKING[:3], reads, texts),
        GOALS,
        (RAW,),
        longer=2,
    ),
    Work(
        "get-dict",
        "`get`, a hit: dict of 3 fields, likewise",
        contestants(BLOCKING, reads, records),
        OF_DICTS,
        (RAW, PACKING),
        longer=2,
    ),
    Work(
        "set-int",
        "`set` of a key that is there: int, with a time to live",
        contestants(BLOCKING, writes, integers),
        GOALS,
        (RAW,),
        longer=2,
        plot=True,
    ),
    Work(
        "set-dict",
        "`set` of a key that is there: dict of 3 fields, with a time to live",
        contestants(BLOCKING, writes, records),
        OF_DICTS,
        (RAW, PACKING),
        longer=2,
    ),
)
