"""Blocking threads, for information: as many as a web server has on one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.memory.common import integers, keys, shuffled
from families.redis.common import KEYS, OURS, PASS, RAW, RAW_PEER, US, Peer, contestants
from harness.model import Goal, Work
from harness.runners import Threads, chunked

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.loops import Calls


def reading(peer: Peer, opened: Callable[[], Calls], count: int) -> Threads:
    """Return a runner of hits in so many threads."""
    calls, names = opened(), keys(KEYS)
    pairs = zip(names, integers(KEYS), strict=True)
    chunks = chunked(shuffled(names), PASS)
    return Threads(count, calls, calls.each_get(), chunks, pairs=pairs, held=names)


THREADS = tuple(
    Work(
        f"threads-{count}",
        f"`get`, a hit: int, {count} thread{'s' * (count > 1)} on one client: wall time by "
        "operations of all",
        contestants((US, RAW_PEER), reading, count),
        (Goal("R1", OURS, None, RAW),),
        (RAW,),
        longer=2,
        rounds=(7, 25),
    )
    for count in (1, 4, 16, 64)
)
