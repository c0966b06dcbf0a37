"""S3-FIFO: three queues, first in, first out, which keep what is asked for more than once.

After Yang, Zhang, Qiu, Yue and Rashmi, "FIFO Queues are All You Need for Cache Eviction",
SOSP 2023. New entries wait in a small queue, a tenth of all. Those that are used there twice or
more move on into the main queue, the others go; their names are remembered for a while (the
ghosts), and who comes back in that time enters the main queue at once. The main queue gives an
entry another round for each use, up to three.
"""

from __future__ import annotations

from collections import OrderedDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

    from symphra_cache._eviction.lru import Entry

__all__ = ["S3FIFO", "Node"]

_MOST_USES = 3
"""Uses beyond these are not counted."""

_SMALL_SHARE = 10  # one in so many entries is in the small queue
_PATIENCE = 128
"""Entries that one eviction gives another round at the most; then the next one goes.

An attacker could use every entry three times and make one write walk through all of them.
"""


class Node:
    """An entry, and where it stands. With another entry comes another node.

    Attributes:
        value, deadline, thaw: of the entry, since each step between them and a hit costs.
        uncounted: uses that will still be counted, of `_MOST_USES`. Counted down, for to ask
            whether there are any costs less than to compare.
    """

    __slots__ = ("deadline", "entry", "queue", "thaw", "uncounted", "value")

    def __init__(self, entry: Entry, queue: OrderedDict[Any, Node], uncounted: int) -> None:
        self.value, self.deadline, self.thaw, _ = entry
        self.entry = entry
        self.queue = queue
        self.uncounted: int = uncounted


class S3FIFO:
    """Entries by name, in the order of S3-FIFO.

    Any thread may read ``entries`` and count a node's uses. The queues are ordered dictionaries,
    so that a deletion leaves nothing behind in them.
    """

    __slots__ = ("_ghosts", "_main", "_small", "entries")

    def __init__(self) -> None:
        self.entries: dict[Any, Node] = {}
        self._small: OrderedDict[Any, Node] = OrderedDict()
        self._main: OrderedDict[Any, Node] = OrderedDict()
        # Of names their hashes only: a collision costs an entry a wrong start, nothing else.
        self._ghosts: OrderedDict[int, None] = OrderedDict()

    def find(self, name: Hashable) -> Entry | None:
        """Return the entry under a name without using it; for any thread."""
        node = self.entries.get(name)
        return None if node is None else node.entry

    def use(self, name: Hashable) -> None:
        """Count a use of an entry, if it is still there; for any thread."""
        node = self.entries.get(name)
        if node is not None and node.uncounted:
            node.uncounted -= 1

    def put(self, name: Hashable, entry: Entry) -> None:
        """Store an entry, which counts as a use if there is one."""
        node = self.entries.get(name)
        if node is not None:
            queue, uncounted = node.queue, max(node.uncounted - 1, 0)
        else:
            queue, uncounted = self._small, _MOST_USES
            if self._ghosts and self._ghosts.pop(hash(name), self) is None:
                queue = self._main
        queue[name] = self.entries[name] = Node(entry, queue, uncounted)

    def replace(self, name: Hashable, entry: Entry) -> None:
        """Store an entry instead of the one that is there. That is no use of it."""
        node = self.entries[name]
        node.queue[name] = self.entries[name] = Node(entry, node.queue, node.uncounted)

    def remove(self, name: Hashable) -> Entry:
        """Remove and return the entry under a name."""
        node = self.entries.pop(name)
        node.queue.pop(name, None)  # gone, if a finalizer called in the middle of an eviction
        return node.entry

    def evict(self) -> tuple[Hashable, Entry]:
        """Remove and return the entry whose turn it is; there must be one."""
        small, main = self._small, self._main
        if not main or len(small) * _SMALL_SHARE >= len(self.entries):
            for _ in range(min(_PATIENCE, len(small))):
                name, node = small.popitem(False)
                if node.uncounted >= _MOST_USES - 1:
                    self.entries.pop(name, None)
                    self._remember(name)
                    return name, node.entry
                node.uncounted = _MOST_USES
                node.queue = main
                main[name] = node
        return self._evict_from_main()

    def _evict_from_main(self) -> tuple[Hashable, Entry]:
        main = self._main
        for _ in range(_PATIENCE):
            name, node = main.popitem(False)
            if node.uncounted == _MOST_USES:
                break
            node.uncounted += 1
            main[name] = node
        else:
            name, node = main.popitem(False)
        self.entries.pop(name, None)
        return name, node.entry

    def _remember(self, name: Hashable) -> None:
        ghosts = self._ghosts
        ghosts[hash(name)] = None
        # As many as the main queue is meant to have entries, as the paper says.
        if len(ghosts) > len(self.entries) * (_SMALL_SHARE - 1) // _SMALL_SHARE:
            ghosts.popitem(False)

    def clear(self) -> None:
        """Remove everything, the ghosts too."""
        self.entries.clear()
        self._small.clear()
        self._main.clear()
        self._ghosts.clear()
