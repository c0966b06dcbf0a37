"""For information: a cluster of three primaries, against redis-py's clients for clusters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from families.memory.common import integers
from families.redis.bulk import gets, sets
from families.redis.common import (
    FLOOR,
    KEYS,
    OURS,
    US,
    Peer,
    cluster,
    contestants,
    reads,
    writes,
)
from families.redis.coroutines import ROOM, TASKS, crowd
from harness.model import Goal, Work
from peers import redis_asyncio, redis_blocking, symphra_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.loops import Calls

RAW = "redis-py RedisCluster"
RAW_ASYNC = "redis.asyncio RedisCluster"


def ours(opener: Callable[..., Calls], url: str, ttl: int) -> Calls:
    """Open one of our faces on the cluster instead of a database."""
    return opener(f"redis+cluster://{','.join(cluster())}", ttl)


def theirs(opener: Callable[..., Calls], url: str, ttl: int, **options: Any) -> Calls:
    """Open one of redis-py's clients on the cluster instead of a database."""
    return opener(cluster(), ttl, **options)


PEERS = (
    US._replace(opener=partial(ours, symphra_redis.symphra)),
    Peer(RAW, partial(theirs, redis_blocking.raw_cluster), FLOOR, is_raw=True),
)
ASYNC = (
    US._replace(opener=partial(ours, symphra_redis.symphra_async)),
    Peer(RAW_ASYNC, partial(theirs, redis_asyncio.raw_cluster), FLOOR, is_raw=True),
)
CROWD = (
    ASYNC[0],
    ASYNC[1]._replace(opener=partial(theirs, redis_asyncio.raw_cluster, **ROOM)),
)

CLUSTERED = (
    Work(
        "cluster-get",
        "Cluster: `get`, a hit: int",
        contestants(PEERS, reads, integers),
        (Goal("R1", OURS, None, RAW),),
        (RAW,),
        longer=2,
        rounds=(7, 25),
    ),
    Work(
        "cluster-set",
        "Cluster: `set` of a key that is there: int, with a time to live",
        contestants(PEERS, writes, integers),
        (Goal("R1", OURS, None, RAW),),
        (RAW,),
        longer=2,
        rounds=(7, 25),
    ),
    Work(
        "cluster-aget",
        f"Cluster: `await aget`, a hit: int, by {TASKS} tasks at once",
        contestants(CROWD, crowd, False),
        (Goal("R2", RAW_ASYNC, None, OURS),),
        (RAW_ASYNC,),
        rounds=(7, 25),
    ),
    Work(
        "cluster-aset",
        f"Cluster: `await aset` of a key that is there: int, by {TASKS} tasks at once",
        contestants(CROWD, crowd, True),
        (Goal("R2", RAW_ASYNC, None, OURS),),
        (RAW_ASYNC,),
        rounds=(7, 25),
    ),
    Work(
        "cluster-get-many",
        f"Cluster: an entry of `get_many` of {KEYS:,}; redis-py: `mget_nonatomic`",
        contestants(PEERS, gets, integers),
        (Goal("R3", OURS, None, RAW),),
        (RAW,),
        longer=4,
        rounds=(7, 25),
    ),
    Work(
        "cluster-set-many",
        f"Cluster: an entry of `set_many` of {KEYS:,}; redis-py: a pipeline of `SET`",
        contestants(PEERS, sets, integers),
        (Goal("R3", OURS, None, RAW),),
        (RAW,),
        longer=4,
        rounds=(7, 25),
    ),
)
