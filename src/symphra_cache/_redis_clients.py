"""The clients of one Redis server: made late, one for the process, one for each event loop.

The blocking client serves all threads. An asyncio client belongs to the loop that made its
connections, so each running loop has its own, closed together with it. After a fork all are
made anew. Clients that the program made itself are used as they are and never closed.
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
    from collections.abc import AsyncGenerator

    import redis
    import redis.asyncio

    from symphra_cache._redis_options import ClientOptions
    from symphra_cache._redis_pools import LoopPool

__all__ = ["Clients", "client_errors", "is_refusal"]


class LoopClient:
    """An asyncio client and the loop that it belongs to."""

    __slots__ = ("client", "closer", "loop", "pool")

    def __init__(
        self, loop: AbstractEventLoop, client: redis.asyncio.Redis, pool: LoopPool
    ) -> None:
        self.loop = weakref.ref(loop)
        self.client = client
        self.pool = pool
        self.closer = _closing_with_its_loop(pool)

    def belongs_to(self, loop: AbstractEventLoop) -> bool:
        """Tell whether this is the client of ``loop`` itself, not of one with the same ``id``."""
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


async def _closing_with_its_loop(pool: LoopPool) -> AsyncGenerator[None, None]:
    """Close the connections when their loop shuts down.

    A loop finishes the asynchronous generators that were begun on it, before it is closed
    (``asyncio.run`` does, Django's ``async_to_sync`` too). That is the one hook that every
    loop offers.
    """
    try:
        yield
    finally:
        await pool.aclose()


class Clients:
    """Hands out the client of the caller's face and loop."""

    def __init__(
        self,
        options: ClientOptions,
        client: redis.Redis | None,
        async_client: redis.asyncio.Redis | None,
    ) -> None:
        self.closed: bool = False
        self._options = options
        self._given = client
        self._given_async = async_client
        self._is_injected = client is not None or async_client is not None
        self._lock = threading.Lock()
        self._blocking: redis.Redis | None = client
        self._of_loops: dict[int, LoopClient] = {}
        fork_aware(self)
        # When nobody uses the backend any more, and at the end of the program.
        weakref.finalize(self, _end_all, self._of_loops)

    def client(self) -> redis.Redis:
        """Return the blocking client of this process.

        Raises:
            ConfigurationError: only a client of the other face was given.
            CacheClosedError: the backend was closed.
        """
        client = self._blocking
        if client is not None and not self.closed:
            return client
        with self._lock:
            if self.closed:
                raise closed_error()
            if self._blocking is None:
                if self._is_injected:
                    raise _one_faced("blocking")
                self._blocking = self._options.blocking_client()
            return self._blocking

    async def aclient(self) -> redis.asyncio.Redis:
        """Return the asyncio client of the running loop.

        Raises:
            ConfigurationError: only a client of the other face was given.
            UnsupportedLoopError: no asyncio loop is running.
            CacheClosedError: the backend was closed.
        """
        if self.closed:
            raise closed_error()
        if self._is_injected:
            if self._given_async is None:
                raise _one_faced("asyncio")
            return self._given_async
        loop = running_loop()
        held = self._of_loops.get(id(loop))
        if held is not None and held.belongs_to(loop):
            return held.client
        return await self._anew(loop)

    async def _anew(self, loop: AbstractEventLoop) -> redis.asyncio.Redis:
        held = LoopClient(loop, *self._options.asyncio_client())
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
        return held.client

    def close(self) -> None:
        """Close the clients that are ours; those of running loops are closed on their loops."""
        blocking, of_loops = self._take_all()
        if blocking is not None:
            blocking.close()
        for held in of_loops:
            held.end()

    async def aclose(self) -> None:
        """Do what `close` does, waiting for the client of the running loop."""
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

    def _take_all(self) -> tuple[redis.Redis | None, list[LoopClient]]:
        with self._lock:
            self.closed = True
            blocking = None if self._is_injected else self._blocking
            self._blocking = None
            of_loops = list(self._of_loops.values())
            self._of_loops.clear()
        return blocking, of_loops

    def before_fork(self) -> None:
        """Keep clients from being made during the fork."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent its connections; clients are made anew when they are used."""
        self._lock = threading.Lock()
        if self._is_injected:
            return  # redis-py's own pools notice the fork
        for held in self._of_loops.values():
            held.disinherit()
        self._of_loops.clear()
        self._blocking = None


def _end_all(of_loops: dict[int, LoopClient]) -> None:
    for held in of_loops.values():
        held.end()
    of_loops.clear()


def client_errors() -> tuple[type[Exception], ...]:
    """Return what redis-py raises; it is loaded by now."""
    from redis.exceptions import RedisClusterException, RedisError

    return RedisError, RedisClusterException, OSError


def is_refusal(error: Exception, code: str) -> bool:
    """Tell whether the server answered with an error of this code, ``"WRONGTYPE"`` say."""
    if code == "NOSCRIPT":
        from redis.exceptions import NoScriptError

        return isinstance(error, NoScriptError)
    return str(error).startswith(code)


def _one_faced(wanted: str) -> ConfigurationError:
    missing = "client" if wanted == "blocking" else "async_client"
    return ConfigurationError(
        f"{missing} is needed for the {wanted} methods, only the other face's was given; pass "
        "both client= and async_client=, or a URL, from which both are made"
    )
