"""R6: hits in the near cache, against hits in the memory backend (M1)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from families.memory.common import CAPACITY, integers, records
from families.redis.common import (
    ASYNC_ONLY,
    CASHEWS,
    FLOOR,
    OURS,
    RAW,
    US,
    Peer,
    contestants,
    reads,
)
from harness.model import Goal, Work
from peers import redis_asyncio, redis_blocking, symphra, symphra_redis

if TYPE_CHECKING:
    from harness.loops import Calls

NEAR_CACHE = f"{OURS}, near cache"
MEMORY = f"{OURS} memory"
LACKS = "its own process only"


def memory(url: str, ttl: int) -> Calls:
    """Our memory backend, which needs no server."""
    return symphra.symphra(CAPACITY, ttl)


def memory_async(url: str, ttl: int) -> Calls:
    """The same, asyncio."""
    return symphra.symphra_async(CAPACITY, ttl)


BLOCKING = (
    Peer(NEAR_CACHE, partial(symphra_redis.symphra, near=True)),
    Peer(MEMORY, memory, LACKS),
    US,
    Peer(f"{RAW}, client-side caching", redis_blocking.raw_near, FLOOR, is_raw=True),
)
ASYNC = (
    Peer(NEAR_CACHE, partial(symphra_redis.symphra_async, near=True)),
    Peer(MEMORY, memory_async, LACKS),
    US._replace(opener=symphra_redis.symphra_async),
    Peer(
        f"{CASHEWS}, client side",
        partial(redis_asyncio.cashews, client_side=True),
        ASYNC_ONLY,
    ),
)
GOALS = (Goal("R6", NEAR_CACHE, 2.0, MEMORY),)

NEAR = (
    Work(
        "near-get",
        "`get`, a hit in the near cache: int",
        contestants(BLOCKING, reads, integers),
        GOALS,
        (MEMORY,),
        plot=True,
    ),
    Work(
        "near-get-dict",
        "`get`, a hit in the near cache: dict of 3 fields, each caller's own",
        contestants(BLOCKING, reads, records),
        GOALS,
        (MEMORY,),
    ),
    Work(
        "near-aget",
        "`await aget`, a hit in the near cache: int",
        contestants(ASYNC, reads, integers),
        GOALS,
        (MEMORY,),
    ),
)
