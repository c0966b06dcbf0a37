"""Which entries expire next, soonest first, at a bounded cost for each write.

Most programs use few different ttls. Entries of one ttl expire in the order in which they were
written, so each of the first such ttls gets a lane: a plain queue, cheaper than a heap and an
eighth of its memory. All others (a jitter makes each ttl different) share a heap.

An entry that is replaced or removed leaves its deadline behind; searching for it would cost more
than ignoring it. When such leftovers are the majority they are swept out, a few at each write:
rebuilding everything at once would hold one write for as long as a million entries take.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from math import inf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sized
    from typing import Any

    from symphra_cache._eviction.lru import Entry

__all__ = ["ExpiryQueue"]

_LANES = 16
# Below this many leftovers tidying is not worth it.
_SLACK = 1024
# Deadlines that one write looks at when it tidies. Above 1, so that tidying comes to an end.
_STEPS = 8


class _Lane:
    """Deadlines in ascending order: those that tidying has seen, then the others.

    Each deadline is followed by its name, which takes less than pairs would.
    """

    __slots__ = ("last", "rest", "seen")

    def __init__(self) -> None:
        self.last: float = -inf  # the deadline that was pushed last
        self.seen: deque[Any] = deque()
        self.rest: deque[Any] = deque()

    def push(self, deadline: float, name: Hashable) -> None:
        self.rest.append(deadline)
        self.rest.append(name)

    def push_seen(self, deadline: float, name: Hashable) -> None:
        self.seen.append(deadline)
        self.seen.append(name)

    def first(self) -> float:
        """Return the first deadline, infinity if there is none."""
        queue = self.seen or self.rest
        return queue[0] if queue else inf

    def pop(self) -> tuple[float, Any]:
        queue = self.seen or self.rest
        return queue.popleft(), queue.popleft()

    def pop_rest(self) -> tuple[float, Any]:
        """Take out a deadline that tidying hasn't seen."""
        return self.rest.popleft(), self.rest.popleft()


class _Heap:
    """Deadlines in any order, as two heaps: what tidying has seen, and the rest."""

    __slots__ = ("_order", "rest", "seen")

    def __init__(self) -> None:
        # The number in the middle decides ties, since names may not be comparable.
        self.seen: list[tuple[float, int, Any]] = []
        self.rest: list[tuple[float, int, Any]] = []
        self._order = count()

    def push(self, deadline: float, name: Hashable) -> None:
        heappush(self.rest, (deadline, next(self._order), name))

    def push_seen(self, deadline: float, name: Hashable) -> None:
        heappush(self.seen, (deadline, next(self._order), name))

    def first(self) -> float:
        """Return the first deadline, infinity if there is none."""
        return min((heap[0][0] for heap in (self.seen, self.rest) if heap), default=inf)

    def pop(self) -> tuple[float, Any]:
        seen, rest = self.seen, self.rest
        deadline, _, name = heappop(seen if seen and (not rest or seen[0] < rest[0]) else rest)
        return deadline, name

    def pop_rest(self) -> tuple[float, Any]:
        """Take out a deadline that tidying hasn't seen."""
        deadline, _, name = self.rest.pop()  # the last of a heap leaves the others in order
        return deadline, name


class ExpiryQueue:
    """Deadlines of entries, soonest first. Not thread-safe: its owner holds a lock.

    An entry names in its last field the deadline by which it is known here: by identity, so
    that it can't be mixed up with one that an earlier entry of the same name has left behind.

    Attributes:
        next_due: no deadline is earlier than this one; infinity if there is none.
        size: how many deadlines there are.
        limit: when there are more, pushing tidies.
    """

    __slots__ = (
        *("_entries", "_find", "_heap", "_is_tidying", "_lanes", "_resolution"),
        *("limit", "next_due", "size"),
    )

    def __init__(
        self, resolution: float, entries: Sized, find: Callable[[Any], Entry | None]
    ) -> None:
        self._resolution = resolution
        self._entries = entries
        self._find = find
        self._lanes: dict[int | None, _Lane] = {}
        self._heap = _Heap()
        self._is_tidying = False
        self.next_due: float = inf
        self.size: int = 0
        self.limit: int = _SLACK

    def push(
        self, deadline: float, name: Hashable, ttl: int | None, gone: float | None = None
    ) -> float:
        """Note that an entry expires, and return when.

        That is the deadline itself, or the one pushed before it with the same ttl if the two are
        nearer to each other than the resolution: entries that are written together share an
        object, which saves a sixth of their memory.

        Args:
            deadline: when.
            name: of the entry.
            ttl: from now, in any unit: what is pushed with the same one comes in order.
                ``None`` if it was given at another time.
            gone: the deadline of an entry that was evicted for this one. Where entries go in
                the order in which they came, forgetting it here leaves nothing to tidy.
        """
        if self.size > self.limit:
            self._tidy()  # before this one comes, for its entry is not there yet
        # Hot path: calls of the lane's own methods would double the cost.
        lane = self._lanes.get(ttl)
        if lane is None:
            self._push_elsewhere(deadline, name, ttl)
        else:
            if deadline - lane.last < self._resolution:
                deadline = lane.last
            else:
                lane.last = deadline
            rest = lane.rest
            rest.append(deadline)
            rest.append(name)
            if gone is not None:
                queue = lane.seen or rest
                if queue[0] is gone:
                    queue.popleft()
                    queue.popleft()
                    return deadline
        self.size += 1
        if deadline < self.next_due:
            self.next_due = deadline
        return deadline

    def _push_elsewhere(self, deadline: float, name: Hashable, ttl: int | None) -> None:
        lanes = self._lanes
        if len(lanes) >= _LANES:
            for empty in [each for each, lane in lanes.items() if lane.first() == inf]:
                del lanes[empty]
        if ttl is None or len(lanes) >= _LANES:
            self._heap.push(deadline, name)
        else:
            lane = lanes[ttl] = _Lane()
            lane.last = deadline
            lane.push(deadline, name)

    def due(self, now: float, limit: int) -> list[tuple[float, Any]]:
        """Take out at most ``limit`` deadlines that have passed, with the names."""
        found: list[tuple[float, Any]] = []
        for queue in self._queues():
            while len(found) < limit and queue.first() <= now:
                found.append(queue.pop())
        self.size -= len(found)
        self.next_due = min(queue.first() for queue in self._queues())
        return found

    def _tidy(self) -> None:
        """Drop a few deadlines that mean nothing any more, if there are too many of them."""
        if not self._is_tidying:
            entries = len(self._entries)
            self.limit = entries + entries // 2 + _SLACK
            for lane in self._lanes.values():
                self._trim(lane)
            if self.size <= self.limit:
                return
            self._is_tidying, self.limit = True, 0
        steps = _STEPS
        for queue in self._queues():
            while queue.rest:
                if not steps:
                    return
                steps -= 1
                self._look(queue)
        for queue in self._queues():
            queue.seen, queue.rest = queue.rest, queue.seen  # all is unseen again
        self._is_tidying = False

    def _trim(self, lane: _Lane) -> None:
        """Drop what means nothing at the front: all of it, if entries go in their order."""
        queue = lane.seen or lane.rest
        for _ in range(min(_STEPS, len(queue) // 2)):
            if self._is_current(queue[0], queue[1]):
                return
            queue.popleft()
            queue.popleft()
            self.size -= 1

    def _look(self, queue: _Lane | _Heap) -> None:
        """Drop the next deadline if it means nothing."""
        deadline, name = queue.pop_rest()
        if self._is_current(deadline, name):
            queue.push_seen(deadline, name)
        else:
            self.size -= 1

    def _is_current(self, deadline: float, name: Any) -> bool:
        entry = self._find(name)
        return entry is not None and entry[3] is deadline

    def _queues(self) -> list[Any]:
        return [*self._lanes.values(), self._heap]
