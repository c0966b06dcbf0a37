"""Group commit: writes that wait at the same time, of any tasks and loops, are one commit.

Imported with the first asyncio write to a file. A hop to the writers' thread and back costs as much
as three writes, so all that has gathered while the thread was busy shares it, and one transaction.
Each caller returns after the commit.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import suppress

from symphra_cache._loops import running_loop
from symphra_cache._sqlite import Immediate
from symphra_cache._usage import closed_error
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any

    from symphra_cache._hot_tier import Kept
    from symphra_cache._sqlite import CacheConnection
    from symphra_cache._sqlite_guarded import Writer

__all__ = ["Groups", "Job"]

_LARGEST = 500
"""Writes in one group, so that no caller waits for all that others send meanwhile."""


class Job:
    """One write, who waits for it, and how it ended."""

    __slots__ = ("error", "future", "kept", "loop", "names", "result", "run")

    def __init__(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        run: Callable[[CacheConnection], Any],
        loop: AbstractEventLoop,
    ) -> None:
        self.names = names
        self.kept = kept
        self.run = run
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None


class Groups:
    """Gathers writes and has them carried out together on the writers' thread.

    Args:
        writer: the connection.
        send: has a function called on its thread.
    """

    def __init__(self, writer: Writer, send: Callable[[Callable[[], None]], None]) -> None:
        self._writer = writer
        self._send = send
        self._waiting: deque[Job] = deque()
        self._is_sent = False

    def submit(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        run: Callable[[CacheConnection], Any],
    ) -> Future[Any]:
        """Have a write carried out; for its arguments see `Writer.write`."""
        job = Job(names, kept, run, running_loop())
        self._waiting.append(job)
        if not self._is_sent:
            self._is_sent = True
            self._send(self._carry_out)
        if self._writer.is_closed():  # then its thread may have ended before this came
            job.future.cancel()
            raise closed_error()
        return job.future

    def _carry_out(self) -> None:
        """Carry out what waits; on the writers' thread."""
        self._is_sent = False  # before looking: who comes now sends again, at worst for nothing
        waiting = self._waiting
        while waiting:
            group = [waiting.popleft() for _ in range(min(len(waiting), _LARGEST))]
            # Who was cancelled waits no more; that write was not begun.
            group = [job for job in group if not job.future.cancelled()]
            if len(group) == 1:
                self._alone(group[0])
            elif group:
                self._together(group)
            _deliver(group)

    def _together(self, group: list[Job]) -> None:
        begun = False
        kept: dict[bytes, Kept] = {}

        def transaction(db: CacheConnection) -> None:
            nonlocal begun
            with Immediate(db):
                begun = True
                for job in group:
                    _run_in_group(job, db, kept)

        try:
            self._writer.write([name for job in group for name in job.names], kept, transaction)
        except BackendUnavailableError as error:
            for job in group:
                if begun:  # a full disk, say: what can be done alone is done
                    self._alone(job)
                else:
                    job.error = BackendUnavailableError(str(error))
                    job.error.__cause__ = error.__cause__
        except BaseException as error:
            for job in group:
                job.error = error

    def _alone(self, job: Job) -> None:
        job.error = None
        try:
            job.result = self._writer.write(job.names, job.kept, job.run)
        except BaseException as error:
            job.error = error


def _run_in_group(job: Job, db: CacheConnection, kept: dict[bytes, Kept]) -> None:
    """Run one write of a group; note what the hot tier may keep of the names it wrote.

    What is not SQLite's error is this write's own: a value that is no integer, say. Such a
    write has changed nothing.
    """
    job.error = None  # of an attempt that met a damaged file
    try:
        job.result = job.run(db)
    except (sqlite3.Error, OSError):
        raise
    except BaseException as error:
        job.error = error
        return
    written = job.kept or {}
    for name in job.names:
        if name in written:
            kept[name] = written[name]
        else:
            kept.pop(name, None)


def _deliver(group: Iterable[Job]) -> None:
    """Wake the callers, once for each loop."""
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in group:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
