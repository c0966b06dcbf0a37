"""What threads say to a Redis server and hear from it, once redis-py has connected and greeted.

Commands are packed and replies read by hiredis, or by what we have in its place, on the socket
itself: no step is taken for a reply but to take it. redis-py's own way costs three times as much.
"""

from __future__ import annotations

import select

import redis

from symphra_cache._redis_replies import NOTHING, Push, packed, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
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

__all__ = ["Connection", "Direct"]

# Bytes that are read at once, at the most.
_READ = 65_536
# Commands that are packed before they are sent, and the bytes up to which that is in one piece.
_TOGETHER = 512
_PIECE = 1 << 20
# A write with a lifetime, whose words are bytes all.
_SET = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n"


def _packed_write(_set: str, name: bytes, text: bytes, _px: str, lifetime: bytes) -> bytes:
    """Return what bulk writes consist of as it travels, at half the price of `packed`."""
    return _SET % (len(name), name, len(text), text, len(lifetime), lifetime)


class Direct(Connection):
    """Mixin for redis-py's blocking connections. For one thread at a time."""

    _replies: Reader
    _poll: Any
    _pending: Any
    _socket_timeout: float

    def begin(self) -> None:
        """Begin to talk on a socket on which nothing is left unread."""
        self._replies = reader(self._parser.parse_error)
        self._pending = getattr(self._sock, "pending", None)
        self._poll = None
        if hasattr(select, "poll"):  # not on Windows
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)

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
