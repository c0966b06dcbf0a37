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
import threading
import time
from collections import deque
from contextlib import suppress

import redis
import redis.asyncio

from symphra_cache._redis_connections import check_writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphra_cache._redis_breaker import NodeBreaker

__all__ = ["InjectedLoopPool", "InjectedPool", "LoopPool", "ThreadPool"]

# Seconds.
_GRACE = 0.02

_kept: list[object] = []


def _closed() -> redis.ConnectionError:
    return redis.ConnectionError("the pool is closed")


def _check_wait(pool: ThreadPool | LoopPool, seconds: float) -> None:
    """Refuse a caller who has waited for a time-out of others already to wait for another."""
    patience = pool.connection_kwargs.get("socket_timeout")
    # Not the whole: he came a little later than those whom he waited for.
    if pool.breaker.has_failed and patience is not None and seconds > patience / 2:
        raise redis.TimeoutError("Timeout waiting for others, whom the server does not answer")


class _BlockingTalk:
    @staticmethod
    def send(connection: Any, packed: Any) -> None:
        """Send commands that were packed."""
        connection.send_packed_command(packed, check_health=False)

    @staticmethod
    def read_replies(
        connection: Any, count: int, replies: list[Any], *, is_late: bool = False
    ) -> None:
        """Read so many replies; errors that are answers stand among them.

        Args:
            connection: to which as many commands were sent.
            count: how many there must be in the end.
            replies: where they go, so that those are known that came before a failure.
            is_late: whether to wait no longer than it takes to fetch what is there already.
        """
        if is_late:
            connection._sock.settimeout(_GRACE)
        while len(replies) < count:
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        if is_late:
            connection._sock.settimeout(connection.socket_timeout)

    @staticmethod
    def drop(connection: Any) -> None:
        """Disconnect, since what is still to come must reach nobody else."""
        connection.disconnect()


class _LoopTalk:
    @staticmethod
    async def send(connection: Any, packed: Any) -> None:
        """Send commands that were packed."""
        check_writer(connection)
        await connection.send_packed_command(packed, check_health=False)

    @staticmethod
    async def read_replies(
        connection: Any, count: int, replies: list[Any], *, is_late: bool = False
    ) -> None:
        """Read so many replies; see the blocking twin."""
        try:
            async with asyncio.timeout(_GRACE if is_late else None) as limit:
                while len(replies) < count:
                    try:
                        replies.append(await connection.read_response())
                    except redis.ResponseError as error:
                        replies.append(error)
                    if is_late:
                        # Many take their time, though all have come long since.
                        limit.reschedule(asyncio.get_running_loop().time() + _GRACE)
        except TimeoutError:
            raise redis.TimeoutError("Timeout reading: the time of the call is up") from None

    @staticmethod
    async def drop(connection: Any) -> None:
        """Disconnect, since what is still to come must reach nobody else; waits for nothing."""
        await connection.disconnect(nowait=True)


class ThreadPool(_BlockingTalk, redis.ConnectionPool):
    """Connections for which threads queue. Safe to close from any thread.

    Args:
        breaker: the circuit of the server.
        max_connections: how many there are at the most.
        options: redis-py's.
    """

    def __init__(self, breaker: NodeBreaker, *, max_connections: int, **options: Any) -> None:
        self.breaker: NodeBreaker = breaker
        self.is_closed = False
        self._turns = threading.Semaphore(max_connections)
        super().__init__(max_connections=max_connections, **options)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """Lend a connection, waiting for one as long as it takes."""
        begun = 0.0
        if not self._turns.acquire(blocking=False):
            begun = time.monotonic()
            self._turns.acquire()
        try:
            if self.is_closed:
                raise _closed()
            if begun:
                _check_wait(self, time.monotonic() - begun)
            self.breaker.admit()
        except BaseException:
            self._turns.release()
            raise
        try:
            return super().get_connection()  # if it fails, it releases what it took
        except Exception as error:
            self.breaker.failed(error)
            raise

    def make_connection(self) -> Any:
        """Make a connection, or give back the turn that was taken for it."""
        try:
            return super().make_connection()
        except BaseException:
            self._turns.release()
            raise

    def release(self, connection: Any) -> None:
        """Take back a connection."""
        try:
            if self.is_closed:
                connection.disconnect()
            super().release(connection)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close what is not lent now, and the rest when it comes back."""
        self.is_closed = True
        if self.pid == os.getpid():  # else its locks are the parent's, and may be held for ever
            self.disconnect(inuse_connections=False)


class LoopPool(_LoopTalk, redis.asyncio.ConnectionPool):
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

    def make_connection(self) -> Any:
        """Make a connection that shares the context for TLS."""
        connection: Any = super().make_connection()  # type: ignore[no-untyped-call]
        if hasattr(connection, "ssl_context"):
            if not self._tls:
                self._tls.append(connection.ssl_context)
            connection.ssl_context = self._tls[0]
        return connection

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Lend a connection, waiting for one as long as it takes."""
        begun = 0.0 if self.can_get_connection() else time.monotonic()
        connection = await self._next_connection()
        try:
            if self.is_closed:
                raise _closed()
            if begun:
                _check_wait(self, time.monotonic() - begun)
            self.breaker.admit()
            await self._ensured(connection)
            connection.lent = _transport(connection)
        except BaseException:
            await self.release(connection)
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
        """Take back a connection. Waits for nothing, so it can't be cancelled half-way."""
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
        writers = _taken_writers(self._available_connections)
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
        for writer in _taken_writers([*self._available_connections, *lent]):
            if not _close_socket(writer, open_loop) and open_loop is not None:
                writer.transport.abort()  # its loop is about to close everything else

    def disinherit(self) -> None:
        """Close the sockets in a forked child, where they are the parent's, and its loop too.

        That shares an epoll descriptor with the child's, so it is told nothing.
        """
        self.is_closed = True
        writers = _taken_writers([*self._available_connections, *self._in_use_connections])
        # uvloop's must not be collected: their last words would go to the parent's server.
        _kept.extend([writer for writer in writers if not _close_socket(writer, None)])


class _Injected:
    def __init__(self, pool: Any, breaker: NodeBreaker) -> None:
        self.breaker: NodeBreaker = breaker
        self._pool = pool
        self.release: Any = pool.release


class InjectedPool(_BlockingTalk, _Injected):
    """The pool of a blocking client that the program made, behind a circuit breaker.

    Args:
        pool: redis-py's.
        breaker: the circuit of the server.
    """

    def get_connection(self) -> Any:
        """Lend a connection, on the pool's own terms."""
        self.breaker.admit()
        try:
            return self._pool.get_connection()
        except Exception as error:
            self.breaker.failed(error)
            raise


class InjectedLoopPool(_LoopTalk, _Injected):
    """The same for an asyncio client."""

    async def get_connection(self) -> Any:
        """Lend a connection, on the pool's own terms."""
        self.breaker.admit()
        try:
            return await self._pool.get_connection()
        except Exception as error:
            self.breaker.failed(error)
            raise


def _transport(connection: Any) -> Any:
    return getattr(connection._writer, "transport", None)


def _taken_writers(connections: Iterable[Any]) -> list[asyncio.StreamWriter]:
    """Take from the connections what they would close, or warn of, themselves."""
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
