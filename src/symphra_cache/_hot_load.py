"""Filling the hot tier with all that a file holds, a page of rows at a time."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._hot_tier import Entry, HotTier

__all__ = ["Load"]


class Load:
    """Many names that are being read from the file, and those that were written meanwhile.

    Attributes:
        generation: that of the page under way; ``None``: it can't be filled in.
        written: names that `HotTier` has seen written since the page was begun.
    """

    __slots__ = ("_tier", "generation", "written")

    def __init__(self, tier: HotTier) -> None:
        self._tier = tier
        self.generation: int | None = None
        self.written: set[bytes] = set()
        with tier.turn:
            tier.loads.append(self)

    def begin_page(self) -> None:
        """Note that a page is about to be read."""
        tier = self._tier
        header = tier.now()
        with tier.turn:
            is_known = header and (header == tier.seen or tier.observed(header))
            self.generation = tier.generation if is_known else None
            self.written = set(tier.writing)

    def fill_page(self, page: dict[bytes, Entry]) -> bool:
        """Keep a page but for what was written since it was begun; tell whether there is room."""
        tier = self._tier
        with tier.turn:
            entries = tier.entries
            room = tier.max_size - len(entries)
            for name in self.written.intersection(page) | (entries.keys() & page.keys()):
                del page[name]
            # Not `update`, which makes a pair of each item first.
            for name, entry in islice(page.items(), max(room, 0)):
                entries[name] = entry
            return len(entries) < tier.max_size

    def end(self) -> None:
        """Note that no further page will be read."""
        with self._tier.turn, suppress(ValueError):  # forked meanwhile
            self._tier.loads.remove(self)
