"""One connection of a cache file, its lock, and what has to be done around each transaction.

A connection is opened with its first use and looks once a second whether the file is still at its
path. Errors of SQLite leave here as errors of ours. The four that a backend has are in
`_sqlite_connections.py`.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from struct import pack
from time import monotonic

from symphra_cache._sqlite import SMALL, fetch, keep_bounds, store, store_at_once, sweep
from symphra_cache._sqlite_checkpoints import Checkpoints
from symphra_cache._sqlite_files import attach_tier, close_connection, is_left, recovered
from symphra_cache._sqlite_outages import made_room, outage
from symphra_cache._usage import closed_error
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import ParamSpec, TypeVar

    from symphra_cache._hot_tier import HotTier, Kept
    from symphra_cache._sqlite import Row, Transaction
    from symphra_cache._sqlite_identity import FileConnection

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["Guarded", "Sweeper", "Writer"]

# Each so many writes the hand of `sweep` moves on by so many rows: two looked at per write.
_SWEEP_EVERY = 64
_SWEEP_ROWS = 128

_LOOK_EVERY = 1.0  # seconds: so soon it is noticed that the file was deleted or replaced
_ATTEMPTS = 3  # of one transaction, when the file turns out to be damaged


class Sweeper:
    """Moves the hand that deletes expired rows, a little with every few writes."""

    def __init__(self, time_ns: Callable[[], int]) -> None:
        self._time_ns = time_ns
        self._after = b""
        self._writes = 0
        self._checkpoints = Checkpoints()
        self.expired: int = 0

    def after_write(self, db: FileConnection) -> None:
        """Count a write; sweep, and shorten the log, if it is time."""
        self._checkpoints.after_write(db)
        self._writes += 1
        if self._writes % _SWEEP_EVERY:
            return
        try:
            self._after, gone = sweep(db, self._after, self._time_ns() // 1_000_000, _SWEEP_ROWS)
            self.expired += gone
        except sqlite3.Error:
            # Locked, full or damaged. The write itself is done and must not fail for this; a
            # later one goes on from here. Damage is for those to deal with who need the rows.
            if db.in_transaction:
                with suppress(sqlite3.Error):  # whoever comes next learns of it
                    db.execute("ROLLBACK")


class Guarded:
    """One connection and the lock that its users take turns by.

    The lock is reentrant, since the garbage collector may close a connection that nobody
    refers to any more on the very thread that uses it.
    """

    def __init__(self, opener: Callable[[], FileConnection], tier: HotTier) -> None:
        self._open = opener
        self._tier = tier
        self._lock = threading.RLock()
        self._db: FileConnection | None = None
        self._look_at = 0.0
        self._closed = False

    def run(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction on the calling thread.

        Raises:
            BackendUnavailableError: SQLite can't do it: locked for longer than
                ``busy_timeout``, disk full, no permission, damaged.
            CacheClosedError: the connection was closed.
        """
        with self._lock:
            if self._closed:
                raise closed_error()
            try:
                for _ in range(_ATTEMPTS - 1):
                    try:
                        return self._attempt(transaction, *args, **kwargs)
                    except (sqlite3.Error, UnicodeDecodeError) as error:
                        if self._db is None:
                            raise
                        if made_room(self._db, error):
                            continue
                        if not recovered(self._db, error):
                            raise
                        self._drop()
                return self._attempt(transaction, *args, **kwargs)
            except BackendUnavailableError:
                self._roll_back()
                raise
            except (sqlite3.Error, OSError) as error:
                self._roll_back()
                raise outage(error) from error
            except BaseException:  # a KeyboardInterrupt between BEGIN and COMMIT, too
                self._roll_back()
                raise

    def fetch(self, name: bytes) -> Row | None:
        """Return the row of a name; for what is raised see `run`."""
        # Hot path: all that `run` does around a statement costs a quarter of it.
        with self._lock:
            db = self._db
            if not (db is None or monotonic() >= self._look_at or db.is_outdated()):
                try:
                    return fetch(db, name)
                except sqlite3.Error:
                    pass  # told, or got over, by the long way
            return self.run(fetch, name)

    def _attempt(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        db = self._db
        if db is None or monotonic() >= self._look_at or self._is_doubtful(db):
            db = self._looked_at()
        return transaction(db, *args, **kwargs)

    def _is_doubtful(self, db: FileConnection) -> bool:
        """Tell whether it has to be looked at now what stands at the path."""
        return db.is_outdated()

    def _looked_at(self) -> FileConnection:
        """Return a connection to the file that is at the path now."""
        now = monotonic()
        if self._db is not None and is_left(self._db):
            self._drop()
        if self._db is None:
            self._db = self._open()
        elif self._tier.header is self._tier.unmapped or not self._tier.now():
            attach_tier(self._db, self._tier)  # perhaps its WAL index can be mapped by now
        self._look_at = self._tier.look_at = now + _LOOK_EVERY
        return self._db

    def _roll_back(self) -> None:
        db = self._db
        if db is not None and db.in_transaction:
            try:
                db.execute("ROLLBACK")
            except sqlite3.Error:
                # The connection is of no use any more; the next call opens a new one.
                self._drop()

    def close(self) -> None:
        """Wait for the transaction under way, then close for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def is_open(self) -> bool:
        """Tell whether there is a connection now."""
        return self._db is not None

    def version(self) -> bytes:
        """Return what changes whenever another connection commits, in the form of a header.

        Never as by one commit alone, since it does not tell our own from those of others. Empty
        while the connection is in use, for which an event loop must not wait, or is not open.
        """
        if not self._lock.acquire(False):
            return b""
        try:
            db = self._db
            if db is None:
                return b""
            (version,) = db.execute("PRAGMA data_version").fetchone()
            return pack("=QI", id(db), 2 * version & 0xFFFFFFFF)
        except sqlite3.Error:
            return b""
        finally:
            self._lock.release()

    def is_closed(self) -> bool:
        """Tell whether nothing more will be run."""
        return self._closed

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            close_connection(db)

    def hold(self) -> None:
        """Wait for the transaction under way, and keep others from beginning."""
        self._lock.acquire()

    def release(self) -> None:
        """Let transactions begin again."""
        self._lock.release()

    def start_over(self) -> None:
        """In a forked child: close what was inherited, with a lock of the child's own.

        Kept open and unused, an inherited connection makes SQLite in the child take the file
        for already locked, and acknowledged writes of the child can be lost.
        """
        self._lock = threading.RLock()
        self._drop()


class Writer(Guarded):
    """A connection that writes, and tells the hot tier what.

    The two writers of a process exclude each other before SQLite has to, so that one commit at
    a time is between its lock and its publication.
    """

    def __init__(
        self,
        opener: Callable[[], FileConnection],
        sweeper: Sweeper,
        tier: HotTier,
        writing: threading.RLock,
        patience: float,
    ) -> None:
        super().__init__(opener, tier)
        self.sweeper = sweeper
        self._writing = writing
        self._patience = patience

    def write(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        transaction: Transaction[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a transaction that may write these names.

        Args:
            names: all that it may write or remove.
            kept: what the hot tier may keep of them if it succeeds.
            transaction: as for `run`, which says what is raised, too.
            *args: its arguments.
            **kwargs: its arguments.
        """
        with self._lock:
            self._take_turn()
            try:
                return self._written(names, kept, transaction, *args, **kwargs)
            finally:
                self._writing.release()

    def store(self, name: bytes, kept: Kept | None, expires: int | None, frame: bytes) -> None:
        """Write one row, by a single statement if nothing stands against it; see `write`."""
        # Hot path: `write` and `run` cost as much as a third of the statement.
        with self._lock:
            self._take_turn()
            try:
                db = self._db
                if not (
                    db is None
                    or len(name) + len(frame) > SMALL
                    # Else eviction is part of the transaction.
                    or (db.limits is not None and not db.limits.has_room(db))
                    or monotonic() >= self._look_at
                    or self._is_doubtful(db)
                    or db.in_transaction  # a finalizer writes in the middle of a group
                ) and self._is_stored(db, name, kept, expires, frame):
                    if db.limits is not None and not db.limits.stored(db):
                        self._written((), None, keep_bounds)  # another process may have filled it
                    self.sweeper.after_write(db)
                    return
                hot = None if kept is None else {name: kept}
                self._written((name,), hot, store, name, expires, frame)
            finally:
                self._writing.release()

    def _is_stored(
        self,
        db: FileConnection,
        name: bytes,
        kept: Kept | None,
        expires: int | None,
        frame: bytes,
    ) -> bool:
        """Run the statement; tell whether that was all, or it has to be done once more."""
        tier, done, failed = self._tier, False, True
        tier.begin_single(name)
        try:
            done = store_at_once(db, name, expires, frame)
            failed = False
        except sqlite3.Error as error:
            if recovered(db, error):
                self._drop()
            elif not made_room(db, error):
                self._roll_back()
                raise outage(error) from error
        finally:
            tier.end_single(name, kept if done else None, is_committed=not failed)
        return done

    def _take_turn(self) -> None:
        """Wait until no other writer of this process writes."""
        if not self._writing.acquire(False) and not self._writing.acquire(timeout=self._patience):
            raise BackendUnavailableError(
                "the cache file can't be used: another thread has been writing to it for "
                f"{self._patience:g} s; raise busy_timeout"
            )

    def _is_doubtful(self, db: FileConnection) -> bool:
        # Where SQLite itself copies the log into the file, any commit may, over what somebody has
        # written there since. Else `_sqlite_checkpoints.py` looks.
        file = db.file
        return super()._is_doubtful(db) or file is None or (file.index is None and not db.is_ours())

    def _written(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        transaction: Transaction[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        tier, done = self._tier, False
        tier.begin(names)
        try:
            result = self.run(transaction, *args, **kwargs)
            done = True
        finally:
            if not done:
                tier.abandoned()
            tier.end(names, kept if done else None)
        if self._db is not None:
            self.sweeper.after_write(self._db)
        return result
