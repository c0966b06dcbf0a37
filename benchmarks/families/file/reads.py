"""F1: hits of keys that were read before, while nobody else writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.file.common import (
    BARE,
    BEFORE,
    CORE,
    DISK_COUNTING,
    DISKCACHE,
    ENTRIES,
    INTEGERS,
    KEYS,
    OURS,
    PASS,
    RECORDS,
    TEXTS,
    contestants,
    equal,
    some,
)
from harness.model import Goal, Work
from harness.runners import Loop, chunked

if TYPE_CHECKING:
    from families.file.common import Opened

GOALS = (Goal("F1", OURS, 0.15, BARE), Goal("F1", OURS, 0.1, DISKCACHE))
SHAPE = f"the same {KEYS:,} of {ENTRIES:,} keys, read before"


def reads(opened: Opened, kind: int) -> Loop:
    """Return a runner of hits: the same keys over and over."""
    calls, order = opened(), some(kind)
    return Loop(calls, calls.each_get(), chunked(order, PASS), held=equal(order))


READS = (
    Work(
        "get-int",
        f"`get`, a hit: int ({SHAPE})",
        contestants((*CORE, DISK_COUNTING, BEFORE), reads, INTEGERS),
        GOALS,
        (BARE, DISKCACHE),
        plot=True,
    ),
    Work(
        "get-str",
        "`get`, a hit: str, likewise",
        contestants(CORE, reads, TEXTS),
        GOALS,
        (BARE, DISKCACHE),
    ),
    Work(
        "get-dict",
        "`get`, a hit: dict of 3 fields, likewise; each caller's own",
        contestants(CORE, reads, RECORDS),
        GOALS,
        (BARE, DISKCACHE),
    ),
)
