"""The connections of one cache file, for both faces.

They are opened late, closed once, and made anew after a fork. One of them is in
`_sqlite_guarded.py`.

Reads and writes have a connection each, so that no read waits for a write, and each face has
its own pair: the blocking one runs a transaction on the caller's thread, the asyncio one sends
it to the connection's thread, which is aiosqlite's.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from functools import partial

from symphra_cache._forks import fork_aware
from symphra_cache._sqlite import store
from symphra_cache._sqlite_files import attach_tier, forget_inherited, open_connection
from symphra_cache._sqlite_guarded import Guarded, Sweeper, Writer
from symphra_cache._usage import closed_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import ParamSpec, TypeVar

    from symphra_cache._hot_tier import HotTier, Kept
    from symphra_cache._sqlite import CacheConnection, Row, Transaction
    from symphra_cache._sqlite_files import Durability
    from symphra_cache._sqlite_groups import Groups
    from symphra_cache._sqlite_identity import FileConnection
    from symphra_cache._sqlite_limits import Limits
    from symphra_cache._sqlite_worker import Worker

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["Connections"]


class _Resources:
    """What has to be closed when the last user of a file is gone; apart, for a finalizer."""

    def __init__(
        self,
        opener: Callable[[], FileConnection],
        tier: HotTier,
        patience: float,
        time_ns: Callable[[], int],
    ) -> None:
        writing = threading.RLock()

        def writer() -> Writer:
            return Writer(opener, Sweeper(time_ns), tier, writing, patience)

        self.reader, self.loop_reader = Guarded(opener, tier), Guarded(opener, tier)
        self.writer, self.loop_writer = writer(), writer()
        self.workers: dict[Guarded, Worker] = {}
        self.groups: Groups | None = None
        tier.unmapped = self._version

    def all(self) -> tuple[Guarded, ...]:
        return self.reader, self.writer, self.loop_reader, self.loop_writer

    def _version(self, _: slice) -> bytes:
        """Stand in for the WAL index's header: one that changes with our own commits, too."""
        # Always of the same connection: each counts for itself.
        return (self.reader if self.reader.is_open() else self.loop_reader).version()

    def close(self) -> None:
        """Close everything, or wait until a thread that does so already has done it."""
        self.groups = None
        for guarded in self.all():
            guarded.close()
        with suppress(KeyError):
            while True:
                self.workers.popitem()[1].finish()


def _opener(
    path: str,
    durability: Durability,
    busy_timeout: float,
    tier: HotTier,
    limits: Limits | None,
) -> Callable[[], FileConnection]:
    """Return what opens a connection whose commits the hot tier is told of."""

    def opened() -> FileConnection:
        db = open_connection(path, durability, busy_timeout)
        attach_tier(db, tier)
        db.limits = limits
        return db

    return opened


class Connections:
    """Runs transactions on one cache file, from any thread, loop or forked child."""

    def __init__(
        self,
        path: str,
        durability: Durability,
        busy_timeout: float,
        time_ns: Callable[[], int],
        tier: HotTier,
        limits: Limits | None,
    ) -> None:
        self.closed: bool = False
        self._tier = tier
        opener = _opener(path, durability, busy_timeout, tier, limits)
        self._resources = _Resources(opener, tier, busy_timeout, time_ns)
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

    def fetch(self, name: bytes) -> Row | None:
        """Return the row of a name."""
        return self._resources.reader.fetch(name)

    async def afetch(self, name: bytes) -> Row | None:
        """Return the row of a name, read on the readers' thread."""
        guarded = self._resources.loop_reader
        return await self._worker(guarded).arun(partial(guarded.fetch, name))

    def write(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        transaction: Transaction[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a transaction that writes; see `Writer.write`."""
        return self._resources.writer.write(names, kept, transaction, *args, **kwargs)

    def store(self, name: bytes, kept: Kept | None, expires: int | None, frame: bytes) -> None:
        """Write one row; see `Writer.write`."""
        self._resources.writer.store(name, kept, expires, frame)

    async def astore(
        self, name: bytes, kept: Kept | None, expires: int | None, frame: bytes
    ) -> None:
        """Write one row, on the writers' thread."""
        hot = None if kept is None else {name: kept}
        await self.awrite((name,), hot, store, name, expires, frame)

    async def awrite(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        transaction: Transaction[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a transaction that writes, on the writers' thread.

        A caller that is cancelled stops waiting; its transaction is carried out or was not
        begun, never half.
        """

        def run(db: CacheConnection) -> R:
            return transaction(db, *args, **kwargs)

        groups = self._resources.groups or self._started_groups()
        result: R = await groups.submit(names, kept, run)
        return result

    def _started_groups(self) -> Groups:
        """Return what gathers writes, with the thread of the writer."""
        resources = self._resources
        worker = self._worker(resources.loop_writer)
        with self._starting:
            from symphra_cache._sqlite_groups import Groups

            if resources.groups is None:
                resources.groups = Groups(resources.loop_writer, worker.send)
            return resources.groups

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
        resources = self._resources
        return resources.writer.sweeper.expired + resources.loop_writer.sweeper.expired

    def close(self) -> None:
        """Wait for transactions under way and close everything, of both faces."""
        with self._starting:
            self.closed = True
        self._close()

    async def aclose(self) -> None:
        """Close everything, waiting for transactions under way without holding up the loop."""
        from asyncio import to_thread

        with self._starting:
            self.closed = True
        await to_thread(self._close)

    def _close(self) -> None:
        # Not by the finalizer, which would return at once while another thread is in it: that
        # of a cancelled `aclose`, say.
        self._resources.close()
        self._finalizer.detach()

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
        self._resources.groups = None
        self._tier.start_over()
        for guarded in self._resources.all():
            guarded.start_over()
