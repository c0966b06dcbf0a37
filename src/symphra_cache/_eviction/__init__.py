"""Eviction policies of the memory backend: which entry goes when there is no room.

A policy holds the entries and the order in which they go; it knows neither bounds nor ttls.
Its owner calls it from one thread at a time, save for what a policy says any may do.
"""

from __future__ import annotations

from symphra_cache._eviction.lru import LRU
from symphra_cache._eviction.s3fifo import S3FIFO
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Policy: TypeAlias = "LRU | S3FIFO"

__all__ = ["LRU", "S3FIFO", "make_policy"]

_POLICIES: dict[str, type[Policy]] = {"lru": LRU, "s3fifo": S3FIFO}


def make_policy(eviction: object) -> Policy:
    """Return an empty policy of the given name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    made = _POLICIES.get(eviction) if isinstance(eviction, str) else None
    if made is None:
        got = repr(eviction) if isinstance(eviction, str) else type(eviction).__name__
        raise ConfigurationError(f"eviction must be 'lru' or 's3fifo', got {got}")
    return made()
