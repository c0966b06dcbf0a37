"""For information: values of a megabyte among small ones, on both kinds of table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from families.file.common import BARE, OURS, SQL, US, contestants, equal
from harness.model import Goal, Work
from harness.runners import Loop, chunked
from peers import sql, symphra_file

if TYPE_CHECKING:
    from pathlib import Path

    from families.file.common import Opened, Pairs

ROWID = "bare SQLite, with row ids"
MEGABYTE = 1_000_000
# Among so many small values stands one large one.
BETWEEN = 50
COUNT = 1_000
LARGE = [f"file:{number}" for number in range(0, COUNT, BETWEEN)]


def stored() -> Pairs:
    """Return what every file holds."""
    return ((f"file:{n}", os.urandom(100 if n % BETWEEN else MEGABYTE)) for n in range(COUNT))


def fill_large_symphra(folder: Path, _: Pairs) -> None:
    """Fill one of ours."""
    symphra_file.fill_symphra(folder, stored())


def fill_large_bare(folder: Path, _: Pairs) -> None:
    """Fill a table without row ids."""
    sql.fill_bare(folder, stored())


def fill_large_rowid(folder: Path, _: Pairs) -> None:
    """Fill a table with row ids."""
    sql.fill_bare(folder, stored(), sql.CREATE_WITH_ROWID)


PEERS = (
    US._replace(fill=fill_large_symphra),
    SQL._replace(fill=fill_large_bare),
    SQL._replace(name=ROWID, fill=fill_large_rowid),
)
INFORMATION = (Goal("F1", OURS, None, BARE), Goal("F1", OURS, None, ROWID))


def reads(opened: Opened, keys: list[str]) -> Loop:
    """Return a runner of hits."""
    calls = opened()
    return Loop(calls, calls.each_get(), chunked(equal(keys), len(LARGE)), held=keys)


def writes(opened: Opened) -> Loop:
    """Return a runner that replaces large values by others."""
    calls, values = opened(), [os.urandom(MEGABYTE) for _ in range(3)]
    chunks = [[(key, value) for key in equal(LARGE)] for value in values]
    return Loop(calls, calls.each_pair(), chunks, held=LARGE)


LARGE_VALUES = (
    Work(
        "get-large",
        "`get`, a hit: bytes, 1 MB (too large for the memory tier)",
        contestants(PEERS, reads, LARGE),
        INFORMATION,
        (BARE, ROWID),
    ),
    Work(
        "set-large",
        "`set` of a key that is there: bytes, 1 MB",
        contestants(PEERS, writes),
        (Goal("F2", OURS, None, BARE), Goal("F2", OURS, None, ROWID)),
        (BARE, ROWID),
        longer=4,
    ),
)
