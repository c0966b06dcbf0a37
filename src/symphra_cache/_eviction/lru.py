"""Exact LRU: the entry that was not used for the longest time goes first."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from math import inf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any, TypeAlias

    # What is kept of the value; when it expires, or None; how a caller's value is made of what
    # is kept, None if it is the value; the deadline by which the expiry queue knows it.
    # A tuple is never changed, so a value and its expiry can't be read torn.
    Entry: TypeAlias = "tuple[Any, float | None, Callable[[Any], object] | None, float | None]"

__all__ = ["ABSENT", "LRU"]

ABSENT: Entry = (None, -inf, None, None)
"""Stands for an entry that isn't there: it has expired long ago."""


class LRU:
    """Entries by name, least recently used first.

    ``entries`` may be read, and moved to the end, without the owner's lock: each is one C call
    on the dictionary, atomic under the GIL. The dictionary is never replaced.
    """

    __slots__ = ("entries", "find")

    def __init__(self) -> None:
        self.entries: OrderedDict[Any, Entry] = OrderedDict()
        # Returns the entry under a name, or a default, without using it. Needs no lock.
        self.find = self.entries.get

    def use(self, name: Hashable) -> None:
        """Count a use of an entry, if it is still there; needs no lock."""
        with suppress(KeyError):
            self.entries.move_to_end(name)

    def put(self, name: Hashable, entry: Entry) -> None:
        """Store an entry as the most recently used one."""
        entries = self.entries
        entries[name] = entry
        entries.move_to_end(name)

    def replace(self, name: Hashable, entry: Entry) -> None:
        """Store an entry instead of the one that is there. That is no use of it."""
        self.entries[name] = entry

    def remove(self, name: Hashable) -> Entry:
        """Remove and return the entry under a name."""
        return self.entries.pop(name)

    def evict(self) -> tuple[Hashable, Entry]:
        """Remove and return the entry whose turn it is; there must be one."""
        return self.entries.popitem(last=False)

    def clear(self) -> None:
        """Remove everything."""
        self.entries.clear()
