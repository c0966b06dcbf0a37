"""R3: a thousand entries at once, on both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.memory.common import integers, keys, records, shuffled
from families.redis.common import (
    BLOCKING,
    FLOOR,
    KEYS,
    OURS,
    PACKING,
    RAW,
    RAW_ASYNC,
    Peer,
    contestants,
)
from families.redis.coroutines import ALONE
from harness.model import Goal, Work
from harness.runners import Loop
from peers import redis_blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from families.redis.common import Values
    from harness.loops import Calls

MSET = f"{RAW}, MSET"
PEERS = tuple(peer for peer in BLOCKING if peer.name != PACKING)
WRITERS = (*PEERS, Peer(MSET, redis_blocking.raw_mset, f"{FLOOR}; no time to live", is_raw=True))


def gets(peer: Peer, opened: Callable[[], Calls], values: Values) -> Loop:
    """Return a runner that reads the same keys at once over and over."""
    calls, names = opened(), keys(KEYS)
    pairs = zip(names, peer.given(values), strict=True)
    chunks = [[shuffled(names)]]
    return Loop(calls, calls.each_get_many(), chunks, pairs=pairs, held=names, each=KEYS)


def sets(peer: Peer, opened: Callable[[], Calls], values: Values) -> Loop:
    """Return a runner that replaces the same entries at once over and over."""
    calls, names = opened(), keys(KEYS)
    mapping = dict(zip(shuffled(names), peer.given(values), strict=True))
    pairs = list(mapping.items())
    return Loop(calls, calls.each_set_many(), [[mapping]], pairs=pairs, held=names, each=KEYS)


READ, WRITTEN = (Goal("R3", OURS, 2.5, RAW),), (Goal("R3", OURS, 0.4, RAW),)

BULK = (
    Work(
        "get-many",
        f"An entry of `get_many` of {KEYS:,}, hits: int; redis-py: `MGET`",
        contestants(PEERS, gets, integers),
        READ,
        (RAW,),
        longer=4,
        plot=True,
    ),
    Work(
        "get-many-dict",
        "An entry of `get_many`, likewise: dict of 3 fields",
        contestants(PEERS, gets, records),
        READ,
        (RAW,),
        longer=4,
    ),
    Work(
        "set-many",
        f"An entry of `set_many` of {KEYS:,} that are there: int, with a time to live; redis-py: a "
        "pipeline of `SET`",
        contestants(WRITERS, sets, integers),
        (*WRITTEN, Goal("R3", OURS, None, MSET)),
        (RAW,),
        longer=4,
        plot=True,
    ),
    Work(
        "set-many-dict",
        "An entry of `set_many`, likewise: dict of 3 fields",
        contestants(PEERS, sets, records),
        WRITTEN,
        (RAW,),
        longer=4,
    ),
    Work(
        "aget-many",
        f"An entry of `await aget_many` of {KEYS:,}, hits: int",
        contestants(ALONE, gets, integers),
        (Goal("R3", OURS, 2.5, RAW_ASYNC),),
        (RAW_ASYNC,),
        longer=4,
    ),
    Work(
        "aset-many",
        f"An entry of `await aset_many` of {KEYS:,} that are there: int, with a time to live",
        contestants(ALONE, sets, integers),
        (Goal("R3", OURS, 0.4, RAW_ASYNC),),
        (RAW_ASYNC,),
        longer=4,
    ),
)
