"""What every backend's state tells in the same way: how full it is, and that it is closed."""

from __future__ import annotations

from typing import NamedTuple

from symphra_cache.exceptions import CacheClosedError

__all__ = ["Usage", "closed_error"]


class Usage(NamedTuple):
    """How full a backend is; ``None`` where finding out would cost a scan or a round trip.

    Attributes:
        evictions: entries dropped for lack of room.
        expirations: expired entries noticed and dropped.
        entries: entries held, expired ones not yet dropped included.
        bytes: bytes occupied.
    """

    evictions: int | None = None
    expirations: int | None = None
    entries: int | None = None
    bytes: int | None = None


def closed_error() -> CacheClosedError:
    """Build the error for a use after ``close``."""
    return CacheClosedError("the cache is closed; make a new CacheManager, or close it later")
