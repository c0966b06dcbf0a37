"""What the works of this family share: names, sizes, keys and values, and the usual contestants."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import traces
from harness.model import Contestant
from harness.runners import Loop
from peers import blocking, floors
from peers.symphra import symphra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.loops import Calls
    from harness.model import Place, Runner

    # Takes a capacity and a time to live.
    Adapter = Callable[[int, int | None], Calls]
    # (name, adapter, what it lacks)
    Peer = tuple[str, Adapter, str]

LRU = "symphra_cache LRU"
S3FIFO = "symphra_cache S3-FIFO"
PREDECESSOR = "symphra-cache 0.1.0"
MOKA = "moka-py"
DICT = "bare dict"

CAPACITY = 10_000
TTL = 300
KEYS = 1_000

NO_TTL = "no time to live"
ONE_TTL = "one time to live for all entries"
UNBOUNDED = "not bounded"
NO_LOCK = "promises nothing about threads"
FLOOR = "not a cache: no bound, no time to live, no counters"

s3fifo = partial(symphra, eviction="s3fifo")

# What every work begins with.
CORE: tuple[Peer, ...] = (
    (LRU, symphra, ""),
    (S3FIFO, s3fifo, ""),
    (MOKA, blocking.moka, ONE_TTL),
    (DICT, floors.bare_dict, FLOOR),
)


def keys(count: int) -> list[str]:
    """Return distinct keys."""
    return [f"user:{number}" for number in range(count)]


def shuffled(names: list[str]) -> list[str]:
    """Return equal keys in a fixed order that is not the one they were made and stored in.

    In that order they would lie one after another in memory, which no program's reads do. Nor
    does a program ask with the very object that it once stored: it builds the key each time, so
    a cache has to compare the two.
    """
    return ["".join((*names[number],)) for number in traces.shuffled(len(names), seed=3)]


def integers(count: int) -> list[object]:
    """Return distinct ints, none of which the interpreter keeps ready."""
    return [1_000_000 + number for number in range(count)]


def texts(count: int) -> list[object]:
    """Return distinct short texts."""
    return [f"the value of number {number}" for number in range(count)]


def records(count: int) -> list[object]:
    """Return dicts of three fields."""
    return [{"name": f"name {n}", "age": n, "mail": f"{n}@example.org"} for n in range(count)]


def reads(
    adapter: Adapter, ttl: int | None, values: Callable[[int], list[object]] = integers
) -> Loop:
    """Return a runner of hits: all keys are there, and read in turn."""
    calls, names = adapter(CAPACITY, ttl), keys(KEYS)
    pairs = zip(names, values(KEYS), strict=True)
    return Loop(calls, calls.each_get(), [shuffled(names)], pairs=pairs, held=names)


def replacements(adapter: Adapter, ttl: int | None) -> Loop:
    """Return a runner of sets: all keys are there, and replaced in turn."""
    calls, names = adapter(CAPACITY, ttl), keys(KEYS)
    pairs = zip(names, integers(KEYS), strict=True)
    return Loop(calls, calls.each_set(), [shuffled(names)], 1_000_000, pairs=pairs, held=names)


def contestants(
    peers: Iterable[Peer], runner: Callable[..., Runner], *arguments: object, fresh: bool = False
) -> tuple[Contestant, ...]:
    """Return a contestant for each peer; the predecessor sits in its own process."""
    return tuple(
        Contestant(
            name, partial(runner, adapter, *arguments), lacks, _place(name == PREDECESSOR, fresh)
        )
        for name, adapter, lacks in peers
    )


def _place(is_predecessor: bool, fresh: bool) -> Place:
    if fresh:
        return "fresh predecessor" if is_predecessor else "fresh"
    return "predecessor" if is_predecessor else "here"
