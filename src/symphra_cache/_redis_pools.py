"""The pools of connections: one for threads, one for the tasks of a loop, side by side.

redis-py's own blocking pools won't do. Before Python 3.13, a task that is cancelled just as its
turn comes takes the turn with it there, so that others wait for ever beside free connections.
And closing them pulls connections from under calls that use them, which then raise anything,
or connect anew, for nobody to close. Here a turn is never lost, and what is lent when the pool
is closed is closed when it comes back. And who has waited for his turn hears of an open circuit
then. Loaded with the first operation, together with redis-py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

import redis
import redis.asyncio

from symphra_cache._redis_replies import packed
from symphra_cache._redis_talks import GRACE, BlockingTalk, LoopTalk
from symphra_cache._redis_unsent import mark_unsent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from symphra_cache._redis_breaker import NodeBreaker
    from symphra_cache._redis_connections import Bounded

__all__ = ["LoopPool", "ThreadPool", "closed_pool", "taken_writers"]

_kept: list[object] = []


def closed_pool() -> redis.ConnectionError:
    """Return the error for who comes when it is closed."""
    return redis.ConnectionError("the pool is closed")


def _check_wait(pool: ThreadPool | LoopPool, seconds: float) -> None:
    """Refuse a caller who has waited for a time-out of others already to wait for another."""
    patience = pool.connection_kwargs.get("socket_timeout")
    # Not the whole: he came a little later than those whom he waited for.
    if pool.breaker.has_failed and patience is not None and seconds > patience / 2:
        raise redis.TimeoutError("Timeout waiting for others, whom the server does not answer")


class ThreadPool(BlockingTalk):
    """Connections for which threads queue. Safe to close from any thread.

    Not redis-py's, whose own costs nearly as much as all the rest of a call: what is lent last
    is lent first, and whoever comes has a turn or waits for one. Lists and queues keep
    themselves whole among threads.

    Args:
        breaker: the circuit of the server.
        max_connections: how many there are at the most.
        connection_class: redis-py's, with `Bounded` in front.
        options: of the connections.

    Attributes:
        connection_kwargs: the options.
    """

    def __init__(
        self,
        breaker: NodeBreaker,
        *,
        max_connections: int,
        connection_class: Callable[..., Bounded],
        **options: Any,
    ) -> None:
        self.breaker: NodeBreaker = breaker
        self.is_closed = False
        self.connection_kwargs: dict[str, Any] = options
        self._connection_class = connection_class
        self._most = max_connections
        self._begin()

    def _begin(self) -> None:
        """Begin without a connection, in the process that this is."""
        self._pid = os.getpid()
        self._idle: deque[Bounded] = deque()
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._most):
            self._turns.put(None)

    def get_connection(self) -> Bounded:
        """Lend a connection, waiting for one as long as it takes; an error is marked as unsent."""
        # Hot path.
        if self._pid != os.getpid():
            self._begin()
        begun = 0.0
        try:
            self._turns.get_nowait()
        except Empty:
            begun = time.monotonic()
            self._turns.get()
        try:
            if self.is_closed:
                raise closed_pool()
            if begun:
                _check_wait(self, time.monotonic() - begun)
            self.breaker.admit()
            connection = self._taken()
        except BaseException as error:
            self._turns.put(None)
            mark_unsent(error)
            raise
        if not connection.is_ready:
            self._make_ready(connection)
        return connection

    def _taken(self) -> Bounded:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connection_class(**self.connection_kwargs)

    def _make_ready(self, connection: Bounded) -> None:
        try:
            connection.make_ready()
        except BaseException as error:
            self.breaker.failed(error)
            connection.disconnect()
            self.release(connection)
            mark_unsent(error)
            raise

    def exchange(self, *command: Any) -> Any:
        """Send one command; return the reply, or raise it if it is an error."""
        # Hot path.
        connection = self.get_connection()
        try:
            reply = connection.ask(packed(command))
        except BaseException as error:
            self.note(connection, error)
            raise
        else:
            self.breaker.succeeded()
            return reply
        finally:
            self.release(connection)

    @staticmethod
    def read_replies(
        connection: Bounded, count: int, replies: list[Any], *, is_late: bool = False
    ) -> None:
        """Read so many replies; see `BlockingTalk.read_replies`."""
        connection.read_replies(count, replies, GRACE if is_late else None)

    @property
    def is_lending(self) -> bool:
        """Whether somebody has a connection now."""
        return self._turns.qsize() < self._most

    def release(self, connection: Bounded) -> None:
        """Take back a connection."""
        # First, so that either who closes the pool finds it there, or we find the pool closed.
        self._idle.append(connection)
        if self.is_closed:
            self.disconnect_idle()
        self._turns.put(None)

    def disconnect_idle(self) -> None:
        """Disconnect what is not lent now."""
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()

    def close(self) -> None:
        """Close what is not lent now, and the rest when it comes back."""
        self.is_closed = True
        if self._pid == os.getpid():
            self.disconnect_idle()


class LoopPool(LoopTalk, redis.asyncio.ConnectionPool):
    """Connections for which the tasks of one loop queue: first come, first served.

    Args:
        breaker: the circuit of the server.
        tls: where the context for TLS is kept, for all loops. To make one takes so long that
            connecting would run into its time-out if each connection made its own.
        options: redis-py's.
    """

    def __init__(self, breaker: NodeBreaker, tls: list[Any], **options: Any) -> None:
        super().__init__(**options)
        self.breaker: NodeBreaker = breaker
        self.is_closed = False
        self._tls = tls
        self._waiting: deque[asyncio.Future[Any]] = deque()

    @property
    def is_lending(self) -> bool:
        """Whether somebody has a connection now."""
        return bool(self._in_use_connections)

    def make_connection(self) -> Any:
        """Make a connection that shares the context for TLS."""
        connection: Any = super().make_connection()  # type: ignore[no-untyped-call]
        if hasattr(connection, "ssl_context"):
            if not self._tls:
                self._tls.append(connection.ssl_context)
            connection.ssl_context = self._tls[0]
        return connection

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Lend a connection for one call."""
        return await self.lend()

    async def lend(self, *, is_admitted: bool = False) -> Any:
        """Lend a connection, waiting for one as long as it takes.

        Args:
            is_admitted: whether the circuit has let the call through already.
        """
        begun = 0.0 if self.can_get_connection() else time.monotonic()
        connection = await self._next_connection()
        try:
            if self.is_closed:
                raise closed_pool()
            if begun:
                _check_wait(self, time.monotonic() - begun)
            if not is_admitted:
                self.breaker.admit()
            await self._ensured(connection)
            connection.lent = _transport(connection)
        except BaseException:
            await self.take_back(connection)
            raise
        return connection

    async def _ensured(self, connection: Any) -> None:
        try:
            await self.ensure_connection(connection)
        except Exception as error:
            self.breaker.failed(error)
            raise

    async def _next_connection(self) -> Any:
        if self.can_get_connection():
            return self.get_available_connection()  # type: ignore[no-untyped-call]
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on(turn.result())
            raise

    async def release(self, connection: Any) -> None:
        """Take back what `get_connection` has lent."""
        await self.take_back(connection)

    async def take_back(self, connection: Any) -> None:
        """Take back what `lend` has lent. Waits for nothing, so it can't be cancelled half-way."""
        transport = connection.__dict__.pop("lent", None)
        if self.is_closed and connection.is_connected:
            await connection.disconnect(nowait=True)
        if transport is not None and not connection.is_connected:
            # Closed after a time-out, say: it must not go on sending what it holds.
            transport.abort()
        self._hand_on(connection)

    def _hand_on(self, connection: Any) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        self._in_use_connections.discard(connection)
        self._available_connections.append(connection)

    def close(self) -> list[asyncio.StreamWriter]:
        """Close what is not lent now, and the rest when it comes back; on the pool's loop.

        Sends nothing.

        Returns:
            What the loop has yet to finish with.
        """
        self.is_closed = True
        writers = taken_writers(self._available_connections)
        for writer in writers:
            writer.transport.abort()
        return writers

    async def aclose(self) -> None:
        """Close what is not lent now, and wait until it is closed."""
        for writer in self.close():
            with suppress(OSError):
                await writer.wait_closed()

    def leave(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Close what is not lent now without the help of a loop that stands still, or ended.

        Args:
            loop: the pool's loop, ``None`` if it is gone.
        """
        self.is_closed = True
        open_loop = None if loop is None or loop.is_closed() else loop
        lent = () if open_loop else self._in_use_connections
        for writer in taken_writers([*self._available_connections, *lent]):
            if not _close_socket(writer, open_loop) and open_loop is not None:
                writer.transport.abort()  # its loop is about to close everything else

    def disinherit(self) -> None:
        """Close the sockets in a forked child, where they are the parent's, and its loop too.

        That shares an epoll descriptor with the child's, so it is told nothing.
        """
        self.is_closed = True
        writers = taken_writers([*self._available_connections, *self._in_use_connections])
        # uvloop's must not be collected: their last words would go to the parent's server.
        _kept.extend([writer for writer in writers if not _close_socket(writer, None)])


def _transport(connection: Any) -> Any:
    return getattr(connection._writer, "transport", None)


def taken_writers(connections: Iterable[Any]) -> list[asyncio.StreamWriter]:
    """Take from connections what they would close, or warn of, themselves."""
    connections = [*connections]
    asking = [getattr(connection, "asking", None) for connection in connections]
    connections += filter(None, asking)  # those to sentinels, which are in no pool
    writers = [connection._writer for connection in connections]
    for connection in connections:
        connection._writer = connection._reader = None
    return [writer for writer in writers if writer is not None]


def _close_socket(writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop | None) -> bool:
    """Close what is under a writer, at once; tell whether that was possible.

    asyncio has no public way to do this. uvloop has none at all: it closes its transports when
    it is closed itself.
    """
    transport: Any = writer.transport
    while (inner := getattr(transport, "_ssl_protocol", None)) is not None:
        transport._closed = True  # else it warns that nobody closed it
        transport = inner._transport
    sock = getattr(transport, "_sock", None)
    if sock is None:
        return False
    transport._closing = True
    transport._sock = None
    if loop is not None:
        loop.remove_reader(sock)
    sock.close()
    return True
