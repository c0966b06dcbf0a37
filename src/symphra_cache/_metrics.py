"""Counters of one manager. Below the faces, so that both count into the same ones."""

from __future__ import annotations

__all__ = ["Counters"]


class Counters:
    """Counts of one manager and its namespace views, see `symphra_cache.types.CacheStats`.

    Written without a lock from any thread: under the GIL of CPython 3.11 to 3.13 a statement
    such as ``counters.hits += 1`` is never interrupted, as long as no call stands inside it.
    """

    __slots__ = ("corrupt", "deletes", "errors", "hits", "misses", "sets")

    def __init__(self) -> None:
        self.hits: int = 0
        self.misses: int = 0
        self.sets: int = 0
        self.deletes: int = 0
        self.corrupt: int = 0
        self.errors: int = 0
