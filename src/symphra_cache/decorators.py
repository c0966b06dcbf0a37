"""Types of what `CacheManager.cached` makes of functions, for annotations."""

from __future__ import annotations

from symphra_cache._cached import FunctionStats
from symphra_cache._cached_types import (
    CachedAsyncGenerator,
    CachedCoroutine,
    CachedFunction,
    CachedGenerator,
)

__all__ = [
    "CachedAsyncGenerator",
    "CachedCoroutine",
    "CachedFunction",
    "CachedGenerator",
    "FunctionStats",
]
