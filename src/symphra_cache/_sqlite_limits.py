"""The bounds of a cache file: who is evicted when it holds too many rows or too many pages.

A file without bounds has none of this. The first process that opens it with one adds an index on
the number of the write that a row is from, and a count of the rows; triggers keep both right
whoever writes: processes without bounds, the sqlite3 shell. So the least recently written rows
stand at one end of an index, and no statement here looks at more than a bounded number of rows.

`Limits` lives inside the transactions of `_sqlite.py`: `begin`, then `before_commit`, then
`committed`. One transaction of a process at a time, so nothing here needs a lock.
"""

from __future__ import annotations

from symphra_cache.exceptions import ConfigurationError, ValueTooLargeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

    from symphra_cache._hot_tier import HotTier
    from symphra_cache._sqlite import CacheConnection

__all__ = ["Limits", "checked_limits"]

# Rows were written in the order of this number; those from before there was one have none, and
# come first. The subquery is one step to the end of the index.
_NEXT = "(SELECT ifnull(max(written), 0) + 1 FROM entries)"
_SCHEMA = (
    "CREATE INDEX entries_by_write ON entries (written, expires)",
    "CREATE TABLE held (id INTEGER PRIMARY KEY CHECK (id = 1), entries INTEGER NOT NULL)",
    "INSERT INTO held SELECT 1, count(*) FROM entries",
    "CREATE TRIGGER entries_added AFTER INSERT ON entries"
    " BEGIN UPDATE held SET entries = entries + 1 WHERE id = 1; END",
    "CREATE TRIGGER entries_removed AFTER DELETE ON entries"
    " BEGIN UPDATE held SET entries = entries - 1 WHERE id = 1; END",
    # For those who write without a number: a third more work than to give it at once.
    "CREATE TRIGGER entries_inserted AFTER INSERT ON entries WHEN NEW.written IS NULL"
    f" BEGIN UPDATE entries SET written = {_NEXT} WHERE name = NEW.name; END",
    "CREATE TRIGGER entries_changed AFTER UPDATE OF expires, frame ON entries"
    " WHEN NEW.written IS OLD.written"
    f" BEGIN UPDATE entries SET written = {_NEXT} WHERE name = NEW.name; END",
)
_IS_BUILT = "SELECT count(*) FROM sqlite_master WHERE name = 'held'"
_STORE = (
    f"INSERT INTO entries (name, expires, frame, written) VALUES (?, ?, ?, {_NEXT})"
    " ON CONFLICT (name) DO UPDATE SET"
    " expires = excluded.expires, frame = excluded.frame, written = excluded.written"
    " WHERE body IS NULL"
)
_HELD = "SELECT entries FROM held WHERE id = 1"
_COUNTED = f"SELECT ({_HELD}), (SELECT count(*) FROM entries)"
_RECOUNT = "UPDATE held SET entries = (SELECT count(*) FROM entries) WHERE id = 1"
_OLDEST = "SELECT name, expires FROM entries ORDER BY written, expires, name LIMIT ?"
# Of the same order; in one statement, a row costs three quarters.
_DELETE_OLDEST = (
    "DELETE FROM entries WHERE name IN"
    " (SELECT name FROM entries ORDER BY written, expires, name LIMIT ?)"
)
_DELETE = "DELETE FROM entries WHERE name = ?"

BATCH = 500
"""Rows of a bulk write after which room is made, so that it never holds all of them at once."""

# So many of the oldest rows are looked at for expired ones, before a live one goes.
_LOOK = 16
# A full file gives up so many rows at once, at the most one in 256: the next writes need to evict
# none then, and all of them share the look and the page of the index.
_AHEAD = 16
# Beside what it has itself written, a transaction evicts so many rows (a file may be opened with
# a smaller bound than before), and gives back so many pages; later ones go on from there.
_ROWS_AT_ONCE = 256
_PAGES_AT_ONCE = 64
# Transactions after which it is looked whether there are free pages to give back.
_SHRINK_EVERY = 64
# What a file needs beside its largest value, in bytes; and what each page of a value gives up.
_OVERHEAD = 32_768
_SMALLEST = 2 * _OVERHEAD


class Limits:
    """Keeps one cache file within its bounds.

    Attributes:
        evictions: live rows that this process has evicted.
        expired: expired rows that went in their stead.
        is_store: the transaction under way writes one row and does nothing else.
    """

    def __init__(
        self,
        max_size: int | None,
        max_bytes: int | None,
        time_ns: Callable[[], int],
        tier: HotTier,
    ) -> None:
        self._max_size = max_size
        self._max_bytes = max_bytes
        self._ahead: int = min(_AHEAD, (max_size or 0) // 256)
        # Rows from which on some have to go: where it is not one by one, before the last is
        # added, so that a write to a full file need not look whether it adds one.
        self._full: int = (max_size or 0) + (not self._ahead)
        self._time_ns = time_ns
        self._tier = tier
        self.evictions: int = 0
        self.expired: int = 0
        # Of the transaction under way.
        self._evicted = self._dropped = self._changes = self._held = 0
        self._used: int | None = None
        self.is_store: bool = False
        self._page_size = 4096
        self._until_shrinking = _SHRINK_EVERY
        # Generation of the hot tier as of our last commit, rows and bytes at that time.
        self._known: tuple[int, int, int | None] = (-1, 0, None)

    def refuse_larger(self, size: int) -> None:
        """Raise for a value, serialized, for which there will never be room.

        Raises:
            ValueTooLargeError: it does not fit into ``max_bytes``.
        """
        if self._max_bytes is not None and size > self.largest:
            raise ValueTooLargeError(
                f"a value of {size:,} bytes, serialized, does not fit into max_bytes="
                f"{self._max_bytes:,}, which has room for one of {self.largest:,}: "
                "raise max_bytes on the backend, or store less"
            )

    @property
    def largest(self) -> int:
        """Bytes that a value may have, serialized."""
        return ((self._max_bytes or 0) - _OVERHEAD) * 15 // 16

    def known(self) -> tuple[int, int | None] | None:
        """Return rows and bytes of the file, if nobody has written since we did."""
        _, held, used = self._known
        return (held, used) if self._is_known() else None

    def _is_known(self) -> bool:
        return self._tier.is_as_of(self._known[0])

    # Of a single statement that is a transaction of its own.

    def has_room(self, db: CacheConnection) -> bool:
        """Tell whether a statement may add a row that nothing has to go for."""
        if (
            self._max_bytes is not None
            or not db.is_bounded
            or self._known[1] >= (self._max_size or 0)
            or self._until_shrinking <= 1
            or not self._is_known()
        ):
            return False
        self._until_shrinking -= 1
        self._changes = db.total_changes
        return True

    def stored(self, db: CacheConnection) -> bool:
        """Count the row, if it is new; tell whether nobody else has written meanwhile."""
        generation, held, used = self._known
        self._known = generation, held + db.total_changes - self._changes - 1, used
        return self._is_known()

    # Of transactions, in this order.

    def begin(self, db: CacheConnection) -> None:
        """Get ready, before a transaction begins; the first on a connection builds the books."""
        if not db.is_bounded:
            _build(db)
            self._page_size = db.execute("PRAGMA page_size").fetchone()[0]
            db.store_row = _STORE
            db.is_bounded = True
        self.is_store = False
        self._evicted = self._dropped = 0
        self._changes = db.total_changes

    def before_commit(self, db: CacheConnection) -> None:
        """Make room, if the transaction may have added too much."""
        self._until_shrinking -= 1
        if self._max_bytes is None and self._until_shrinking and self._is_known():
            # A row that is added or removed changes its count, too.
            added = db.total_changes - self._changes - 1
            held = self._known[1] + max(added, 0)
            if (added <= 0 or (self.is_store and added == 1)) and held < self._full:
                self._held = held
                return
        self.make_room(db)
        if self._max_bytes is not None or self._until_shrinking <= 0:
            self._shrink(db)

    def make_room(self, db: CacheConnection) -> None:
        """Evict what is too much, the least recently written first."""
        budget = _ROWS_AT_ONCE + db.total_changes - self._changes
        self._held = db.execute(_HELD).fetchone()[0]
        if self._max_size is not None and self._held >= self._full:
            surplus = self._held - self._max_size + self._ahead
            budget -= self._evict(db, min(budget, surplus))
        if self._max_bytes is not None:
            self._fit(db, self._max_bytes, budget)

    def committed(self, generation: int) -> None:
        """Count what has gone; the generation is that as of which the file is known."""
        self.evictions += self._evicted
        self.expired += self._dropped
        self._known = generation, self._held, self._used

    def _evict(self, db: CacheConnection, surplus: int) -> int:
        """Remove so many rows, or more if more have expired; return how many went."""
        look = surplus + _LOOK
        rows = db.execute(_OLDEST, (look,)).fetchall()
        now = self._time_ns() // 1_000_000
        gone = [name for name, expires in rows if isinstance(expires, int) and expires <= now]
        expired = len(gone)
        if expired < surplus:
            keep = -1 if len(rows) < look else None  # the newest stays, whatever the count says
            dead = set(gone)
            live = [name for name, _ in rows[:keep] if name not in dead]
            gone += live[: surplus - expired]
        if gone:
            self._tier.evict(gone)
            if expired:
                db.executemany(_DELETE, [(name,) for name in gone])
            else:
                db.execute(_DELETE_OLDEST, (len(gone),))
        self._dropped += expired
        self._evicted += len(gone) - expired
        self._held -= len(gone)
        return len(gone)

    def _fit(self, db: CacheConnection, max_bytes: int, budget: int) -> None:
        """Evict rows until the pages in use fit.

        A sixteenth is left for free pages: those that a write takes and an eviction frees
        would otherwise be given back and taken again each time.
        """
        most = max_bytes // self._page_size
        most -= most // 16
        pages, free = _pages(db)
        while pages - free > most and budget > 0 and self._held > 1:
            rows = max(1, (pages - free - most) * self._held // (pages - free))
            gone = self._evict(db, min(rows, budget, self._held - 1))
            if not gone:
                break
            budget -= gone
            pages, free = _pages(db)

    def _shrink(self, db: CacheConnection) -> None:
        """Give back free pages: those beyond the bound, and beyond a quarter of the file."""
        pages, free = _pages(db)
        unused = free - max(_PAGES_AT_ONCE, pages // 4)
        if self._max_bytes is not None:
            unused = max(unused, pages - self._max_bytes // self._page_size)
            self._used = (pages - free) * self._page_size
        step = min(unused, free, _PAGES_AT_ONCE + db.total_changes - self._changes)
        for _ in range(step):  # sqlite3 takes one step of a statement without columns
            db.execute("PRAGMA incremental_vacuum(1)")
        # If there are more, the next transaction goes on.
        self._until_shrinking = 1 if unused > step > 0 else _SHRINK_EVERY


def _pages(db: Connection) -> tuple[int, int]:
    """Return how many pages the file has, and how many of them are free."""
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    return pages, free


def _build(db: Connection) -> None:
    """Add the books to a file that has none; put the count right in one that has.

    An ``INSERT OR REPLACE`` of a foreign writer fires no trigger for the row that it replaces.
    """
    if db.execute(_IS_BUILT).fetchone()[0]:
        held, counted = db.execute(_COUNTED).fetchone()
        if held != counted:
            db.execute(_RECOUNT)
        return
    db.execute("BEGIN IMMEDIATE")
    if not db.execute(_IS_BUILT).fetchone()[0]:
        for statement in _SCHEMA:
            db.execute(statement)
    db.execute("COMMIT")


def checked_limits(
    max_size: object, max_bytes: object, time_ns: Callable[[], int], tier: HotTier
) -> Limits | None:
    """Return the bounds of a file, ``None`` if it has none.

    Raises:
        ConfigurationError: one of them is wrong.
    """
    if max_size is not None and (type(max_size) is not int or max_size <= 0):
        raise ConfigurationError(
            f"max_size must be a positive int or None (unbounded), got {_got(max_size)}"
        )
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < _SMALLEST):
        raise ConfigurationError(
            f"max_bytes must be an int of at least {_SMALLEST:,} (the file's own pages take "
            f"some) or None (unbounded), got {_got(max_bytes)}"
        )
    if max_size is None and max_bytes is None:
        return None
    return Limits(max_size, max_bytes, time_ns, tier)


def _got(value: object) -> str:
    return repr(value) if type(value) is int else type(value).__name__
