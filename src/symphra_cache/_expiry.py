"""Which entries expire next: a heap of deadlines, cleaned when it holds mostly outdated ones."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from typing import Any

__all__ = ["ExpiryQueue"]

# Below this many outdated deadlines cleaning is not worth it.
_SLACK = 1024


class ExpiryQueue:
    """Deadlines of entries, soonest first. Not thread-safe: its owner holds a lock.

    An entry that is replaced leaves its old deadline behind; the owner compares and ignores
    it. Removing it at once would need a search.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        # The number in the middle decides ties, since names may not be comparable.
        self._heap: list[tuple[int, int, Any]] = []
        self._order = count()

    def push(self, deadline: int, name: Hashable) -> None:
        """Note that the entry ``name`` expires at ``deadline``."""
        heappush(self._heap, (deadline, next(self._order), name))

    def due(self, now: Callable[[], int], limit: int) -> Iterator[tuple[int, Any]]:
        """Take out at most ``limit`` deadlines that have passed."""
        heap = self._heap
        if not heap:
            return
        moment = now()
        while heap and limit > 0 and heap[0][0] <= moment:
            deadline, _, name = heappop(heap)
            yield deadline, name
            limit -= 1

    def is_bloated(self, entries: int) -> bool:
        """Tell whether most deadlines belong to entries that are gone or were replaced."""
        return len(self._heap) > 2 * entries + _SLACK

    def rebuild(self, deadlines: Iterable[tuple[int, Hashable]]) -> None:
        """Start over with the deadlines of the entries that there are."""
        self._heap = [(deadline, next(self._order), name) for deadline, name in deadlines]
        heapify(self._heap)
