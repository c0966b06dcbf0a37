"""The connections to Redis servers: redis-py's, each connected within one time-out as a whole.

redis-py bounds the parts: each address that a name has, the agreement on TLS and each answer
while the two greet each other may take a time-out of its own. Here all of them share
``socket_connect_timeout``, and no answer may take longer than ``socket_timeout`` either. What
has no bound on the blocking face is the look-up of a name, which is the system's. Both faces
side by side; loaded with the first operation, together with redis-py.
"""

from __future__ import annotations

import asyncio
import select
import time

import redis
import redis.asyncio

from symphra_cache._redis_replies import NOTHING, Push, packed, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence
    from typing import Any

    from symphra_cache._redis_replies import Reader

    class Connection:
        """What redis-py's connections have, of either face, as far as it is used here."""

        host: str
        port: int
        is_connected: bool
        ssl_context: Any
        _parser: Any
        _reader: Any
        _sock: Any
        _writer: Any

        def __init__(self, **options: Any) -> None: ...
        def connect(self) -> Any: ...
        def connect_check_health(self, *arguments: Any, **named: Any) -> Any: ...
        def _connect(self) -> Any: ...
        def on_connect_check_health(self, *arguments: Any, **named: Any) -> Any: ...
        def send_command(self, *arguments: Any, **named: Any) -> Any: ...
        def _send_packed_command(self, command: Any) -> Any: ...
        def read_response(self, *arguments: Any, **named: Any) -> Any: ...
        def disconnect(self, *arguments: Any, **named: Any) -> Any: ...
        def can_read(self, *arguments: Any, **named: Any) -> Any: ...
        def _host_error(self) -> str: ...

else:
    Connection = object

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
# Bytes that are read at once, at the most.
_READ = 65_536
# Commands that are packed before they are sent, and the bytes up to which that is in one piece.
_TOGETHER = 512
# A write with a lifetime, whose words are bytes all.
_SET = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n"
_PIECE = 1 << 20


def _packed_write(_set: str, name: bytes, text: bytes, _px: str, lifetime: bytes) -> bytes:
    """Return what bulk writes consist of as it travels, at half the price of `packed`."""
    return _SET % (len(name), name, len(text), text, len(lifetime), lifetime)


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


class Bounded(Connection):
    """Mixin for redis-py's blocking connections. For one thread at a time.

    redis-py connects and greets. Then commands and replies travel by what is here, at a third
    of the price: packed and read by hiredis (or ours) on the socket itself, with no step for each
    reply but its being taken.
    """

    _replies: Reader
    _poll: Any
    _pending: Any
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
        self._replies = reader(self._parser.parse_error)
        self._pending = getattr(sock, "pending", None)
        self._poll = None
        if hasattr(select, "poll"):  # not on Windows
            self._poll = select.poll()
            self._poll.register(sock, select.POLLIN)

    def disconnect(self, *arguments: Any, nowait: bool = False, **named: Any) -> None:
        """Close it. There is nothing to wait for; redis-py 6 takes no such word."""
        super().disconnect(*arguments, **named)

    def _complete(self) -> None:
        """Do what else belongs to connecting, after the greeting."""

    @property
    def is_suspect(self) -> bool:
        """Whether the server may not be the right one any more; see `_redis_sentinel`."""
        return False

    def suspect(self) -> None:
        """Note that the server may not be the right one any more; see `_redis_sentinel`."""

    def note(self, error: Exception) -> None:
        """Note how a command ended; see `_redis_sentinel`."""

    @property
    def is_ready(self) -> bool:
        """Whether it is connected, open, and nothing has come that nobody asked for."""
        # Hot path. Whatever can be read, it is either that or the end.
        if self._sock is None or self.is_suspect or self._replies.has_data():
            return False
        if self._poll is None:
            return not self.can_read()
        return not (self._poll.poll(0) or (self._pending is not None and self._pending()))

    def make_ready(self) -> None:
        """Connect if there is no connection, or if the one that there is can't be used.

        Raises:
            redis.RedisError: the server can't be reached.
        """
        if self._sock is not None:
            self.disconnect()
        self.connect()
        if not self.is_ready:
            raise redis.ConnectionError("Connection not ready")

    def pack_command(self, *command: Any) -> list[bytes]:
        """Return a command as it travels."""
        return [packed(command)]

    def pack_commands(self, commands: Sequence[Sequence[Any]]) -> Iterator[bytes]:
        """Yield commands as they travel, many in one piece unless they are large."""
        for at in range(0, len(commands), _TOGETHER):
            texts = [
                _packed_write(*command)
                if len(command) == 5 and command[0] == "SET"
                else packed(tuple(command))
                for command in commands[at : at + _TOGETHER]
            ]
            if sum(map(len, texts)) > _PIECE:
                yield from texts
            else:
                yield b"".join(texts)

    def ask(self, text: bytes) -> Any:
        """Send a packed command; return the reply, or raise it if it is an error."""
        # Hot path.
        try:
            self._sock.sendall(text)
        except BaseException as error:
            self._fail(error, "writing to")
            raise
        gets = self._replies.gets
        try:
            while (reply := gets()) is NOTHING or type(reply) is Push:
                if reply is NOTHING:
                    self._receive()
        except BaseException as error:
            self._fail(error)
            raise
        if isinstance(reply, Exception):
            self._note_answer(reply)
            try:
                raise reply
            finally:
                del reply  # else the error holds this frame, and the frame the error
        return reply

    def read_replies(self, count: int, replies: list[Any], seconds: float | None) -> None:
        """Read replies; errors that are answers stand among them.

        Args:
            count: how many there must be in the end.
            replies: where they go.
            seconds: how long to wait for what comes next, ``None`` for as long as always.
        """
        # Hot path.
        gets, add = self._replies.gets, replies.append
        try:
            if seconds is not None:
                self._sock.settimeout(seconds)
            while len(replies) < count:
                reply = gets()
                if reply is NOTHING:
                    self._receive()
                elif type(reply) is not Push:
                    if isinstance(reply, Exception):
                        self._note_answer(reply)
                    add(reply)
            if seconds is not None:
                self._sock.settimeout(self._socket_timeout)
        except BaseException as error:
            self._fail(error)
            raise

    def _receive(self) -> None:
        data = self._sock.recv(_READ)
        if not data:
            raise redis.ConnectionError("Connection closed by server.")
        self._replies.feed(data)

    def _note_answer(self, error: Exception) -> None:
        """Note an error that the server has sent; raise it if it refuses the connection itself."""
        self.note(error)
        if isinstance(error, redis.ConnectionError):
            self.disconnect()
            raise error

    def _fail(self, error: BaseException, doing: str = "reading from") -> None:
        """Disconnect, lest somebody else gets what is still to come; raise redis-py's error."""
        self.disconnect()
        found = error
        if isinstance(error, TimeoutError):
            found = redis.TimeoutError(f"Timeout {doing} {self._host_error()}")
        elif isinstance(error, OSError):
            found = redis.ConnectionError(f"Error while {doing} {self._host_error()}: {error}")
        elif isinstance(error, (ValueError, IndexError)):
            found = redis.InvalidResponse("the server's replies make no sense")
        if isinstance(found, Exception):
            self.note(found)
        if found is not error:
            raise found


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
