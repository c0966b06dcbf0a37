"""Which file a connection has open, and whether that is still the cache at its path.

A file is known by device and inode. POSIX locks belong to the process: closing *any* descriptor
of a file drops the locks that SQLite holds on it. So the descriptor through which we look into a
file ourselves is kept until the last connection of this process to that file is closed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import contextmanager, suppress

from symphra_cache._sqlite import CacheConnection
from symphra_cache._sqlite_schema import APPLICATION_ID
from symphra_cache._wal_index import WalIndex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Identity: TypeAlias = "tuple[int, int]"

__all__ = [
    "HEADER",
    "LOGS",
    "FileConnection",
    "OpenFile",
    "displaced_from",
    "forget_inherited",
    "hold",
    "identity_at",
    "is_ours",
    "let_go",
    "opening",
    "spare_the_file",
]

HEADER = 100
"""Bytes at the start of a SQLite file that say what it is."""
LOGS = ("-wal", "-shm")
"""What SQLite appends to the name of a file for the two that it keeps beside it."""

_MAGIC = b"SQLite format 3\x00"
_OURS = APPLICATION_ID.to_bytes(4, "big")

_open_files: dict[Identity, OpenFile] = {}
_opening = threading.RLock()  # reentrant: a finalizer may close inside an opening


@contextmanager
def opening() -> Iterator[None]:
    """Keep other threads from opening, closing or moving cache files."""
    with _opening:
        yield


def forget_inherited() -> None:
    """In a forked child: a lock that no thread of the parent holds."""
    global _opening
    _opening = threading.RLock()


def identity_at(path: str) -> Identity | None:
    """Return device and inode of what stands at a path, links followed; ``None``: nothing."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def is_ours(header: bytes) -> bool:
    """Tell whether a file begins as those do that this library makes."""
    return header.startswith(_MAGIC) and header[68:72] == _OURS


class OpenFile:
    """A file that this process has open, shared by all its connections to it.

    Changed under `opening` alone; looked into from any thread.

    Attributes:
        identity: its device and inode.
        epoch: how often somebody of this process has found it gone from its path. A connection
            that was opened in an earlier epoch has to look for itself at once.
        index: the mapping of its WAL index, if there is one.
        connections: those of this process to it.
    """

    __slots__ = ("_descriptors", "_shm", "connections", "epoch", "identity", "index", "users")

    def __init__(self, identity: Identity, descriptor: int) -> None:
        self.identity = identity
        self.epoch = 0
        self.users = 0
        self.index: WalIndex | None = None
        self.connections: set[FileConnection] = set()
        self._descriptors = [descriptor]
        self._shm: int | None = None

    def header(self) -> bytes:
        """Return the first bytes as they stand on the disk now."""
        if sys.platform != "win32":
            return os.pread(self._descriptors[0], HEADER, 0)
        os.lseek(self._descriptors[0], 0, os.SEEK_SET)
        return os.read(self._descriptors[0], HEADER)

    def size(self) -> int:
        """Return how many bytes it has."""
        return os.fstat(self._descriptors[0]).st_size

    def map_index(self, path: str) -> WalIndex | None:
        """Return the mapped WAL index; ``None`` where it can't be mapped.

        Args:
            path: of the ``-shm`` file, which a connection of this process has open.
        """
        if self.index is None:
            try:
                if self._shm is None:
                    self._shm = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
                self.index = WalIndex(self._shm)
            except (OSError, ValueError):  # the descriptor stays: to close it would drop locks
                return None
        return self.index

    def keep(self, descriptor: int) -> None:
        """Keep one more descriptor, which must not be closed now."""
        self._descriptors.append(descriptor)

    def close(self) -> None:
        """Close the descriptors; no connection of this process may be left."""
        if self.index is not None:
            self.index.close()
        if self._shm is not None:
            os.close(self._shm)
        for descriptor in self._descriptors:
            os.close(descriptor)

    def keep_closing_connections_off(self) -> None:
        """Have the closing of a connection write nothing into the file.

        The last connection to close copies the log into the file, for which it has to lock the
        file for itself alone. This lock is in its way: unlike those of POSIX, it counts
        within its own process too, and goes with the descriptor.
        """
        if sys.platform == "linux":
            import fcntl
            from struct import pack

            shared = pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, *_SHARED_LOCKS, 0)
            with suppress(OSError):
                fcntl.fcntl(self._descriptors[0], fcntl.F_OFD_SETLK, shared)

    def is_used_by_others(self) -> bool:
        """Tell whether another process has it open by SQLite; only Linux knows."""
        if sys.platform == "linux":
            import fcntl
            from struct import pack, unpack

            wanted = pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_SHARED_LOCKS, 0)
            with suppress(OSError):
                # Whose lock is in the way? Those of this process are not, or belong to nobody.
                found = unpack(_FLOCK, fcntl.fcntl(self._descriptors[0], fcntl.F_GETLK, wanted))
                return bool(found[0] != fcntl.F_UNLCK and found[-1] > 0)
        return False


# Where SQLite's readers lock a file: first byte and number of bytes (its file format says so).
# In WAL mode they do so for as long as they have it open.
_SHARED_LOCKS = 0x40000002, 510
_FLOCK = "hhqqi4x"  # Linux's struct flock: type, whence, start, length, process


class FileConnection(CacheConnection):
    """A connection that knows which file it has open, and where that stood.

    Attributes:
        file: the file; ``None`` once the connection is closed.
        path: as it was given, links and all.
        place: the path without links: SQLite's logs lie beside it.
        epoch: the file's epoch when it was opened.
        logs: device and inode of each of its logs, once it has opened them.
        busy_timeout: seconds that it waits for other processes.
    """

    file: OpenFile | None = None
    path: str = ""
    place: str = ""
    epoch: int = 0
    logs: dict[str, Identity | None]
    busy_timeout: float = 0.0

    def is_outdated(self) -> bool:
        """Tell whether somebody found the file gone since this connection was opened."""
        return self.file is None or self.epoch != self.file.epoch

    def is_current(self) -> bool:
        """Look whether all still is as it was opened: the path, the log and what we are."""
        file = self.file
        if file is None or identity_at(self.path) != file.identity:
            return False
        return self.has_its_log() and is_ours(file.header())

    def has_its_log(self) -> bool:
        """Look whether the log still has its name: whoever comes later would use another."""
        return not self.logs or identity_at(f"{self.place}-wal") == self.logs["-wal"]

    def is_at_its_place(self, file: OpenFile) -> bool:
        """Look whether what stands where it was opened is still this file."""
        return identity_at(self.place) == file.identity

    def is_ours(self) -> bool:
        """Look whether the file is still a cache of ours, wherever it is now."""
        return self.file is not None and is_ours(self.file.header())


def displaced_from(place: str, file: OpenFile) -> list[FileConnection]:
    """Return this process's connections to other files that stood at a place; see `opening`."""
    others = (other for other in _open_files.values() if other is not file)
    return [db for other in others for db in other.connections if db.place == place]


def spare_the_file(db: FileConnection, file: OpenFile) -> None:
    """Have the closing of this connection leave its file as it is: it is another's by now."""
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
    else:
        file.keep_closing_connections_off()


def hold(path: str) -> OpenFile:
    """Return the file at a path, kept open until `let_go`; call it under `opening`.

    Raises:
        OSError: nothing stands there, or it can't be read.
    """
    file = _open_files.get(identity_at(path) or (-1, -1))
    if file is None:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags)
        status = os.fstat(descriptor)
        identity = status.st_dev, status.st_ino
        file = _open_files.get(identity)
        if file is None:
            file = _open_files[identity] = OpenFile(identity, descriptor)
        else:  # put there since we looked, and open already
            file.keep(descriptor)
    file.users += 1
    return file


def let_go(file: OpenFile) -> None:
    """Give up a file that `hold` returned; call it under `opening`."""
    file.users -= 1
    if not file.users:
        del _open_files[file.identity]
        file.close()
