"""The pools of a backend's connections: made late, one for the process, one for each event loop.

The blocking pool serves all threads. An asyncio pool belongs to the loop that made its
connections, so each running loop has its own, closed together with it. After a fork all are
made anew. Those of clients that the program made itself are used as they are, and never closed.

For a cluster, what is called a pool here holds one for each node.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress

from symphra_cache._forks import fork_aware
from symphra_cache._loops import running_loop
from symphra_cache._usage import closed_error
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable
    from typing import Any

__all__ = ["Pools"]


class PoolOfLoop:
    """An asyncio pool and the loop that it belongs to."""

    __slots__ = ("closer", "loop", "pool")

    def __init__(self, loop: AbstractEventLoop, pool: Any) -> None:
        self.loop = weakref.ref(loop)
        self.pool = pool
        self.closer = _closing_with_its_loop(pool)

    def belongs_to(self, loop: AbstractEventLoop) -> bool:
        """Tell whether this is the pool of ``loop`` itself, not of one with the same ``id``."""
        return self.loop() is loop

    def is_stranded(self) -> bool:
        """Tell whether the loop is gone, so that nothing can be sent or closed any more."""
        loop = self.loop()
        return loop is None or loop.is_closed()

    def end(self) -> None:
        """Close the connections from outside the loop: on it if it runs, else without it."""
        loop = self.loop()
        if loop is not None and loop.is_running():
            with suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(self._end_on_loop)
                return
        self.pool.leave(loop)
        self._finish_closer()

    def disinherit(self) -> None:
        """Close the connections in a forked child, to which they don't belong."""
        self.pool.disinherit()
        self._finish_closer()

    def _end_on_loop(self) -> None:
        self.pool.close()
        self._finish_closer()

    def _finish_closer(self) -> None:
        """Run the generator to its end, which has nothing to wait for any more."""
        with suppress(StopIteration, RuntimeError):  # RuntimeError: the loop is at it itself
            self.closer.aclose().__await__().__next__()


async def _closing_with_its_loop(pool: Any) -> AsyncGenerator[None, None]:
    """Close the connections when their loop shuts down.

    A loop finishes the asynchronous generators that were begun on it, before it is closed
    (``asyncio.run`` does, Django's ``async_to_sync`` too). That is the one hook that every
    loop offers.
    """
    try:
        yield
    finally:
        await pool.aclose()


class Pools:
    """Hands out the pool of the caller's face and loop.

    Args:
        make: makes the pool of the blocking face; ``None`` if there is none.
        make_for_loop: makes one for the running loop; likewise.
        given: the pool of a client that the program made.
        given_async: the pool of an asyncio client that it made.
    """

    def __init__(
        self,
        make: Callable[[], Any] | None = None,
        make_for_loop: Callable[[], Any] | None = None,
        given: Any = None,
        given_async: Any = None,
    ) -> None:
        self.closed: bool = False
        self._make = make
        self._make_for_loop = make_for_loop
        self._given_async = given_async
        self._is_injected: bool = given is not None or given_async is not None
        self._lock = threading.Lock()
        self._blocking = given
        self._of_loops: dict[int, PoolOfLoop] = {}
        fork_aware(self)
        # When nobody uses the backend any more, and at the end of the program.
        weakref.finalize(self, _end_all, self._of_loops)

    def pool(self) -> Any:
        """Return the blocking pool of this process.

        Raises:
            ConfigurationError: only a client of the other face was given.
            CacheClosedError: the backend was closed.
        """
        pool = self._blocking
        if pool is not None and not self.closed:
            return pool
        with self._lock:
            if self.closed:
                raise closed_error()
            if self._blocking is None:
                if self._make is None:
                    raise _one_faced("blocking")
                self._blocking = self._make()
            return self._blocking

    async def apool(self) -> Any:
        """Return the asyncio pool of the running loop.

        Raises:
            ConfigurationError: only a client of the other face was given.
            UnsupportedLoopError: no asyncio loop is running.
            CacheClosedError: the backend was closed.
        """
        if self.closed:
            raise closed_error()
        if self._given_async is not None:
            return self._given_async
        loop = running_loop()
        held = self._of_loops.get(id(loop))
        if held is not None and held.belongs_to(loop):
            return held.pool
        return await self._anew(loop)

    async def _anew(self, loop: AbstractEventLoop) -> Any:
        if self._make_for_loop is None:
            raise _one_faced("asyncio")
        held = PoolOfLoop(loop, self._make_for_loop())
        with self._lock:
            if self.closed:
                raise closed_error()
            stranded = [key for key, other in self._of_loops.items() if other.is_stranded()]
            dropped = [self._of_loops.pop(key) for key in stranded]
            self._of_loops[id(loop)] = held
        for other in dropped:
            other.end()
        # Begun, the generator is known to the loop. It does not wait for anything here.
        await anext(held.closer)
        return held.pool

    def close(self) -> None:
        """Close the pools that are ours; those of running loops are closed on their loops."""
        blocking, of_loops = self._take_all()
        if blocking is not None:
            blocking.close()
        for held in of_loops:
            held.end()

    async def aclose(self) -> None:
        """Do what `close` does, waiting for the pool of the running loop."""
        loop = running_loop()
        blocking, of_loops = self._take_all()
        for held in of_loops:
            if held.belongs_to(loop):
                with suppress(RuntimeError):  # the loop is at it itself
                    await held.closer.aclose()
            else:
                held.end()
        if blocking is not None:
            blocking.close()

    def _take_all(self) -> tuple[Any, list[PoolOfLoop]]:
        with self._lock:
            self.closed = True
            blocking = None if self._is_injected else self._blocking
            self._blocking = None
            of_loops = list(self._of_loops.values())
            self._of_loops.clear()
        return blocking, of_loops

    def before_fork(self) -> None:
        """Keep pools from being made during the fork."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent its connections; pools are made anew when they are used."""
        self._lock = threading.Lock()
        if self._is_injected:
            return  # redis-py's own pools notice the fork
        for held in self._of_loops.values():
            held.disinherit()
        self._of_loops.clear()
        self._blocking = None


def _end_all(of_loops: dict[int, PoolOfLoop]) -> None:
    for held in of_loops.values():
        held.end()
    of_loops.clear()


def _one_faced(wanted: str) -> ConfigurationError:
    missing = "client" if wanted == "blocking" else "async_client"
    return ConfigurationError(
        f"{missing} is needed for the {wanted} methods, only the other face's was given; pass "
        "both client= and async_client=, or a URL, from which both are made"
    )
