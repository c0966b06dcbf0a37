"""The schema of a cache file: how an empty database is made ours, and how ours is recognised.

Byte by byte: docs/en/format.md.
"""

from __future__ import annotations

import sqlite3
from functools import cache

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "DamagedError", "check_schema", "create_schema"]

APPLICATION_ID = 0x53594D43  # "SYMC", at offset 68 of the file
SCHEMA_VERSION = 1  # user_version, at offset 60

# WITHOUT ROWID: a point read descends one tree instead of two (5.4 against 9.4 µs).
# ``written`` is of bounded files, NULL in others. A frame that would not fit into a page of that
# tree is in a table of its own, and here is its head: a search reads every row whole that it
# compares with, so a megabyte among small values made looking up those 40 times as slow.
_SCHEMA = """
CREATE TABLE entries (
    name BLOB NOT NULL PRIMARY KEY,
    expires INTEGER,
    written INTEGER,
    body INTEGER,
    frame BLOB NOT NULL
) WITHOUT ROWID
"""
_BODIES = "CREATE TABLE bodies (id INTEGER PRIMARY KEY, frame BLOB NOT NULL)"
_REMOVED = (
    "CREATE TRIGGER entries_body AFTER DELETE ON entries WHEN OLD.body IS NOT NULL"
    " BEGIN DELETE FROM bodies WHERE id = OLD.body; END"
)
_TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


class DamagedError(sqlite3.DatabaseError):
    """Damage to the file that SQLite itself takes for something else, or for nothing."""


def create_schema(db: sqlite3.Connection) -> None:
    """Make an empty database ours."""
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only possible before the first table
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in (_SCHEMA, _BODIES, _REMOVED):
        db.execute(statement)


def check_schema(db: sqlite3.Connection) -> None:
    """Read the schema, and raise if it is not what `create_schema` made.

    For a connection that returns text as bytes: what is damaged need not be text.
    """
    try:
        found = set(db.execute(_TABLES))
    except UnicodeDecodeError:  # SQLite's complaint quotes what it can't read
        raise DamagedError("its schema is no text") from None
    if not _own_tables() <= found:
        raise DamagedError("its schema was altered")


@cache
def _own_tables() -> set[tuple[bytes, bytes]]:
    db = sqlite3.connect(":memory:")
    db.text_factory = bytes
    try:
        create_schema(db)
        return set(db.execute(_TABLES))
    finally:
        db.close()
