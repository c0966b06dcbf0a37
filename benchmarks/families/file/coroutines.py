"""F3: the asyncio face, fifty tasks at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from families.file.common import BEFORE, INTEGERS, TTL, US, Peer, changing, contestants, equal, some
from harness.model import Goal, Work
from harness.runners import Tasks, chunked
from peers import disk, symphra_file

if TYPE_CHECKING:
    from families.file.common import Opened

TASKS = 50
SHARE = 10  # keys of a task in a pass
CASHEWS = "cashews disk"

ASYNC = US._replace(opener=partial(symphra_file.symphra_async, ttl=TTL))
PEERS = (
    ASYNC,
    Peer(CASHEWS, partial(disk.cashews, ttl=TTL), disk.fill_cashews, "asyncio only"),
    BEFORE._replace(
        opener=partial(symphra_file.symphra_async, ttl=TTL, max_size=symphra_file.ROOM)
    ),
)


def tasks(opened: Opened, write: bool) -> Tasks:
    """Return a runner of gets or sets by all tasks at once, each beginning at another key."""
    calls, order = opened(), some(INTEGERS)
    timed = calls.each_pair() if write else calls.each_get()
    chunks = changing(order, SHARE) if write else chunked(order, SHARE)
    return Tasks(TASKS, calls, timed, chunks, held=equal(order))


COROUTINES = (
    Work(
        "aget",
        f"`await aget`, a hit: int, by {TASKS} tasks at once: time by operations of all",
        contestants(PEERS, tasks, False),
        (Goal("F3", ASYNC.name, 0.05, CASHEWS),),
        (CASHEWS,),
        rounds=(7, 25),
        plot=True,
    ),
    Work(
        "aset",
        "`await aset` of a key that is there: int, with a time to live: likewise",
        contestants(PEERS, tasks, True),
        (Goal("F3", ASYNC.name, 0.15, CASHEWS),),
        (CASHEWS,),
        longer=8,  # so that checkpoints fall into every slot
        rounds=(7, 25),
    ),
)
