"""What is made of SQLite's errors that are no damage: locked, full, forbidden."""

from __future__ import annotations

import sqlite3

from symphra_cache._sqlite_checkpoints import checkpoint
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._sqlite_identity import FileConnection

__all__ = ["made_room", "outage"]

# The second: a quota, or a limit on the size of files.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process has been writing to it for longer than busy_timeout",
    sqlite3.SQLITE_FULL: "what is in it can still be read; make room on its disk",
    sqlite3.SQLITE_IOERR_WRITE: "the disk takes no more; is a quota or a limit reached?",
    sqlite3.SQLITE_READONLY: "this process must be able to write the file, its -wal and -shm "
    "beside it, and their folder",
}
_REMEDIES.update(
    dict.fromkeys(
        (
            sqlite3.SQLITE_IOERR_SHMLOCK,
            sqlite3.SQLITE_IOERR_SHMMAP,
            sqlite3.SQLITE_IOERR_SHMOPEN,
            sqlite3.SQLITE_IOERR_SHMSIZE,
            sqlite3.SQLITE_PROTOCOL,
        ),
        "processes can't share memory in its -shm file; put it on a local disk that is not full",
    )
)
_REMEDIES[sqlite3.SQLITE_CANTOPEN] = _REMEDIES[sqlite3.SQLITE_READONLY]


def outage(error: Exception) -> BackendUnavailableError:
    """Return what is raised instead of an error of SQLite or of the system."""
    code = _code(error)
    remedy = _REMEDIES.get(code) or _REMEDIES.get(code & 0xFF)
    told = f"the cache file can't be used: {error}"
    return BackendUnavailableError(f"{told}: {remedy}" if remedy else told)


def made_room(db: FileConnection, error: Exception) -> bool:
    """Have the log's own room used again if a disk is full; tell whether to try once more.

    The log is copied into the file whenever it has grown long enough. On a disk that is full
    before, it would stay as it is, and every write fail, even one that deletes. A transaction
    that fails for that is rolled back whole.
    """
    if _code(error) not in _FULL:
        return False
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    # Waits for nobody. Only once all is copied does the next write begin at the log's start.
    return checkpoint(db)


def _code(error: Exception) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code
