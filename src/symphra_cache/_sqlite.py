"""Every statement that is run on the rows of a cache file.

Each function here is one transaction over an open connection, run by the thread that owns the
connection: the asyncio face pays one hop for it, and no cancellation can cut it in two. They
know rows, not values: what makes a row live is ``expires`` and a predicate over the head of
its frame.
"""

from __future__ import annotations

import sqlite3

from symphra_cache._frame import HEADER_SIZE
from symphra_cache._sqlite_limits import BATCH
from symphra_cache._sqlite_schema import DamagedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

    from symphra_cache._hot_tier import HotTier
    from symphra_cache._sqlite_limits import Limits

    P = ParamSpec("P")
    R = TypeVar("R")
    Transaction: TypeAlias = "Callable[Concatenate[CacheConnection, P], R]"
    # (wall-clock ms of the expiry or None, frame or its head)
    Row: TypeAlias = "tuple[int | None, bytes]"
    NamedRow: TypeAlias = "tuple[bytes, int | None, bytes]"
    Live: TypeAlias = "Callable[[int | None, bytes], bool]"

__all__ = [
    "SMALL",
    "CacheConnection",
    "Immediate",
    "answer",
    "fetch",
    "fetch_head",
    "fetch_many",
    "heads_after",
    "increment",
    "keep_bounds",
    "remove",
    "remove_many",
    "rows_after",
    "store",
    "store_absent",
    "store_at_once",
    "store_many",
    "sweep",
    "take",
    "touch",
]

SMALL = 960
"""Bytes of name and frame that may stand in the tree: there, 1,002 of a row fit into a page."""
_WHOLE = (
    "CASE WHEN body IS NULL THEN frame ELSE"
    " ifnull((SELECT b.frame FROM bodies AS b WHERE b.id = body), frame) END"
)
_UP_TO = (
    "CASE WHEN body IS NULL THEN frame ELSE"
    " (SELECT b.frame FROM bodies AS b WHERE b.id = body AND length(b.frame) <= ?) END"
)
_FETCH = f"SELECT expires, {_WHOLE} FROM entries WHERE name = ?"
_FETCH_HEAD = f"SELECT expires, substr(frame, 1, {HEADER_SIZE}) FROM entries WHERE name = ?"
_HEADS_AFTER = (
    f"SELECT name, expires, substr(frame, 1, {HEADER_SIZE}) FROM entries"
    " WHERE name > ? AND name < ? ORDER BY name LIMIT ?"
)
_ROWS_AFTER = f"SELECT name, expires, {_UP_TO} FROM entries WHERE name > ? ORDER BY name LIMIT ?"
_STORE = (
    "INSERT INTO entries (name, expires, frame) VALUES (?, ?, ?) ON CONFLICT (name)"
    " DO UPDATE SET expires = excluded.expires, frame = excluded.frame WHERE body IS NULL"
)
_STORE_BODY = "INSERT INTO bodies (frame) VALUES (?)"
_STORE_HEAD = "INSERT INTO entries (name, expires, frame, body) VALUES (?, ?, ?, ?)"
# SQLite writes over the pages of a body that stays as long as it was.
_REPLACE_BODY = "UPDATE bodies SET frame = ? WHERE id = (SELECT body FROM entries WHERE name = ?)"
_REPLACE_HEAD = "UPDATE entries SET expires = ?, frame = ? WHERE name = ?"
_DELETE = "DELETE FROM entries WHERE name = ?"
_TOUCH = "UPDATE entries SET expires = ? WHERE name = ?"
_REMOVE = f"DELETE FROM entries WHERE name = ? RETURNING expires, substr(frame, 1, {HEADER_SIZE})"
_DELETE_EXPIRED = "DELETE FROM entries WHERE name = ? AND expires <= ?"
_EXPIRIES_AFTER = "SELECT name, expires FROM entries WHERE name > ? ORDER BY name LIMIT ?"


class CacheConnection(sqlite3.Connection):
    """A connection that knows who is to be told of its commits.

    Attributes:
        tier: told of its commits.
        limits: keeps the file within its bounds, in each transaction that writes.
        is_bounded: the file is known to have what that takes.
        store_row: the statement that writes a row.
    """

    tier: HotTier | None = None
    limits: Limits | None = None
    is_bounded: bool = False
    store_row: str = _STORE


class Immediate:
    """One transaction that takes the write lock before its first read; within another, a part.

    A part that fails has to do so before its first statement that writes.
    """

    __slots__ = ("_db", "_is_part")

    def __init__(self, db: CacheConnection) -> None:
        self._db = db

    def __enter__(self) -> bool:
        """Begin; tell whether this is the whole transaction."""
        self._is_part = self._db.in_transaction
        if self._is_part:
            return False
        if self._db.limits is not None:
            self._db.limits.begin(self._db)
        self._db.execute("BEGIN IMMEDIATE")
        if self._db.tier is not None:
            self._db.tier.locked()
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_part:
            return
        if kind is None:
            limits, tier = self._db.limits, self._db.tier
            if limits is not None:
                limits.before_commit(self._db)
            self._db.execute("COMMIT")
            if tier is not None:
                generation = tier.committed()
                if limits is not None:
                    limits.committed(generation)
        elif self._db.in_transaction:  # a full disk has rolled it back already
            self._db.execute("ROLLBACK")


def answer(db: CacheConnection) -> str:
    """Return one line on the state of the file; raises when it can't be read."""
    db.execute("SELECT expires FROM entries LIMIT 1").fetchall()
    return f"SQLite {sqlite3.sqlite_version}"


def fetch(db: CacheConnection, name: bytes) -> Row | None:
    """Return the row of a name."""
    row: Row | None = db.execute(_FETCH, (name,)).fetchone()
    return row


def fetch_head(db: CacheConnection, name: bytes) -> Row | None:
    """Return the row of a name with the head of its frame alone."""
    row: Row | None = db.execute(_FETCH_HEAD, (name,)).fetchone()
    return row


def fetch_many(db: CacheConnection, names: Iterable[bytes]) -> list[Row | None]:
    """Return the rows of many names, all from one state of the file."""
    db.execute("BEGIN")
    try:
        return [db.execute(_FETCH, (name,)).fetchone() for name in names]
    finally:
        if db.in_transaction:  # some errors have ended it already
            db.execute("COMMIT")


def heads_after(db: CacheConnection, after: bytes, end: bytes, limit: int) -> list[NamedRow]:
    """Return the next rows between two names, both excluded, with the heads of their frames."""
    rows: list[NamedRow] = db.execute(_HEADS_AFTER, (after, end, limit)).fetchall()
    if rows and not _is_ascending([after, *[row[0] for row in rows]]):
        # SQLite trusts the order that it finds. Going on from such a name could lead back to
        # rows that were seen, and round and round for ever.
        raise DamagedError("its rows are out of order")
    return rows


def rows_after(db: CacheConnection, after: bytes, limit: int, largest: int) -> list[NamedRow]:
    """Return the next rows after a name, of all namespaces, without frames that are larger."""
    rows: list[NamedRow] = db.execute(_ROWS_AFTER, (largest, after, limit)).fetchall()
    if rows and not _is_ascending([after, *[row[0] for row in rows]]):
        raise DamagedError("its rows are out of order")
    return rows


def _is_ascending(names: list[bytes]) -> bool:
    try:
        return names == sorted(names) and names[0] < names[-1]
    except TypeError:  # a name that is no bytes
        return False


def store(db: CacheConnection, name: bytes, expires: int | None, frame: bytes) -> None:
    """Write one row."""
    with Immediate(db) as is_whole:
        _write(db, name, expires, frame)
        if db.limits is not None:
            db.limits.is_store = is_whole


def store_at_once(db: CacheConnection, name: bytes, expires: int | None, frame: bytes) -> bool:
    """Write one row by one statement, in a transaction of its own if none is under way.

    Returns:
        Whether that could be done: not if the frame is large, nor if the one there is.
    """
    return (
        len(name) + len(frame) <= SMALL
        and db.execute(db.store_row, (name, expires, frame)).rowcount > 0
    )


def _write(db: CacheConnection, name: bytes, expires: int | None, frame: bytes) -> None:
    """Write one row, within a transaction."""
    if store_at_once(db, name, expires, frame):
        return
    head, is_large = frame[:HEADER_SIZE], len(name) + len(frame) > SMALL
    if is_large and db.execute(_REPLACE_BODY, (frame, name)).rowcount > 0:
        db.execute(_REPLACE_HEAD, (expires, head, name))
        return
    db.execute(_DELETE, (name,))
    if is_large:
        body = db.execute(_STORE_BODY, (frame,)).lastrowid
        db.execute(_STORE_HEAD, (name, expires, head, body))
    else:
        store_at_once(db, name, expires, frame)


def keep_bounds(db: CacheConnection) -> None:
    """Evict what is too much, in a transaction that does nothing else."""
    with Immediate(db):
        pass


def store_many(db: CacheConnection, rows: list[NamedRow]) -> None:
    """Write many rows at once."""
    with Immediate(db):
        if db.limits is None:
            _write_many(db, rows)
            return
        for start in range(0, len(rows), BATCH):
            _write_many(db, rows[start : start + BATCH])
            db.limits.make_room(db)


def _write_many(db: CacheConnection, rows: list[NamedRow]) -> None:
    are_small = all(len(name) + len(frame) <= SMALL for name, _, frame in rows)
    if are_small and db.executemany(db.store_row, rows).rowcount == len(rows):
        return
    for row in rows:
        _write(db, *row)


def store_absent(
    db: CacheConnection, name: bytes, expires: int | None, frame: bytes | None, live: Live
) -> bool:
    """Write one row unless a live one stands there; tell whether none did.

    ``None`` for a frame writes nothing and only asks.
    """
    with Immediate(db):
        row = fetch_head(db, name)
        if row is not None and live(*row):
            return False
        if frame is not None:
            _write(db, name, expires, frame)
        return True


def remove(db: CacheConnection, name: bytes) -> Row | None:
    """Delete one row; return its expiry and the head of its frame."""
    with Immediate(db):
        return _removed(db, name)


def _removed(db: CacheConnection, name: bytes) -> Row | None:
    rows: list[Row] = db.execute(_REMOVE, (name,)).fetchall()
    return rows[0] if rows else None


def remove_many(db: CacheConnection, names: Iterable[bytes], live: Live) -> int:
    """Delete many rows; return how many of them lived."""
    with Immediate(db):
        rows = [_removed(db, name) for name in names]
    return sum(row is not None and live(*row) for row in rows)


def take(db: CacheConnection, name: bytes) -> Row | None:
    """Delete one row and return it."""
    with Immediate(db):
        row = fetch(db, name)
        if row is not None:
            db.execute(_DELETE, (name,))
    return row


def touch(db: CacheConnection, name: bytes, expires: int | None, live: Live) -> bool:
    """Give a live row a new expiry; tell whether there was one."""
    with Immediate(db):
        row = fetch_head(db, name)
        if row is None or not live(*row):
            return False
        db.execute(_TOUCH, (expires, name))
        return True


def increment(
    db: CacheConnection,
    name: bytes,
    expires: int | None,
    change: Callable[[Row | None], tuple[int, bytes | None, bool]],
) -> tuple[int, bool]:
    """Replace a row by what ``change`` makes of it, in one step.

    ``change`` takes the row and returns the answer, the new frame (``None``: write nothing) and
    whether it counts as a new row, which takes ``expires``; an old one keeps its own. What it
    raises leaves the row unchanged.

    Returns:
        The answer, and whether anything was written.
    """
    with Immediate(db):
        row = fetch(db, name)
        total, frame, is_new = change(row)
        if frame is not None:
            _write(db, name, expires if is_new or row is None else row[0], frame)
        return total, frame is not None


def sweep(db: CacheConnection, after: bytes, now: int, limit: int) -> tuple[bytes, int]:
    """Look at the next ``limit`` rows after a name and delete the expired ones among them.

    A hand that goes round the file, moved by writers: no index on the expiry (it doubles the
    cost of a write) and no thread.

    Returns:
        Where to go on (empty after the last row), and how many rows went.
    """
    rows = db.execute(_EXPIRIES_AFTER, (after, limit)).fetchall()
    expired = [(name, now) for name, at in rows if isinstance(at, int) and at <= now]
    if expired:
        with Immediate(db):
            db.executemany(_DELETE_EXPIRED, expired)
        if db.tier is not None:
            db.tier.drop(name for name, _ in expired)
    return (rows[-1][0] if len(rows) == limit else b""), len(expired)
