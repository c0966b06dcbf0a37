"""The thread on which the asyncio face uses SQLite: aiosqlite's, fitted to our life cycle.

Imported with the first asyncio call on a file, since it loads aiosqlite and asyncio.
"""

from __future__ import annotations

from contextlib import suppress

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL

from symphra_cache._loops import running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from typing import Any, TypeVar

    R = TypeVar("R")

__all__ = ["Worker"]


class Worker(aiosqlite.Connection):
    """aiosqlite's thread and queue, for any number of loops, one after another or at once.

    aiosqlite 0.22 runs any callable on its thread, but waits for it at interpreter exit (so
    that a program which forgot to close never ends) and loses the thread when the loop that
    asked is closed before the answer. Both are mended here, with its ``_thread`` and ``_tx``;
    `tests/unit/test_sqlite_worker.py` notices when a release changes them. The SQLite
    connection itself is opened and closed by the callables, so aiosqlite never holds one.
    """

    def __init__(self) -> None:
        super().__init__(_no_connection, iter_chunk_size=64)
        self._thread.daemon = True
        self._thread.name = "symphra-cache-sqlite"
        self._thread.start()

    async def arun(self, function: Callable[[], R]) -> R:
        """Call a function on the thread, after those that were sent before."""
        answer = _Answer(running_loop())
        self._tx.put_nowait((answer, function))  # type: ignore[arg-type]
        result: R = await answer.future
        return result

    def send(self, function: Callable[[], object]) -> None:
        """Have a function called on the thread, after those that were sent before."""
        self._tx.put_nowait((None, function))

    def finish(self) -> None:
        """End the thread after what was sent before; does not wait for it."""
        self.send(lambda: _STOP_RUNNING_SENTINEL)


class _Answer:
    """Stands for a future of a loop that may be closed before the answer is there."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.future: Future[Any] = loop.create_future()

    def get_loop(self) -> _Answer:
        return self

    def call_soon_threadsafe(
        self, deliver: Callable[[Future[Any], object], None], _: object, outcome: object
    ) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(deliver, self.future, outcome)


def _no_connection() -> Any:
    raise AssertionError("the worker's callables bring their own connection")
