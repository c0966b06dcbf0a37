"""Opening cache files: what stands at a path, and connections that are set up as ours.

A foreign file is recognised by its first bytes, before SQLite touches it: setting WAL alone
would alter it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from stat import S_IMODE
from tempfile import mkstemp
from time import monotonic, sleep

from symphra_cache._sqlite import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    FileConnection,
    create_schema,
)
from symphra_cache._wal_index import WalIndex
from symphra_cache.exceptions import BackendUnavailableError, ConfigurationError, ForeignFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Durability = Literal["normal", "full"]

__all__ = [
    "checked_path",
    "close_connection",
    "forget_inherited",
    "open_connection",
    "refuse_foreign",
    "wal_index",
]

_MAGIC = b"SQLite format 3\x00"
_HEADER = 100
_RETRY = 0.01

# How many connections of this process are open, by (device, inode). POSIX locks belong to the
# process: closing any descriptor of a file drops the locks that SQLite holds on it, so a file
# may be looked into by ourselves only while this process has no connection to it. For the same
# reason the mapping of its WAL index is closed when the last connection has been.
_open_files: dict[tuple[int, int], int] = {}
_indexes: dict[tuple[int, int], WalIndex] = {}
_opening = threading.RLock()  # reentrant: a finalizer may close inside an opening


def checked_path(db_path: object) -> str:
    """Return the absolute path of a cache file, symbolic links resolved.

    Raises:
        ConfigurationError: it is neither a ``str`` nor a path object, empty, or ``:memory:``.
    """
    if isinstance(db_path, os.PathLike):
        db_path = os.fspath(db_path)
    if not isinstance(db_path, str) or not db_path or "\0" in db_path:
        got = repr(db_path) if isinstance(db_path, str) else type(db_path).__name__
        raise ConfigurationError(
            f"db_path must be the path of a file (str or os.PathLike[str]), got {got}"
        )
    if db_path == ":memory:":
        raise ConfigurationError(
            "db_path must be the path of a file, got ':memory:'; use MemoryBackend() instead"
        )
    return os.path.realpath(db_path)


def refuse_foreign(path: str) -> None:
    """Raise unless the path is free, an empty file or a cache of ours that we can read.

    Raises:
        ForeignFileError: something else stands there.
        ConfigurationError: a newer version of this library wrote it.
    """
    with _opening:
        _refuse_foreign(path)


def _refuse_foreign(path: str) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"db_path {path!r} can't be looked at: {error}") from error
    if (status.st_dev, status.st_ino) in _open_files:
        return
    if os.path.isdir(path):
        raise ForeignFileError(f"db_path {path!r} is a folder; name a file in it")
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise BackendUnavailableError(f"the cache file {path!r} can't be read: {error}") from error
    if header:
        _refuse_header(path, header)


def _refuse_header(path: str, header: bytes) -> None:
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise ForeignFileError(
            f"db_path {path!r} is not a SQLite database; it is left as it is: "
            "choose another path, or move the file away"
        )
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ForeignFileError(
            f"db_path {path!r} is the database of another application; it is left as it is: "
            "choose another path"
        )
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"db_path {path!r} has schema version {version}, this release knows up to "
            f"{SCHEMA_VERSION}; upgrade symphra-cache or choose another path"
        )


def open_connection(path: str, durability: Durability, busy_timeout: float) -> FileConnection:
    """Open a cache file, making it if there is none, for use by one thread at a time.

    Raises:
        ForeignFileError: the path holds something that is not ours.
        sqlite3.Error, OSError: it can't be opened.
    """
    with _opening:
        _refuse_foreign(path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        while _is_missing_or_empty(path):
            _create(path, busy_timeout)
        status = os.stat(path)
        db = sqlite3.connect(
            path,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=FileConnection,
        )
        db.identity = (status.st_dev, status.st_ino)
        _open_files[db.identity] = _open_files.get(db.identity, 0) + 1
    try:
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ForeignFileError(f"db_path {path!r} was replaced by another database just now")
        db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    except BaseException:
        close_connection(db)
        raise
    return db


def _is_missing_or_empty(path: str) -> bool:
    try:
        return not os.path.getsize(path)
    except FileNotFoundError:
        return True


def _create(path: str, busy_timeout: float) -> None:
    """Put a finished database in the place of an empty file, one process at a time.

    Not made in place: setting ``auto_vacuum`` writes the first page in a transaction of its
    own, so others would see a database without our application id for a moment, or for ever
    if this process is killed then. Whoever comes late finds another file at the path.
    """
    empty = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _lock(empty, busy_timeout)
        if not (os.path.samestat(os.fstat(empty), os.stat(path)) and _is_missing_or_empty(path)):
            return
        handle, finished = mkstemp(f".new-{os.path.basename(path)}", dir=os.path.dirname(path))
        os.close(handle)
        try:
            os.chmod(finished, S_IMODE(os.fstat(empty).st_mode))
            _write_empty_cache(finished)
            os.replace(finished, path)
        except BaseException:
            os.unlink(finished)
            raise
    except FileNotFoundError:
        return  # removed meanwhile: the caller looks again
    finally:
        os.close(empty)


def _lock(descriptor: int, busy_timeout: float) -> None:
    """Keep other processes from making the same file; given up with the descriptor."""
    if sys.platform == "win32":  # an open file can't be replaced there, which does as well
        return
    from fcntl import LOCK_EX, LOCK_NB, flock

    deadline = monotonic() + busy_timeout
    while True:
        try:
            return flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise
            sleep(_RETRY)


def _write_empty_cache(path: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        create_schema(db)
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    finally:
        db.close()
    if mode != "wal":
        raise ConfigurationError(
            f"db_path is on a file system without write-ahead logging (journal mode {mode!r}), "
            "a network share for example; put the file on a local disk"
        )


def close_connection(db: FileConnection) -> None:
    """Close a connection of `open_connection`; twice does no harm."""
    with _opening:
        db.close()
        identity, db.identity = db.identity, None
        if identity is not None:
            _open_files[identity] -= 1
            if not _open_files[identity]:
                del _open_files[identity]
                if (index := _indexes.pop(identity, None)) is not None:
                    index.close()


def wal_index(db: FileConnection, path: str) -> WalIndex | None:
    """Return the mapped index of an open file, ``None`` where it can't be mapped."""
    with _opening:
        identity = db.identity
        if identity is None:
            return None
        if identity not in _indexes:
            try:
                _indexes[identity] = WalIndex(f"{path}-shm")
            except (OSError, ValueError):
                return None
        return _indexes[identity]


def forget_inherited() -> None:
    """In a forked child: a lock that no thread of the parent holds."""
    global _opening
    _opening = threading.RLock()
