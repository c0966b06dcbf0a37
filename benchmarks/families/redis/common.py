"""What the works of this family share: names, entries, databases, and how a contestant is made."""

from __future__ import annotations

import os
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from families.memory.common import keys, records, shuffled
from harness.model import Contestant
from harness.runners import Loop, chunked
from harness.seats import AbsentError
from peers import redis_blocking, symphra_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.loops import Calls
    from harness.model import Runner

    Values = Callable[[int], list[object]]

# Environment variables: the server's address; those of a cluster's nodes. Other processes inherit
# them.
SERVER = "BENCH_REDIS"
CLUSTER = "BENCH_REDIS_CLUSTER"

OURS = "symphra_cache"
RAW = "raw redis-py"
PACKING = "redis-py and ormsgpack"
DJANGO = "Django Redis cache"
DOGPILE = "dogpile.cache redis"
RAW_ASYNC = "raw redis.asyncio"
CASHEWS = "cashews redis"
AIOCACHE = "aiocache redis"
PREDECESSOR = "symphra-cache 0.1.0"

KEYS = 1_000
PASS = 100  # keys; a round trip takes fifty times as long as a hit in memory
TTL = 3_600

FLOOR = "not a cache: values neither encoded nor decoded, no counters"
PICKLES = "keeps pickles"
ASYNC_ONLY = "asyncio only"
IN_THREAD = "sends calls to a thread"

# In every process the same, since each imports all works in the same order.
_numbers = count()


class Peer(NamedTuple):
    """A contestant as an adapter gives it.

    Args:
        name: as in the tables.
        opener: takes the URL of a database and a time to live.
        lacks: a footnote.
        is_raw: whether it stores only what is text, bytes or a number; else is packed before.
    """

    name: str
    opener: Callable[[str, int], Calls]
    lacks: str = ""
    is_raw: bool = False

    def given(self, values: Values) -> list[object]:
        """Return values as it is given them."""
        from ormsgpack import packb

        found = values(KEYS)
        if self.is_raw and values is records:
            return [packb(value) for value in found]
        return found


US = Peer(OURS, symphra_redis.symphra)
RAW_PEER = Peer(RAW, redis_blocking.raw, FLOOR, is_raw=True)
BLOCKING = (
    US,
    RAW_PEER,
    Peer(PACKING, redis_blocking.packing, "not a cache: no counters, no checks"),
    Peer(DJANGO, redis_blocking.django, PICKLES),
    Peer(DOGPILE, redis_blocking.dogpile, PICKLES),
    Peer(PREDECESSOR, symphra_redis.predecessor, PICKLES),
)


def database(number: int) -> str:
    """Return the URL of a database of the server."""
    return f"redis://{os.environ[SERVER]}/{number}"


def cluster() -> list[str]:
    """Return the addresses of the cluster's nodes."""
    nodes = os.environ.get(CLUSTER)
    if not nodes:
        raise AbsentError("there is no cluster")
    return nodes.split(",")


def contestants(
    peers: Iterable[Peer], runner: Callable[..., Runner], *arguments: object
) -> tuple[Contestant, ...]:
    """Return a contestant for each peer, with a database of its own.

    Args:
        peers: who takes part.
        runner: takes a peer, what opens it, and the arguments.
        arguments: of the runner.
    """
    return tuple(_contestant(peer, runner, arguments) for peer in peers)


def _contestant(
    peer: Peer, runner: Callable[..., Runner], arguments: tuple[object, ...]
) -> Contestant:
    number = next(_numbers)

    def prepare() -> Runner:
        return runner(peer, partial(peer.opener, database(number), TTL), *arguments)

    place = "predecessor" if peer.name == PREDECESSOR else "here"
    return Contestant(peer.name, prepare, peer.lacks, place)


def reads(peer: Peer, opened: Callable[[], Calls], values: Values) -> Loop:
    """Return a runner of hits: all keys are there, and read in turn."""
    calls, names = opened(), keys(KEYS)
    pairs = zip(names, peer.given(values), strict=True)
    return Loop(calls, calls.each_get(), chunked(shuffled(names), PASS), pairs=pairs, held=names)


def writes(peer: Peer, opened: Callable[[], Calls], values: Values) -> Loop:
    """Return a runner of sets: all keys are there, and replaced in turn."""
    calls, names = opened(), keys(KEYS)
    given = peer.given(values)
    pairs = zip(names, given, strict=True)
    chunks = chunked(shuffled(names), PASS)
    return Loop(calls, calls.each_set(), chunks, given[-1], pairs=pairs, held=names)
