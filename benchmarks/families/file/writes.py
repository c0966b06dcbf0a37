"""F2: sets, each committed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from families.file.common import (
    BARE,
    BEFORE,
    CORE,
    DISKCACHE,
    ENTRIES,
    INTEGERS,
    KEYS,
    OURS,
    PASS,
    US,
    changing,
    contestants,
    equal,
    limited,
    some,
)
from families.memory.common import shuffled
from harness.model import Goal, Work
from harness.runners import Loop, chunked

if TYPE_CHECKING:
    from families.file.common import Opened

BOUNDED = limited(US, max_size=ENTRIES)
# More than a run gets through.
NEW = 500_000


def replacements(opened: Opened) -> Loop:
    """Return a runner of sets of keys that are there."""
    calls, order = opened(), some(INTEGERS)
    return Loop(calls, calls.each_pair(), changing(order, PASS), held=equal(order))


def additions(opened: Opened) -> Loop:
    """Return a runner of sets of keys that are not there; a bounded cache is full."""
    calls = opened()
    return Loop(calls, calls.each_set(), chunked(strangers(), PASS), 1_000_000)


@cache
def strangers() -> list[str]:
    """Return keys that no file holds, in no order."""
    return shuffled([f"new:{number}" for number in range(NEW)])


GOALS = (
    Goal("F2", OURS, 1.4, BARE),
    Goal("F2", OURS, 0.3, DISKCACHE),
    Goal("F2", BOUNDED.name, 2.4, BARE),
)

WRITES = (
    Work(
        "set",
        f"`set` of a key that is there: int (the same {KEYS:,} of {ENTRIES:,} keys)",
        contestants((US, BOUNDED, *CORE[1:], BEFORE), replacements),
        GOALS,
        (BARE, DISKCACHE),
        longer=8,  # so that checkpoints fall into every slot
        plot=True,
    ),
    Work(
        "set-new",
        f"`set` of a new key: int, {ENTRIES:,} entries at first; evicts where there is a bound",
        contestants((US, BOUNDED, *CORE[1:]), additions),
        GOALS,
        (BARE, DISKCACHE),
        longer=4,  # likewise
    ),
)
