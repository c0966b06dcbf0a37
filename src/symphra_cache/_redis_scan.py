"""How far a scan is: over one server, and over all primaries of a cluster. No I/O here.

The promise is that every key is seen that lives through the whole scan. A cursor means something
to the server alone that gave it. So the server's name of this life, its run id, comes with each
page, and where it changes, after a quick restart or a failover, the server is scanned anew.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BATCH", "ServerScan"]

BATCH = 500
"""Names that one round trip of ``scan``, ``count``, ``clear`` and bulk deletes takes."""

_RUN_ID = re.compile("run_id:([0-9a-f]+)")
# So often a server may be another one before it is taken for several behind one address.
_CHANGES = 10


class ServerScan:
    """One server's names, page by page."""

    def __init__(self, pattern: bytes) -> None:
        self.is_over: bool = False
        self._pattern = pattern
        self._cursor = b"0"
        self._run_id: str | None = None
        self._changes = 0

    def commands(self) -> list[tuple[Any, ...]]:
        """Return what to ask for the next page."""
        scan = ("SCAN", self._cursor, "MATCH", self._pattern, "COUNT", BATCH)
        return [scan, ("INFO", "server")]

    def read(self, page: Any, info: Any) -> list[bytes]:
        """Return the names of a page.

        Args:
            page: the reply to the first command.
            info: the reply to the second. Without the right to ask for it a restart goes
                unnoticed.

        Raises:
            redis.RedisError: the server gave no page, or is another one each time.
        """
        if isinstance(page, Exception):
            raise page
        cursor, names = page
        run_id = _run_id_in(info)
        if run_id is not None and self._run_id not in (None, run_id):
            self._note_change()
            cursor = b"0"
        else:
            self.is_over = int(cursor) == 0
        self._run_id = run_id or self._run_id
        self._cursor = cursor
        return list(names)

    def _note_change(self) -> None:
        self._changes += 1
        if self._changes > _CHANGES:
            from redis.exceptions import ConnectionError as LostError

            raise LostError("another server answers each time, which a scan can't be based on")


def _run_id_in(info: Any) -> str | None:
    if isinstance(info, bytes):
        info = info.decode(errors="replace")
    found = _RUN_ID.search(info) if isinstance(info, str) else None
    return found and found[1]
