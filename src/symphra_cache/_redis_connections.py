"""The connections to Redis servers: redis-py's, each connected within one time-out as a whole.

redis-py bounds the parts: each address that a name has, the agreement on TLS and each answer
while the two greet each other may take a time-out of its own. Here all of them share
``socket_connect_timeout``, and no answer may take longer than ``socket_timeout`` either. What
has no bound on the blocking face is the look-up of a name, which is the system's. Both faces
side by side; loaded with the first operation, together with redis-py.
"""

from __future__ import annotations

import asyncio
import time

import redis
import redis.asyncio

from symphra_cache._redis_direct import Connection, Direct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

__all__ = [
    "ASYNCIO",
    "BLOCKING",
    "AsyncBounded",
    "Bounded",
    "Connection",
    "check_writer",
    "composed",
]

# Seconds. A socket with a time-out of 0 would not wait at all, nor say that time is up.
_SHORTEST = 0.001


def _too_long() -> redis.TimeoutError:
    return redis.TimeoutError("Timeout connecting to server")


class _Hurried:
    """A socket whose steps share one deadline, however many they are.

    Args:
        sock: the socket.
        until: the deadline.
        longest: seconds that a single step may take.
    """

    def __init__(self, sock: socket.socket, until: float, longest: float) -> None:
        self._sock = sock
        self._until = until
        self._longest = longest

    def recv_into(self, *arguments: Any) -> int:
        """Receive, within what is left of the time."""
        return self._in_time().recv_into(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        """Receive, within what is left of the time."""
        return self._in_time().recv(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Send, within what is left of the time."""
        self._in_time().sendall(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _in_time(self) -> socket.socket:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(max(left, _SHORTEST), self._longest))
        return self._sock


class Bounded(Direct):
    """Mixin for redis-py's blocking connections. For one thread at a time."""

    # When connecting has to be done, ``None`` while it is not under way.
    _until: float | None = None
    # Where redis-py 8 keeps them too, behind properties of its own.
    _socket_connect_timeout: float
    _socket_timeout: float

    @property
    def socket_connect_timeout(self) -> float:
        """Seconds that connecting may take; while it is under way, those that are left."""
        return self._left(self._socket_connect_timeout)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: float) -> None:
        self._socket_connect_timeout = seconds

    @property
    def socket_timeout(self) -> float:
        """Seconds that an answer may take; while connecting is under way, those that are left."""
        return self._left(self._socket_timeout)

    @socket_timeout.setter
    def socket_timeout(self, seconds: float) -> None:
        self._socket_timeout = seconds

    def _left(self, seconds: float) -> float:
        if self._until is None:
            return seconds
        return max(self._until - time.monotonic(), _SHORTEST)

    def connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Connect, unless that has been done, and greet the server."""
        if self._sock:
            return
        self._until = time.monotonic() + self._socket_connect_timeout
        try:
            super().connect_check_health(*arguments, **named)
        finally:
            self._until = None

    def on_connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Greet the server, in the time that is left."""
        sock, until = self._sock, self._until
        if until is None:  # called from elsewhere, for a socket that is not new
            super().on_connect_check_health(*arguments, **named)
            return
        self._sock = _Hurried(sock, until, self._socket_timeout)
        super().on_connect_check_health(*arguments, **named)
        self._complete()
        sock.settimeout(self._socket_timeout)
        self._until, self._sock = None, sock
        # Nothing is left unread, so it loses nothing when it begins anew, on the socket itself.
        self._parser.on_connect(self)
        self.begin()

    def disconnect(self, *arguments: Any, nowait: bool = False, **named: Any) -> None:
        """Close it. There is nothing to wait for; redis-py 6 takes no such word."""
        super().disconnect(*arguments, **named)

    def _complete(self) -> None:
        """Do what else belongs to connecting, after the greeting."""


def check_writer(connection: Any) -> None:
    """Fail if a connection of a loop is lost, which its transport may not say any more.

    Since Python 3.12 ``writelines`` of a transport that has ended is an `AttributeError`.

    Raises:
        ConnectionResetError: it is.
    """
    writer = connection._writer
    if writer is not None and writer.transport.is_closing():
        raise ConnectionResetError("Connection lost")


class AsyncBounded(Connection):
    """Mixin for redis-py's connections of a loop. For one task at a time."""

    # When connecting has to be done, by the clock of the loop.
    _until: float
    socket_connect_timeout: float

    async def connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Connect, unless that has been done, and greet the server."""
        if self.is_connected:
            return
        self._until = asyncio.get_running_loop().time() + self.socket_connect_timeout
        try:
            async with asyncio.timeout_at(self._until):
                await super().connect_check_health(*arguments, **named)
        except TimeoutError:
            raise _too_long() from None

    async def _send_packed_command(self, command: Any) -> None:
        check_writer(self)
        await super()._send_packed_command(command)

    async def on_connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Greet the server, in the time that is left."""
        transport = self._writer.transport
        try:
            await super().on_connect_check_health(*arguments, **named)
            await self._complete()
        except BaseException:
            # At once, whatever else is to be said: redis-py may leave it open, or waits for it.
            transport.abort()
            await self.disconnect(nowait=True)
            raise

    async def _complete(self) -> None:
        """Do what else belongs to connecting, after the greeting."""

    @property
    def is_suspect(self) -> bool:
        """Whether the server may not be the right one any more; see `_redis_sentinel`."""
        return False

    def suspect(self) -> None:
        """Note that the server may not be the right one any more; see `_redis_sentinel`."""

    def note(self, error: Exception) -> None:
        """Note how a command ended that was not read here; see `_redis_sentinel`."""


class _AsyncBoundedOnce(AsyncBounded):
    """Mixin for the connection by a unix socket, which greets the server twice in redis-py."""

    async def on_connect(self) -> None:
        """Do nothing, for `connect_check_health` is about to do it."""


def composed(mixin: type, base: type, **attributes: Any) -> type:
    """Return one of redis-py's classes with a mixin in front."""
    return type(f"{mixin.__name__}{base.__name__}", (mixin, base), attributes)


BLOCKING: dict[str, type] = {
    "tcp": composed(Bounded, redis.Connection),
    "tls": composed(Bounded, redis.SSLConnection),
    "unix": composed(Bounded, redis.UnixDomainSocketConnection),
}
ASYNCIO: dict[str, type] = {
    "tcp": composed(AsyncBounded, redis.asyncio.Connection),
    "tls": composed(AsyncBounded, redis.asyncio.SSLConnection),
    "unix": composed(_AsyncBoundedOnce, redis.asyncio.UnixDomainSocketConnection),
}
"""The classes of either face, by the way to the server."""
