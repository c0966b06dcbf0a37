"""The Redis backend: the works R1 to R3 and R6 of the project's goals."""

from __future__ import annotations

from families.redis.bulk import BULK
from families.redis.cluster import CLUSTERED
from families.redis.coroutines import COROUTINES
from families.redis.near import NEAR
from families.redis.single import SINGLE
from families.redis.threads import THREADS

__all__ = ["PACKAGES", "WORKS"]

WORKS = (*SINGLE, *THREADS, *COROUTINES, *BULK, *CLUSTERED, *NEAR)

# Whose versions a result tells.
PACKAGES = (
    *("aiocache", "cashews", "Django", "dogpile.cache", "hiredis", "ormsgpack", "redis"),
    "Redis server",
)
