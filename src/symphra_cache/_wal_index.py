"""The header of SQLite's WAL index, seen through a mapping: has anybody committed since?

The 48 bytes at the start of the ``-shm`` file change with every commit, by whichever process: they
hold a counter of commits, the log's salts and checksums (sqlite.org/walformat.html, section 2.1).
To compare them costs 0.1 µs; ``PRAGMA data_version`` costs 2 µs, a point read 4 µs.

POSIX locks belong to the process: closing *any* descriptor of the ``-shm`` file drops the locks
that SQLite holds on it. So the descriptor and the mapping (which keeps a duplicate of it) are held
until the last connection of this process to that file has closed, and are then closed by it, never
by the garbage collector; `_sqlite_files.py` sees to that.
"""

from __future__ import annotations

import mmap
import os
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HEADER", "WalIndex", "commits", "log_pages"]

HEADER = slice(0, 48)
"""Where the header's first copy stands; the second one is for detecting torn reads."""

_COUNTER = Struct("=8xI").unpack_from
_LOG_PAGES = Struct("=16xI").unpack_from


def commits(header: bytes) -> int:
    """Return the counter that each commit raises by one."""
    counter: int = _COUNTER(header)[0]
    return counter


def log_pages(header: bytes) -> int:
    """Return how many pages the log has, 0 if there is no header."""
    if not header:
        return 0
    pages: int = _LOG_PAGES(header)[0]
    return pages


class WalIndex:
    """A mapping of one ``-shm`` file.

    Attributes:
        read: returns the bytes of a slice; raises ``ValueError`` once it is closed.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            self._map = mmap.mmap(self._descriptor, mmap.PAGESIZE, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.read: Callable[[slice], bytes] = self._map.__getitem__

    def close(self) -> None:
        """Give up mapping and descriptor; only once no connection is open any more."""
        self._map.close()
        os.close(self._descriptor)
