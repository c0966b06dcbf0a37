"""Functions whose results are kept: the works M5 and R4 of the project's goals, and stampedes."""

from __future__ import annotations

from families.loads.flights import FLIGHTS
from families.loads.hits import HITS
from families.loads.stampedes import STAMPEDES

__all__ = ["PACKAGES", "WORKS"]

WORKS = (*HITS, *FLIGHTS, *STAMPEDES)

# Whose versions a result tells.
PACKAGES = (
    *("aiocache", "async-lru", "cachetools", "cashews", "Django", "dogpile.cache", "moka-py"),
)
