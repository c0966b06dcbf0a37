"""Exact LRU: the entry that was not used for the longest time goes first."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any, TypeAlias

    # What is kept of the value; when it expires, or None; how a caller's value is made of what
    # is kept, None if it is the value; the deadline by which the expiry queue knows it.
    # A tuple is never changed, so a value and its expiry can't be read torn.
    Entry: TypeAlias = "tuple[Any, float | None, Callable[[Any], object] | None, float | None]"

__all__ = ["ABSENT", "LRU", "absent"]


def absent(value: object) -> object:
    """Stand for what makes a value of `ABSENT`, which has none."""
    raise LookupError(value)


ABSENT: Entry = (None, None, absent, None)
"""Stands for an entry that isn't there. Told by its function, where no hit pays for the look."""


class LRU:
    """Entries by name, least recently used first.

    Any thread may read ``entries`` and move them to the end: each is one C call on the
    dictionary, atomic under the GIL. The dictionary is never replaced.
    """

    __slots__ = ("entries", "evict", "find")

    def __init__(self) -> None:
        self.entries: OrderedDict[Any, Entry] = OrderedDict()
        # Returns the entry under a name, or a default, without using it. For any thread.
        self.find: Callable[..., Any] = self.entries.get
        # Removes and returns (name, entry) of the one whose turn it is; there must be one.
        self.evict: Callable[[], tuple[Any, Entry]] = partial(self.entries.popitem, False)

    def use(self, name: Hashable) -> None:
        """Count a use of an entry, if it is still there; for any thread."""
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

    def clear(self) -> None:
        """Remove everything."""
        self.entries.clear()
