"""The traffic of a small fleet, key by key, as a check of the model in `sim_fleet`."""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import traces

if TYPE_CHECKING:
    from sim_fleet import Fleet


class Counted(NamedTuple):
    """What a simulation counted."""

    hits: float  # share of reads
    heard: float  # share of other hosts that held what was written


def simulated(fleet: Fleet, operations: int, seed: int = 1) -> Counted:
    """Replay the traffic of few hosts of one namespace, key by key; the first half warms up."""
    random = Random(seed)
    keys = traces.zipf(fleet.keys, operations, fleet.exponent, seed)
    caches: list[OrderedDict[int, float]] = [OrderedDict() for _ in range(fleet.hosts)]
    rate = fleet.hosts * (fleet.reads + fleet.writes)
    share = fleet.writes / (fleet.reads + fleet.writes)
    now, counts = 0.0, [0, 0, 0, 0]
    for number, key in enumerate(keys):
        now += random.expovariate(rate)
        late = number > operations // 2
        if random.random() < share:
            holders = [_dropped(cache, key, now - fleet.lifetime) for cache in caches]
            counts[2] += late * len(caches)
            counts[3] += late * sum(holders)
        else:
            counts[0] += late
            counts[1] += late * _hit(random.choice(caches), key, now, fleet)
    reads, hits, told, heard = counts
    return Counted(hits / max(1, reads), heard / max(1, told))


def _dropped(cache: OrderedDict[int, float], key: int, oldest: float) -> bool:
    return cache.pop(key, -inf) > oldest


def _hit(cache: OrderedDict[int, float], key: int, now: float, fleet: Fleet) -> bool:
    """Read a key from a near cache, which is filled on a miss."""
    if cache.get(key, -inf) > now - fleet.lifetime:
        cache.move_to_end(key)
        return True
    cache[key] = now
    cache.move_to_end(key)
    if len(cache) > fleet.capacity:
        cache.popitem(last=False)
    return False
