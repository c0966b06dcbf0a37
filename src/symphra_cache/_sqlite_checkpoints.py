"""When the log is copied into the file, and by whom: by one process at a time.

SQLite itself has every connection do it after any commit that leaves a long log. That has two
faults where several processes write:

- The log is begun anew only by a write that finds all of it copied. Others write while it is being
  copied, so it grows without bound (to 250 MB in ten seconds of four writers). Once it is half
  as long again as wanted, it is copied here with the write lock held: others wait a moment.
- Up to 3.51.2 (but 3.50.7 and 3.44.6) SQLite has the WAL-reset bug (sqlite.org/wal.html): if a copy
  begins when there is nothing left to copy, and a commit begins the log anew at that very moment,
  later pages may never be copied. Here nobody begins without something to copy, which nobody
  else can copy meanwhile.
"""

from __future__ import annotations

import sqlite3

from symphra_cache._sqlite_quarantine import moving
from symphra_cache._wal_index import COPIED, PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._sqlite_identity import FileConnection

__all__ = ["Checkpoints", "checkpoint", "has_reset_bug"]

_LONG = 4_000  # pages, 16 MB; 1,000 make `set` a quarter slower
_TOO_LONG = 6_000
_STEP = 1_000
# While it is copied with the write lock held, so long is waited for readers; and for the lock.
_PATIENCE_MS = 100
# SQLite waits for whoever holds a mark of readers, though those that came meanwhile have moved the
# mark to the end, where they are in nobody's way. Another try sees that.
_TRIES = 3


def has_reset_bug(version: tuple[int, ...]) -> bool:
    """Tell whether a version of SQLite has the WAL-reset bug (sqlite.org/wal.html)."""
    repaired = {(3, 50): 7, (3, 44): 6}.get(version[:2])  # type: ignore[arg-type]
    if repaired is not None:
        return version[2] < repaired
    return (3, 7, 0) <= version < (3, 51, 3)


class Checkpoints:
    """Has one connection copy the log when it has grown long."""

    __slots__ = ("_tried_at",)

    def __init__(self) -> None:
        self._tried_at = -_STEP

    def after_write(self, db: FileConnection) -> None:
        """Look how long the log is, and copy it if it is time; the write itself is done."""
        # Hot path.
        file = db.file
        if file is not None and file.index is not None and file.index.words[PAGES] >= _LONG:
            self._shorten(db)

    def _shorten(self, db: FileConnection) -> None:
        pages, copied = _lengths(db)
        is_too_long = pages >= _TOO_LONG
        # Tried just now, and readers or another process were in the way? Later again.
        if (pages - copied < _STEP and not is_too_long) or 0 <= pages - self._tried_at < _STEP:
            return
        is_copied = _copied_in_tries(db) if is_too_long else checkpoint(db)
        self._tried_at = -_STEP if is_copied else pages


def _copied_in_tries(db: FileConnection) -> bool:
    """Copy the log with the write lock held; try again as long as that gets further."""
    for _ in range(_TRIES):
        _, before = _lengths(db)
        if checkpoint(db, is_blocking=True):
            return True
        _, copied = _lengths(db)
        if copied <= before:
            break
    return False


def _lengths(db: FileConnection) -> tuple[int, int]:
    """Return how many pages the log has, and how many of them are copied."""
    index = None if db.file is None else db.file.index
    return (0, 0) if index is None else (index.words[PAGES], index.words[COPIED])


def checkpoint(db: FileConnection, *, is_blocking: bool = False) -> bool:
    """Copy the log into the file; tell whether all of it was copied.

    Args:
        db: a connection outside of any transaction.
        is_blocking: others may not write meanwhile, so that the next write begins the log anew.
    """
    file = db.file
    if file is None or not db.is_ours():
        return False
    try:
        with moving(db.place, 0):
            pages, copied = _lengths(db)
            if file.index is not None and pages <= copied:
                return False
            return _copied_with_lock(db) if is_blocking else _copied(db, "PASSIVE")
    except (sqlite3.Error, OSError):  # another process does it, or a disk is full
        return False


def _copied_with_lock(db: FileConnection) -> bool:
    db.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    try:
        return _copied(db, "RESTART")
    finally:
        db.execute(f"PRAGMA busy_timeout = {round(db.busy_timeout * 1_000)}")


def _copied(db: FileConnection, mode: str) -> bool:
    is_busy, pages, copied = db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return bool(not is_busy and pages == copied)
