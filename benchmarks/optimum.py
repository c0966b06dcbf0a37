"""The most hits that any policy could have had, told with knowledge of the whole future.

Belady's MIN: of all that is kept, and of the newcomer too, drop what is asked for last. That a
newcomer may be dropped at once makes this a bound for every policy, also for one that refuses
to admit; a cache that must take each newcomer reaches at most this.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["next_uses", "optimal_hits"]


def next_uses(stream: Sequence[int]) -> list[int]:
    """Return for each request the place of the next one for its key, or the stream's length."""
    never = len(stream)
    seen: dict[int, int] = {}
    following = [never] * never
    for place in range(never - 1, -1, -1):
        following[place] = seen.get(stream[place], never)
        seen[stream[place]] = place
    return following


def optimal_hits(stream: Sequence[int], capacity: int) -> int:
    """Return how many requests the best of all caches of this capacity would hit."""
    never = len(stream)
    kept: dict[int, int] = {}  # key -> place of its next use
    furthest: list[int] = []  # heap of -place; an entry is stale if that key's next use moved on
    hits = 0
    for key, following in zip(stream, next_uses(stream), strict=True):
        if key in kept:
            hits += 1
        if following == never:
            kept.pop(key, None)
            continue
        kept[key] = following
        heappush(furthest, -following)
        if len(kept) > capacity:
            _drop_furthest(stream, kept, furthest)
    return hits


def _drop_furthest(stream: Sequence[int], kept: dict[int, int], furthest: list[int]) -> None:
    """Drop the key that is asked for last; stale entries of the heap go on the way."""
    while True:
        place = -heappop(furthest)
        if kept.get(stream[place]) == place:
            del kept[stream[place]]
            return
