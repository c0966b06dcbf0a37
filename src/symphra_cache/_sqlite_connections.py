"""The connections of one cache file, for both faces.

They are opened late, closed once, and made anew after a fork. Errors of SQLite leave here as
errors of ours.

Reads and writes have a connection each, so that no read waits for a write, and each face has
its own pair: the blocking one runs a transaction on the caller's thread, the asyncio one sends
it to the connection's thread, which is aiosqlite's.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from functools import partial
from time import monotonic

from symphra_cache._forks import fork_aware
from symphra_cache._sqlite import sweep
from symphra_cache._sqlite_files import (
    close_connection,
    forget_inherited,
    is_left,
    open_connection,
    recovered,
)
from symphra_cache._usage import closed_error
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from symphra_cache._sqlite import Transaction
    from symphra_cache._sqlite_files import Durability, FileConnection
    from symphra_cache._sqlite_worker import Worker

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["Connections"]

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
        self.expired: int = 0

    def after_write(self, db: FileConnection) -> None:
        """Count a write and sweep if it is time."""
        self._writes += 1
        if self._writes % _SWEEP_EVERY:
            return
        try:
            self._after, gone = sweep(db, self._after, self._time_ns() // 1_000_000, _SWEEP_ROWS)
            self.expired += gone
        except sqlite3.OperationalError:
            # Locked or full. The write itself is done and must not fail for this; a later
            # one goes on from here.
            if db.in_transaction:
                db.execute("ROLLBACK")


class Guarded:
    """One connection and the lock that its users take turns by.

    The lock is reentrant, since the garbage collector may close a connection that nobody
    refers to any more on the very thread that uses it.
    """

    def __init__(self, opener: Callable[[], FileConnection], sweeper: Sweeper | None) -> None:
        self._open = opener
        self._sweeper = sweeper
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
                        if self._db is None or not recovered(self._db, error):
                            raise
                        self._drop()
                return self._attempt(transaction, *args, **kwargs)
            except BackendUnavailableError:
                self._roll_back()
                raise
            except (sqlite3.Error, OSError) as error:
                self._roll_back()
                raise BackendUnavailableError(f"the cache file can't be used: {error}") from error
            except BaseException:  # a KeyboardInterrupt between BEGIN and COMMIT, too
                self._roll_back()
                raise

    def _attempt(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        db = self._db
        if db is None or monotonic() >= self._look_at or db.is_outdated():
            db = self._looked_at()
        elif self._sweeper is not None and not db.is_ours():
            # Any commit may copy the log into the file, which somebody has written over since.
            db = self._looked_at()
        result = transaction(db, *args, **kwargs)
        if self._sweeper is not None:
            self._sweeper.after_write(db)
        return result

    def _looked_at(self) -> FileConnection:
        """Return a connection to the file that is at the path now."""
        now = monotonic()
        if self._db is not None and is_left(self._db):
            self._drop()
        if self._db is None:
            self._db = self._open()
        self._look_at = now + _LOOK_EVERY
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


class _Resources:
    """What has to be closed when the last user of a file is gone; apart, for a finalizer."""

    def __init__(
        self, opener: Callable[[], FileConnection], sweepers: tuple[Sweeper, Sweeper]
    ) -> None:
        self.reader, self.writer = Guarded(opener, None), Guarded(opener, sweepers[0])
        self.loop_reader, self.loop_writer = Guarded(opener, None), Guarded(opener, sweepers[1])
        self.workers: dict[Guarded, Worker] = {}

    def all(self) -> tuple[Guarded, ...]:
        return self.reader, self.writer, self.loop_reader, self.loop_writer

    def close(self) -> None:
        for guarded in self.all():
            guarded.close()
        while self.workers:
            self.workers.popitem()[1].finish()


class Connections:
    """Runs transactions on one cache file, from any thread, loop or forked child."""

    def __init__(
        self, path: str, durability: Durability, busy_timeout: float, time_ns: Callable[[], int]
    ) -> None:
        self.closed: bool = False
        self._sweepers = Sweeper(time_ns), Sweeper(time_ns)
        self._resources = _Resources(
            lambda: open_connection(path, durability, busy_timeout), self._sweepers
        )
        self._starting = threading.Lock()
        # Closes at garbage collection and at exit, if the program did not. The resources must
        # not refer to this object, not even through a bound method of its owner.
        self._finalizer = weakref.finalize(self, self._resources.close)
        fork_aware(self)

    def read(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction that only reads."""
        return self._resources.reader.run(transaction, *args, **kwargs)

    async def aread(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction that only reads, on the readers' thread."""
        guarded = self._resources.loop_reader
        return await self._worker(guarded).arun(partial(guarded.run, transaction, *args, **kwargs))

    def write(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction that writes."""
        return self._resources.writer.run(transaction, *args, **kwargs)

    async def awrite(self, transaction: Transaction[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction that writes, on the writers' thread.

        A caller that is cancelled stops waiting; its transaction is carried out or was not
        begun, never half.
        """
        guarded = self._resources.loop_writer
        return await self._worker(guarded).arun(partial(guarded.run, transaction, *args, **kwargs))

    def _worker(self, guarded: Guarded) -> Worker:
        worker = self._resources.workers.get(guarded)
        if worker is not None:
            return worker
        with self._starting:
            # Under the lock, which a fork waits for: a child that is forked in the middle of
            # another thread's import waits for that import for ever.
            from symphra_cache._sqlite_worker import Worker

            if self.closed:
                raise closed_error()
            worker = self._resources.workers.get(guarded)
            if worker is None:
                worker = self._resources.workers[guarded] = Worker()
            return worker

    @property
    def expirations(self) -> int:
        """Expired rows that this process has deleted."""
        return sum(sweeper.expired for sweeper in self._sweepers)

    def close(self) -> None:
        """Wait for transactions under way and close everything, of both faces."""
        with self._starting:
            self.closed = True
        self._finalizer()

    async def aclose(self) -> None:
        """Close everything, waiting for transactions under way without holding up the loop."""
        from asyncio import to_thread

        with self._starting:
            self.closed = True
        await to_thread(self._finalizer)

    def before_fork(self) -> None:
        """Let transactions finish: a child forked inside one finds the file locked by a ghost."""
        self._starting.acquire()
        for guarded in self._resources.all():
            guarded.hold()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for guarded in self._resources.all():
            guarded.release()
        self._starting.release()

    def after_fork_in_child(self) -> None:
        """Drop what was inherited; connections and threads are made anew when they are used."""
        forget_inherited()
        self._starting = threading.Lock()
        self._resources.workers.clear()
        for guarded in self._resources.all():
            guarded.start_over()
