"""The memory backend: the works M1 to M7 and C2 of the project's goals."""

from __future__ import annotations

from families.memory.coroutines import COROUTINES
from families.memory.mixed import MIXED
from families.memory.reads import READS
from families.memory.space import SPACE
from families.memory.start import START
from families.memory.threads import THREADS
from families.memory.writes import WRITES

__all__ = ["PACKAGES", "WORKS"]

WORKS = (*READS, *WRITES, *MIXED, *COROUTINES, *THREADS, *SPACE, *START)

# Whose versions a result tells.
PACKAGES = (
    *("aiocache", "cachebox", "cachetools", "cashews", "Django", "dogpile.cache", "lru-dict"),
    *("moka-py", "theine"),
)
