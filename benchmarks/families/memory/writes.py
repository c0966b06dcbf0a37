"""M2: sets with a time to live."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from families.memory.common import (
    CAPACITY,
    CORE,
    DICT,
    LRU,
    MOKA,
    ONE_TTL,
    PREDECESSOR,
    S3FIFO,
    TTL,
    UNBOUNDED,
    contestants,
    keys,
    replacements,
    shuffled,
)
from harness.model import Goal, Work
from harness.runners import Loop, chunked
from peers import blocking
from peers.symphra import symphra

if TYPE_CHECKING:
    from families.memory.common import Adapter


def evictions(adapter: Adapter, ttl: int) -> Loop:
    """Return a runner of sets that each evict: four times as many keys as fit, in turn."""
    calls, names = adapter(CAPACITY, ttl), shuffled(keys(4 * CAPACITY))
    pairs = ((key, 1_000_000) for key in names)
    return Loop(calls, calls.each_set(), chunked(names, 1_000), 1_000_000, pairs=pairs)


MOKA_LRU = "moka-py lru"
PEERS = (
    *CORE,
    (MOKA_LRU, partial(blocking.moka, policy="lru"), ONE_TTL),
    ("cachebox TTLCache", blocking.cachebox_ttl, f"{ONE_TTL}; first in, first out"),
    ("cachebox VTTLCache", blocking.cachebox_vttl, "evicts what expires first"),
    ("theine", blocking.theine, ""),
    ("cachetools TTLCache, lock", blocking.cachetools, ONE_TTL),
    ("Django locmem", blocking.django, "keeps pickles"),
    ("dogpile.cache memory", blocking.dogpile, f"{UNBOUNDED}; {ONE_TTL}"),
    (PREDECESSOR, symphra, ""),
)
GOALS = (Goal("M2", LRU, 1.2, MOKA), Goal("M2", S3FIFO, None, MOKA))
# By default moka-py admits hardly any of these keys (3 in 10,000): then a set stores nothing, and
# nothing goes. With its LRU policy it does what ours does.
EVICTING = (
    Goal("M2", LRU, 1.2, MOKA_LRU),
    Goal("M2", LRU, None, MOKA),
    Goal("M2", S3FIFO, None, MOKA_LRU),
)

WRITES = (
    Work(
        "set-replacing",
        "`set` of a key that is there: int, with a time to live",
        contestants(PEERS, replacements, TTL),
        GOALS,
        (DICT, MOKA),
    ),
    Work(
        "set-evicting",
        "`set` of a new key into a full cache: int, with a time to live",
        contestants(PEERS, evictions, TTL),
        EVICTING,
        (DICT, MOKA, MOKA_LRU),
        plot=True,
    ),
)
