"""M4: the asyncio face, awaited one call after another in one coroutine."""

from __future__ import annotations

from functools import partial

from families.memory.common import (
    FLOOR,
    LRU,
    PREDECESSOR,
    S3FIFO,
    TTL,
    UNBOUNDED,
    contestants,
    reads,
    replacements,
)
from harness.model import Goal, Work
from peers import asynchronous, floors
from peers.symphra import symphra_async

AWAITED = "awaited dict"
CASHEWS = "cashews memory"

PEERS = (
    (LRU, symphra_async, ""),
    (S3FIFO, partial(symphra_async, eviction="s3fifo"), ""),
    (CASHEWS, asynchronous.cashews, "asyncio only"),
    ("aiocache memory", asynchronous.aiocache, f"asyncio only; {UNBOUNDED}"),
    (AWAITED, floors.awaited_dict, FLOOR),
    (PREDECESSOR, symphra_async, ""),
)

COROUTINES = (
    Work(
        "aget",
        "`await aget`, a hit: int, with a time to live",
        contestants(PEERS, reads, TTL),
        (Goal("M4", LRU, 3.0, AWAITED), Goal("M4", LRU, 0.12, CASHEWS)),
        (AWAITED, CASHEWS),
        plot=True,
    ),
    Work(
        "aset",
        "`await aset` of a key that is there: int, with a time to live",
        contestants(PEERS, replacements, TTL),
        (Goal("M4", LRU, 0.2, CASHEWS),),
        (AWAITED, CASHEWS),
    ),
)
