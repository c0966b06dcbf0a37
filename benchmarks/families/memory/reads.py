"""M1: hits."""

from __future__ import annotations

from functools import partial

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
    UNBOUNDED,
    contestants,
    integers,
    reads,
    records,
    texts,
)
from harness.model import Goal, Work
from peers import blocking
from peers.symphra import symphra

SHARED = "symphra_cache LRU, shared"

GOALS = (
    Goal("M1", LRU, 1.0, MOKA),
    Goal("M1", LRU, 7.0, DICT),
    Goal("M1", S3FIFO, 6.0, DICT),
    Goal("M1", S3FIFO, None, MOKA),
)
EXPIRING = (
    *CORE,
    ("moka-py lru", partial(blocking.moka, policy="lru"), ONE_TTL),
    ("cachebox TTLCache", blocking.cachebox_ttl, f"{ONE_TTL}; first in, first out"),
    ("cachebox VTTLCache", blocking.cachebox_vttl, "evicts what expires first"),
    ("theine", blocking.theine, ""),
    ("cachetools TTLCache, lock", blocking.cachetools, ONE_TTL),
    ("Django locmem", blocking.django, "keeps pickles"),
    ("dogpile.cache memory", blocking.dogpile, f"{UNBOUNDED}; {ONE_TTL}"),
    (PREDECESSOR, symphra, ""),
)
LASTING = (
    *CORE,
    ("cachebox LRUCache", blocking.cachebox_ttl, NO_TTL),
    ("lru-dict", blocking.lru_dict, f"{NO_TTL}; {NO_LOCK}"),
    ("functools.lru_cache", blocking.functools_lru, f"{NO_TTL}; no set"),
    ("cachetools LRUCache, lock", blocking.cachetools, NO_TTL),
    (PREDECESSOR, symphra, ""),
)
MUTABLE = (
    *CORE[:2],
    (SHARED, partial(symphra, isolation="shared"), "shares references"),
    *((name, adapter, f"{lacks}; shares references") for name, adapter, lacks in CORE[2:]),
    ("Django locmem", blocking.django, "keeps pickles"),
)

READS = (
    Work(
        "get-int",
        "`get`, a hit: int, with a time to live",
        contestants(EXPIRING, reads, TTL, integers),
        GOALS,
        (DICT, MOKA),
        plot=True,
    ),
    Work(
        "get-str",
        "`get`, a hit: str, with a time to live",
        contestants(EXPIRING[:6], reads, TTL, texts),
        GOALS,
        (DICT, MOKA),
    ),
    Work(
        "get-lasting",
        "`get`, a hit: int, without a time to live",
        contestants(LASTING, reads, None, integers),
        (),
        (DICT, MOKA),
    ),
    Work(
        "get-dict",
        "`get`, a hit: dict of 3 fields, with a time to live; each caller's own unless shared",
        contestants(MUTABLE, reads, TTL, records),
        (
            Goal("M1", LRU, 1.35, MOKA),
            Goal("M1", SHARED, 1.0, MOKA),
            Goal("M1", SHARED, 7.0, DICT),
        ),
        (DICT, MOKA),
    ),
)
