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

__all__ = ["COPIED", "HEADER", "PAGES", "WalIndex", "commits"]

HEADER = slice(0, 48)
"""Where the header's first copy stands; the second one is for detecting torn reads."""
PAGES = 4
"""Which of its 32-bit numbers says how many pages the log holds, as of the last commit."""
COPIED = 24
"""Which of them, behind both copies, says how many of those pages are in the file."""

_COUNTER = Struct("=8xI").unpack_from


def commits(header: bytes) -> int:
    """Return the counter that each commit raises by one."""
    counter: int = _COUNTER(header)[0]
    return counter


class WalIndex:
    """A mapping of one ``-shm`` file.

    Attributes:
        read: returns the bytes of a slice; raises ``ValueError`` once it is closed.
        words: all of it as numbers; see `PAGES` and `COPIED`.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            self._map = mmap.mmap(self._descriptor, mmap.PAGESIZE, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.read: Callable[[slice], bytes] = self._map.__getitem__
        with memoryview(self._map) as data:
            self.words: memoryview[int] = data.cast("I")

    def close(self) -> None:
        """Give up mapping and descriptor; only once no connection is open any more."""
        self.words.release()
        self._map.close()
        os.close(self._descriptor)
