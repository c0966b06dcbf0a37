"""Streams of keys to try a cache with, the same for the same seed on every Python and machine.

Keys are ints from 0, the likeliest first. Needs nothing but the standard library.

The benchmarks' mixed work is `zipf(50_000, 1_000_000, 1.0, seed=1)` into a cache of 5,000 (10 %
of the universe), empty at first; `chosen(1_000_000, 0.1, seed=2)` says which operations are sets,
so gets and sets draw from one distribution, and a get that misses is followed by a set. Hits are
counted over all gets, with no warm-up left out. Exact LRU then hits 0.720, S3-FIFO about 0.770.
"""

from __future__ import annotations

from itertools import accumulate
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
