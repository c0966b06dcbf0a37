"""Streams of keys to try a cache with, the same for the same seed on every Python and machine.

Keys are ints from 0, the likeliest first. Needs nothing but the standard library.

The benchmarks' mixed work is `zipf(50_000, 1_000_000, 1.0, seed=1)` into a cache of 5,000 (10 %
of the universe), empty at first; `chosen(1_000_000, 0.1, seed=2)` says which operations are sets,
so gets and sets draw from one distribution, and a get that misses is followed by a set. Hits are
counted over all gets, with no warm-up left out. Exact LRU then hits 0.720, S3-FIFO about 0.770.
"""

from __future__ import annotations

from itertools import accumulate, islice
from random import Random


def zipf(universe: int, length: int, exponent: float, seed: int) -> list[int]:
    """Return keys of which the k-th is drawn in proportion to ``1 / k ** exponent``."""
    weights = accumulate(1 / rank**exponent for rank in range(1, universe + 1))
    return Random(seed).choices(range(universe), cum_weights=list(weights), k=length)


def shuffled(universe: int, seed: int) -> list[int]:
    """Return each key once, in no order."""
    keys = list(range(universe))
    Random(seed).shuffle(keys)
    return keys


def chosen(length: int, share: float, seed: int) -> list[int]:
    """Return ones and zeros, each a one with the probability ``share``."""
    random = Random(seed).random
    return [int(random() < share) for _ in range(length)]


def scanned(
    universe: int, length: int, exponent: float, seed: int, *, every: int, scan: int
) -> list[int]:
    """Return a zipf stream into which, after each ``every`` keys, ``scan`` others walk.

    No key of a walk is ever asked for again: a report that reads a table from end to end.
    """
    walks = length // (every + scan) + 1
    popular = iter(zipf(universe, walks * every, exponent, seed))
    stream: list[int] = []
    for start in range(universe, universe + walks * scan, scan):
        stream += islice(popular, every)
        stream += range(start, start + scan)
    return stream[:length]


def loop(size: int, length: int) -> list[int]:
    """Return ``size`` keys in order, again and again: LRU's worst when they don't quite fit."""
    return [place % size for place in range(length)]


def echo(length: int, distance: int) -> list[int]:
    """Return keys of which every second one is asked for once more, ``distance`` keys later.

    SIEVE's hand stays at its newest entries here and evicts each before its echo comes.
    """
    stream: list[int] = []
    for key in range(0, length, 2):
        stream += (key, key + 1)
        if key >= distance:
            stream.append(key - distance // 2 * 2)
    return stream[:length]


def short_reuse(uses: int, window: int, length: int, seed: int) -> list[int]:
    """Return keys each asked for ``uses`` times within ``window`` requests, then never again.

    One key is born every ``uses`` requests. No policy can hit more than ``1 - 1 / uses``.
    """
    random = Random(seed).random
    births = range(-window, length, uses)
    requests = [(birth + random() * window, birth) for birth in births for _ in range(uses)]
    requests.sort()
    middle = [birth for when, birth in requests if when >= 0][:length]
    oldest = min(middle, default=0)
    return [(birth - oldest) // uses for birth in middle]


def shifting(
    universe: int, length: int, seed: int, *, hot: int, share: float, period: int
) -> list[int]:
    """Return a stream whose hot set is another one after each ``period`` requests.

    A request falls with the probability ``share`` on one of the ``hot`` keys of the moment,
    else on any key of the universe, all alike.
    """
    random = Random(seed).random
    stream = []
    for place in range(length):
        if random() < share:
            stream.append((place // period * hot + int(random() * hot)) % universe)
        else:
            stream.append(int(random() * universe))
    return stream
