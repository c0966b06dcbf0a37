"""Moving cache files: a damaged one aside, a stale log away, one process at a time.

A damaged file is never repaired and never deleted. It gets another name, with its log, so that
it can be examined, and the cache begins anew: its content can be had again, by definition.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import contextmanager, suppress
from time import gmtime, monotonic, sleep, strftime, time_ns

from symphra_cache._log import log_moved_aside
from symphra_cache._sqlite_identity import LOGS, displaced_from, identity_at, opening
from symphra_cache._sqlite_schema import DamagedError, check_schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphra_cache._sqlite_identity import FileConnection, Identity, OpenFile

__all__ = [
    "clear_place",
    "flaw",
    "is_damage",
    "move_aside",
    "moving",
    "remove_logs",
    "remove_own_logs",
]

_RETRY = 0.01
# Primary codes of SQLite, and the one for a log that ends too soon. A read error of the disk
# itself is none of them: the file may be whole.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SHORT_READ = sqlite3.SQLITE_IOERR_SHORT_READ
_ROLLBACK_OR_WAL = frozenset({1, 2})
_NEWEST_SCHEMA_FORMAT = 4


def is_damage(db: sqlite3.Connection, error: BaseException) -> bool:
    """Tell whether an error of a connection means that the file itself is damaged."""
    if isinstance(error, DamagedError):
        return True
    if isinstance(error, UnicodeDecodeError):  # a complaint of SQLite's, or of who knows whom
        return _has_no_schema(db)
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGE or code == _SHORT_READ


def _has_no_schema(db: sqlite3.Connection) -> bool:
    try:
        check_schema(db)
    except sqlite3.Error as error:
        return is_damage(db, error)
    return False


def flaw(header: bytes) -> str | None:
    """Say what can't be right in the header of a file of ours.

    SQLite itself checks the rest. These it takes for a file that may only be read, or for the
    work of a newer SQLite; a missing version for an old release of ours.
    """
    if len(header) < 100:
        return "it ends within its header"
    if not _ROLLBACK_OR_WAL.issuperset(header[18:20]):
        return "its header names an unknown format"
    if int.from_bytes(header[44:48], "big") > _NEWEST_SCHEMA_FORMAT:
        return "its header names an unknown format of the schema"
    if not any(header[60:64]):
        return "its header names no schema version"
    return None


@contextmanager
def moving(place: str, timeout: float) -> Iterator[None]:
    """Be the only one, of all processes, to make or move the file at a place.

    The lock is a file of its own, removed afterwards: one on the cache file itself would be
    at the mercy of whoever opens and closes that file. It goes with its holder's death.

    Raises:
        OSError: it can't be had.
    """
    deadline = monotonic() + timeout
    while True:
        name = f"{place}-lock"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(name, flags, 0o600)
        try:
            _lock(descriptor, deadline)
            status = os.fstat(descriptor)
            if identity_at(name) == (status.st_dev, status.st_ino):
                try:
                    yield
                finally:
                    with suppress(OSError):  # Windows does not remove what is open; it may stay
                        os.unlink(name)
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, deadline: float) -> None:
    if sys.platform == "win32":  # an open file can't be replaced there, which does as well
        return
    from fcntl import LOCK_EX, LOCK_NB, flock

    while True:
        try:
            return flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise
            sleep(_RETRY)


def move_aside(db: FileConnection, error: BaseException) -> None:
    """Move the damaged file of a connection aside, unless another process has done so.

    One that is no longer ours, by its header, stays where it is.

    The connection must still be open: closing it first would write the log into the file.

    Raises:
        OSError: it can't be moved.
    """
    with opening():
        file = db.file
        if file is None or not db.is_ours():
            return
        with moving(db.place, db.busy_timeout):
            _move_aside(db.place, file, str(error))


def _move_aside(place: str, file: OpenFile, reason: str) -> None:
    if identity_at(place) == file.identity:
        aside = _rename(place, file.identity)
        if aside is not None:
            log_moved_aside(place, aside, reason)
    file.epoch += 1


def clear_place(place: str, file: OpenFile, timeout: float) -> bool:
    """Take away the log of a file that stood at a place before this one; call it under `opening`.

    SQLite would take it for the log of the new file. It is known by the connections of this
    process that have the old file open still; they go on with it until they look, at once.
    If another process has taken it for the new file's already, they are of no use any more:
    the new file is moved aside, with the log.

    Returns:
        Whether the new file is still there.

    Raises:
        OSError: something can't be removed.
    """
    for db in displaced_from(place, file):
        if db.file is not None:
            db.file.epoch += 1
        if _left_logs(db):
            with moving(place, timeout):
                if _left_logs(db) and file.is_used_by_others():
                    _move_aside(place, file, "it stood beside the log of another file")
                    return False
                _unlink(_left_logs(db))
    return True


def _rename(place: str, identity: Identity) -> str | None:
    """Give a file and its log another name; return it."""
    aside = _free_name(place)
    os.rename(place, aside)
    if identity_at(aside) != identity:
        # Somebody who knows nothing of our lock has put another file there in this very
        # moment. That one we do not know: back with it.
        with suppress(FileExistsError):
            os.link(aside, place)
            os.unlink(aside)
        return None
    with suppress(FileNotFoundError):
        if os.path.getsize(f"{place}-wal"):
            os.rename(f"{place}-wal", f"{aside}-wal")
    remove_logs(place)
    return aside


def _free_name(place: str) -> str:
    while True:
        seconds, rest = divmod(time_ns(), 1_000_000_000)
        stamp = strftime("%Y%m%dT%H%M%S", gmtime(seconds))
        name = f"{place}.corrupt-{stamp}.{rest // 1000:06}Z"
        if not os.path.lexists(name):
            return name


def remove_logs(place: str) -> None:
    """Remove what lies beside a place where no file stands; call it under `moving`.

    SQLite goes by the name: it would take a log that was left behind for that of the next
    file to stand there, and copy pages of the old one into it.
    """
    for suffix in LOGS:
        with suppress(FileNotFoundError):
            os.unlink(f"{place}{suffix}")


def remove_own_logs(db: FileConnection) -> None:
    """Remove the logs of a connection whose file is no longer there, and no others."""
    if _left_logs(db):
        with moving(db.place, db.busy_timeout):
            _unlink(_left_logs(db))


def _left_logs(db: FileConnection) -> list[str]:
    """Return the names of the logs that still are those of a connection."""
    logs = ((f"{db.place}{suffix}", log) for suffix, log in db.logs.items())
    return [name for name, log in logs if log is not None and identity_at(name) == log]


def _unlink(names: list[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name)
