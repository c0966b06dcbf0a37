"""What nothing on SQLite can be faster than: bare statements on one connection that stays open.

The table is as ours, values are given to SQLite as they are and come back undecoded. One cursor
serves all calls, so that a statement is prepared once and no call makes an object of its own.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from harness.loops import Calls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "bare.db"
OURS = "cache.db"  # as `peers.symphra_file` names it
CREATE = """
CREATE TABLE entries (name BLOB NOT NULL PRIMARY KEY, expires INTEGER, value BLOB NOT NULL)
WITHOUT ROWID
"""
CREATE_WITH_ROWID = CREATE.replace("WITHOUT ROWID", "")
FETCH = "SELECT expires, value FROM entries WHERE name = ?"
FETCH_OURS = "SELECT expires, frame FROM entries WHERE name = ?"
FETCH_ALL = "SELECT name, expires, value FROM entries"
STORE = (
    "INSERT INTO entries (name, expires, value) VALUES (?, ?, ?) ON CONFLICT (name)"
    " DO UPDATE SET expires = excluded.expires, value = excluded.value"
)


def connected(path: Path) -> sqlite3.Connection:
    """Open a connection that commits each statement, with a write-ahead log."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def fill_bare(folder: Path, pairs: Iterable[tuple[str, object]], create: str = CREATE) -> None:
    """Make a table of values as MessagePack."""
    from ormsgpack import packb

    db = connected(folder / FILE)
    db.execute(create)
    db.execute("BEGIN")
    db.executemany(STORE, ((key.encode(), None, packb(value)) for key, value in pairs))
    db.execute("COMMIT")
    db.close()


def bare(folder: Path) -> Calls:
    """Return the statements, each a transaction of its own or a thousand in one."""
    db = connected(folder / FILE)
    cursor = db.cursor()
    execute, executemany = cursor.execute, cursor.executemany

    def get_many(keys: list[str]) -> list[Any]:
        execute("BEGIN")
        rows = [execute(FETCH, (key.encode(),)).fetchone() for key in keys]
        execute("COMMIT")
        return rows

    def set_many(mapping: dict[str, object]) -> None:
        execute("BEGIN")
        executemany(STORE, [(key.encode(), None, value) for key, value in mapping.items()])
        execute("COMMIT")

    return Calls(
        {
            **{"execute": execute, "FETCH": FETCH, "STORE": STORE},
            **{"get_many": get_many, "set_many": set_many},
        },
        "execute(FETCH, (key.encode(),)).fetchone()",
        "execute(STORE, (key.encode(), None, value))",
        get_many="get_many(keys)",
        set_many="set_many(mapping)",
        close=db.close,
    )


def of_ours(folder: Path) -> Calls:
    """Return the point SELECT on a file of ours, whose names begin with that of a namespace."""
    db = connected(folder / OURS)
    names = {"execute": db.cursor().execute, "FETCH": FETCH_OURS}
    return Calls(
        names, "execute(FETCH, (b'symphra:' + key.encode(),)).fetchone()", "pass", close=db.close
    )


def all_rows(folder: Path) -> list[tuple[bytes, int | None, object]]:
    """Open, read all rows and decode their values."""
    from ormsgpack import unpackb

    db = connected(folder / FILE)
    rows = [(name, expires, unpackb(value)) for name, expires, value in db.execute(FETCH_ALL)]
    db.close()
    return rows
