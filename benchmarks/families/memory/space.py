"""M7: what an entry costs in memory, and what a read costs among many entries."""

from __future__ import annotations

import gc
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from families.memory.common import (
    CORE,
    DICT,
    KEYS,
    LRU,
    MOKA,
    NO_LOCK,
    NO_TTL,
    ONE_TTL,
    PREDECESSOR,
    S3FIFO,
    TTL,
    contestants,
    integers,
    keys,
    shuffled,
)
from harness.model import Contestant, Goal, Work
from harness.runners import Loop, chunked
from harness.seats import AbsentError
from peers import blocking
from peers.symphra import symphra

if TYPE_CHECKING:
    from families.memory.common import Adapter

ENTRIES = 100_000
FEW, MANY = 10_000, 1_000_000
STATM = Path("/proc/self/statm")


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    if not STATM.exists():
        raise AbsentError("the system doesn't tell resident memory")
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Growth:
    """Fills a cache once with keys and values that are there already; for a fresh process.

    The capacity is twice what is filled in, so that nobody evicts.
    """

    operations = ENTRIES

    def __init__(self, adapter: Adapter, ttl: int | None) -> None:
        self._names = keys(ENTRIES)
        self._values = integers(ENTRIES)
        self._calls = adapter(2 * ENTRIES, ttl)
        self._fill = self._calls.filled()
        self._fill([("warm-up", None)])

    def run(self, passes: int) -> float:
        """Return by how many bytes resident memory grew."""
        gc.collect()
        before = resident()
        self._fill(zip(self._names, self._values, strict=True))
        if self._calls.settle:
            self._calls.settle()
        gc.collect()
        return resident() - before

    def close(self) -> None:
        """Check that all entries are there."""
        lost = self._calls.found()(self._names).count(None)
        if lost:
            raise RuntimeError(f"{lost} of {ENTRIES} entries are not in the cache")


def among(adapter: Adapter, read: int | None, entries: int) -> Loop:
    """Return a runner of hits among so many entries: on some of them, or on all, in no order."""
    calls, names = adapter(2 * entries, TTL), keys(entries)
    pairs = zip(names, integers(entries), strict=True)
    order = shuffled(names)[:read]
    return Loop(calls, calls.each_get(), chunked(order, KEYS), pairs=pairs, held=names)


def few(name: str) -> str:
    """Return the name of a contestant that holds few entries."""
    return f"{name}, {FEW:,} entries"


def sizes(read: int | None) -> tuple[Contestant, ...]:
    """Return the usual contestants with many entries and with few."""
    small = [(few(name), *rest) for name, *rest in CORE]
    return (*contestants(CORE, among, read, MANY), *contestants(small, among, read, FEW))


def growths(limit: float | None) -> tuple[Goal, ...]:
    """Return what many entries cost over few: a bound for ours, the others for information."""
    others = (Goal("M7", name, None, few(name)) for name in (S3FIFO, MOKA, DICT))
    return (Goal("M7", LRU, limit, few(LRU)), *others)


EXPIRING = (
    *CORE,
    ("moka-py lru", partial(blocking.moka, policy="lru"), ONE_TTL),
    ("cachebox TTLCache", blocking.cachebox_ttl, f"{ONE_TTL}; first in, first out"),
    ("theine", blocking.theine, ""),
    ("cachetools TTLCache, lock", blocking.cachetools, ONE_TTL),
    (PREDECESSOR, symphra, ""),
)
LASTING = (
    *CORE,
    ("cachebox LRUCache", blocking.cachebox_ttl, NO_TTL),
    ("lru-dict", blocking.lru_dict, f"{NO_TTL}; {NO_LOCK}"),
    ("cachetools LRUCache, lock", blocking.cachetools, NO_TTL),
    (PREDECESSOR, symphra, ""),
)
BYTES = (Goal("M7", LRU, 200),)

SPACE = (
    Work(
        "bytes-lasting",
        f"Bytes of an entry beyond key and value, among {ENTRIES:,}, without a time to live",
        contestants(LASTING, Growth, None, fresh=True),
        BYTES,
        (DICT, MOKA),
        unit="B",
        calibrated=False,
        rounds=(2, 7),
        plot=True,
    ),
    Work(
        "bytes-expiring",
        f"Bytes of an entry beyond key and value, among {ENTRIES:,}, with a time to live",
        contestants(EXPIRING, Growth, TTL, fresh=True),
        BYTES,
        (DICT, MOKA),
        unit="B",
        calibrated=False,
        rounds=(2, 7),
    ),
    Work(
        "get-among-many",
        f"`get`, a hit: all of {MANY:,} entries in no order, against all of {FEW:,}",
        sizes(None),
        growths(None),
        (DICT, MOKA),
        longer=4,  # the few must be in the processor's cache again, after the others' many
        rounds=(7, 25),
    ),
    Work(
        "get-few-among-many",
        f"`get`, a hit: the same {KEYS:,} keys among {MANY:,} entries, against among {FEW:,}",
        sizes(KEYS),
        growths(1.6),
        (DICT, MOKA),
        longer=4,  # the few must be in the processor's cache again, after the others' many
        rounds=(7, 25),
    ),
)
