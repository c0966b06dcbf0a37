"""`WatchedKeyspace`: what a manager uses of a backend, both faces of it."""

from __future__ import annotations

from symphra_cache._async.watched import AsyncWatchedOps
from symphra_cache._sync.watched import SyncWatchedOps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphra_cache._flights import Flights
    from symphra_cache.backends.base import Keyspace

__all__ = ["watched"]


class WatchedKeyspace(AsyncWatchedOps, SyncWatchedOps):
    """One namespace of a backend whose loads are under way."""


class WatchedMemory(WatchedKeyspace):
    """One namespace in memory, where what is about single keys voids loads by itself."""

    def __init__(self, inner: Any, flights: Flights, path: str) -> None:
        super().__init__(inner, flights, path)
        for name in ("set", "add", "pop", "delete", "incr", "set_many", "delete_many"):
            for method in (name, f"a{name}"):
                setattr(self, method, getattr(inner, method))


def watched(inner: Keyspace, flights: Flights, path: str) -> Keyspace:
    """Return a keyspace whose writes void the loads that they overlap."""
    kind = WatchedMemory if hasattr(inner, "aset_if") else WatchedKeyspace
    made: Any = kind(inner, flights, path)
    keyspace: Keyspace = made
    return keyspace
