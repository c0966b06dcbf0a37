"""The file backend: the works F1 to F5 of the project's goals."""

from __future__ import annotations

from families.file.bulk import BULK
from families.file.cold import COLD
from families.file.coroutines import COROUTINES
from families.file.foreign import FOREIGN
from families.file.large import LARGE_VALUES
from families.file.opening import OPENING
from families.file.reads import READS
from families.file.writes import WRITES

__all__ = ["PACKAGES", "WORKS"]

WORKS = (*READS, *COLD, *FOREIGN, *WRITES, *COROUTINES, *OPENING, *BULK, *LARGE_VALUES)

# Whose versions a result tells.
PACKAGES = ("cashews", "diskcache", "ormsgpack", "SQLite")
