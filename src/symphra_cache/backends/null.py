"""`NullBackend`: keeps nothing, for development and tests."""

from __future__ import annotations

from symphra_cache._async.null import AsyncNullOps
from symphra_cache._null import Switch
from symphra_cache._sync.null import SyncNullOps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._metrics import Counters

__all__ = ["NullBackend"]


class NullKeyspace(AsyncNullOps, SyncNullOps):
    """One namespace of nothing, both faces."""


class NullBackend(NullKeyspace):
    """A cache that never has anything: each read misses, each write is forgotten.

    Keys, ttls and patterns are checked as everywhere else; values are not looked at.
    """

    kind: str = "null"

    def __init__(self) -> None:
        super().__init__(Switch())

    def keyspace(self, path: str, counters: Counters) -> NullKeyspace:
        """Return the view on a namespace that counts into ``counters``."""
        return NullKeyspace(self._switch, counters)

    def __repr__(self) -> str:
        return "NullBackend()"
