"""F1, for information: hits that memory can't answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.file.common import (
    BARE,
    CORE,
    DISKCACHE,
    ENTRIES,
    KEYS,
    OURS,
    US,
    contestants,
    equal,
    limited,
)
from families.memory.common import keys, shuffled
from harness.loops import Calls
from harness.model import Goal, Work
from harness.runners import Loop, Reopened, chunked

if TYPE_CHECKING:
    from families.file.common import Opened

SMALL = limited(US, hot_size=KEYS)


def first_reads(opened: Opened) -> Reopened:
    """Return a runner that reads keys right after the file was opened, each once."""
    first, *order = shuffled(keys(ENTRIES))
    return Reopened(opened, Calls.each_get, chunked(order, KEYS), first)


def wide_reads(opened: Opened) -> Loop:
    """Return a runner that reads all keys in no order, again and again."""
    calls, order = opened(), shuffled(keys(ENTRIES))
    return Loop(calls, calls.each_get(), chunked(order, KEYS), held=equal(order))


COLD = (
    Work(
        "get-first",
        f"`get`, a hit: {KEYS:,} of {ENTRIES:,} keys right after opening, each read once",
        contestants(CORE, first_reads),
        (Goal("F1", OURS, None, BARE), Goal("F1", OURS, None, DISKCACHE)),
        (BARE, DISKCACHE),
    ),
    Work(
        "get-wide",
        f"`get`, a hit: all {ENTRIES:,} keys in no order, again and again",
        contestants((US, SMALL, *CORE[1:]), wide_reads),
        (Goal("F1", OURS, None, BARE), Goal("F1", SMALL.name, None, BARE)),
        (BARE, DISKCACHE),
    ),
)
