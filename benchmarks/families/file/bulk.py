"""F5: a thousand entries at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.file.common import (
    BARE,
    CORE,
    DISKCACHE,
    ENTRIES,
    INTEGERS,
    KEYS,
    KINDS,
    OURS,
    changing,
    contestants,
    equal,
    some,
)
from families.memory.common import keys, shuffled
from harness.loops import Calls
from harness.model import Goal, Work
from harness.runners import Loop, Reopened, chunked

if TYPE_CHECKING:
    from families.file.common import Opened

READ = (Goal("F5", OURS, 1.5, BARE), Goal("F5", OURS, 0.5, DISKCACHE))
# As of single reads, hits in the file itself are for information.
FIRST = (Goal("F5", OURS, None, BARE), Goal("F5", OURS, None, DISKCACHE))
WRITTEN = (Goal("F5", OURS, 1.5, BARE), Goal("F5", OURS, 0.15, DISKCACHE))


def gets(opened: Opened) -> Loop:
    """Return a runner that reads the same keys at once over and over."""
    calls, order = opened(), some(INTEGERS)
    return Loop(calls, calls.each_get_many(), [[order]], held=equal(order), each=KEYS)


def first_gets(opened: Opened) -> Reopened:
    """Return a runner that reads keys at once right after the file was opened."""
    first, *order = shuffled(keys(ENTRIES)[INTEGERS :: len(KINDS)])
    chunks = [[keys] for keys in chunked(order, KEYS)]
    return Reopened(opened, Calls.each_get_many, chunks, first, each=KEYS)


def sets(opened: Opened) -> Loop:
    """Return a runner that replaces the same entries at once over and over."""
    calls, order = opened(), some(INTEGERS)
    chunks = [[dict(pairs)] for pairs in changing(order, KEYS)]
    return Loop(calls, calls.each_set_many(), chunks, held=equal(order), each=KEYS)


BULK = (
    Work(
        "get-many",
        f"An entry of `get_many` of {KEYS:,}, hits: int, read before",
        contestants(CORE, gets),
        READ,
        (BARE, DISKCACHE),
    ),
    Work(
        "get-many-first",
        f"An entry of `get_many` of {KEYS:,}, hits: int, right after opening",
        contestants(CORE, first_gets),
        FIRST,
        (BARE, DISKCACHE),
    ),
    Work(
        "set-many",
        f"An entry of `set_many` of {KEYS:,} that are there: int",
        contestants(CORE, sets),
        WRITTEN,
        (BARE, DISKCACHE),
        longer=8,  # so that checkpoints fall into every slot
    ),
)
