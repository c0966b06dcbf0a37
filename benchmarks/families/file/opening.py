"""F4: from a path to the first hit, with all entries loaded or with none."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from families.file.common import (
    BEFORE,
    DISK,
    ENTRIES,
    OURS,
    SQL,
    US,
    Housed,
    contestants,
    copied,
    limited,
)
from families.memory.common import keys
from harness.model import Contestant, Goal, Work
from harness.runners import Once
from peers import sql

if TYPE_CHECKING:
    from families.file.common import Opened

WARM = limited(US, warm=True)
ROWS = "SELECT of all rows, decoded"
LAST = keys(ENTRIES)[-1]


def first_get(opened: Opened) -> Once:
    """Return a runner that opens, gets one value and closes, the last untimed."""

    def figure() -> float:
        begun = perf_counter_ns()
        calls = opened()
        found = calls.names["get"](LAST)
        took = perf_counter_ns() - begun
        if calls.close:
            calls.close()
        if found is None:
            raise RuntimeError("a key is not in the cache")
        return took / 1e9

    return Once(figure)


def decoding() -> Housed:
    """Return a runner that opens, reads all rows and decodes them."""
    folder = copied(SQL.fill)

    def figure() -> float:
        begun = perf_counter_ns()
        rows = sql.all_rows(folder)
        took = perf_counter_ns() - begun
        if len(rows) != ENTRIES:
            raise RuntimeError("rows are missing")
        return took / 1e9

    return Housed(Once(figure), folder)


OPENING = (
    Work(
        "open",
        f"A file of {ENTRIES:,} entries, from its path to the first hit",
        (
            *contestants((WARM, US._replace(lacks="loads what is asked for")), first_get),
            Contestant(ROWS, decoding, "not a cache, a list of rows"),
            *contestants((DISK._replace(lacks="loads nothing"),), first_get),
            *contestants((BEFORE._replace(lacks="loads nothing"),), first_get),
        ),
        (Goal("F4", WARM.name, 2.0, ROWS), Goal("F4", WARM.name, None), Goal("F4", OURS, None)),
        (ROWS,),
        unit="s",
        calibrated=False,
        rounds=(7, 25),
    ),
)
