"""State of a keyspace whose writes void the loads that they overlap. No I/O here.

The faces are in ``_async/watched.py`` and its generated twin.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphra_cache._flights import Flights
    from symphra_cache.backends.base import Keyspace

__all__ = ["WatchedState"]

_UNWATCHED = ("get", "exists", "ttl", "touch", "get_many", "scan", "count")


class WatchedState:
    """A namespace of a backend, and the loads under way there.

    Args:
        inner: the backend's keyspace, whose reads are taken as they are.
        flights: the loads.
        path: of the namespace.
    """

    def __init__(self, inner: Any, flights: Flights, path: str) -> None:
        self._inner: Keyspace = inner
        for name in _UNWATCHED:  # no step in between
            for method in (name, f"a{name}"):
                setattr(self, method, getattr(inner, method))
        self._readers: Any = getattr(inner, "_readers", None)
        self._flights: Flights = flights
        self._live = flights.live
        self._writing = flights.writing
        self._path: str = path
