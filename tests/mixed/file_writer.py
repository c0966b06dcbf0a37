"""Another process that writes to a cache file when it is told, and says when it is done.

    python file_writer.py PATH ours|sqlite

Each line that it reads is one call as JSON, ``["set", "key", 1]``; it answers each with a line.
``sqlite`` writes rows without this library, as the ``sqlite3`` shell would.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

from symphra_cache import CacheManager
from symphra_cache._frame import FrameCodec
from symphra_cache.backends import FileBackend
from symphra_cache.serializers import MessagePackSerializer


class Stranger:
    """Writes rows with nothing but SQLite; frames are made as anybody could copy them."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._codec = FrameCodec(MessagePackSerializer())

    def set(self, key: str, value: object) -> None:
        name = f"symphra:{key}".encode()
        row = name, None, self._codec.encode(name, value)
        statement = "INSERT OR REPLACE INTO entries (name, expires, frame) VALUES (?, ?, ?)"
        self._db.execute(statement, row)

    def delete(self, key: str) -> None:
        self._db.execute("DELETE FROM entries WHERE name = ?", (f"symphra:{key}".encode(),))

    def clear(self) -> None:
        self._db.execute("DELETE FROM entries")

    def pragma(self, text: str) -> None:
        self._db.execute(f"PRAGMA {text}").fetchall()

    def vacuum(self) -> None:
        self._db.execute("VACUUM")


def main() -> None:
    path, kind = sys.argv[1:]
    writer: Any = Stranger(path) if kind == "sqlite" else CacheManager(FileBackend(path))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        getattr(writer, name)(*arguments)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
