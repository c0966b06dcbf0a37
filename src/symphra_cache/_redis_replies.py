"""Redis's protocol, for both faces: commands as bytes, and bytes as replies.

By hiredis where it is installed, else by what is here. redis-py's own parsers for loops wait for
each reply in a coroutine; these are fed with what has come, and give the replies that are whole.
"""

from __future__ import annotations

from redis.exceptions import InvalidResponse
from redis.utils import HIREDIS_AVAILABLE

if HIREDIS_AVAILABLE:
    import hiredis
else:
    hiredis = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any, Protocol

    class Reader(Protocol):
        """What both readers have."""

        def feed(self, data: bytes) -> object:
            """Take what has come."""

        def gets(self) -> Any:
            """Return the next reply, an error as the exception; `NOTHING` if none is whole."""

        def has_data(self) -> bool:
            """Tell whether something has come that was not given."""


__all__ = ["NOTHING", "Push", "PythonReader", "packed", "packed_in_python", "reader"]

NOTHING = object()
"""What a reader gives when there is no whole reply."""

# Keeps a line from being moved again and again in memory, piece by piece.
_COMPACT = 65_536


class PythonPush(list[object]):
    """What a server sends without being asked."""


def packed_in_python(command: Sequence[Any]) -> bytes:
    """Return a command as it travels; its words are bytes, text or numbers."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        text = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


class PythonReader:
    """Reads replies of both versions of the protocol.

    Args:
        error: makes the exception for an error from its text.
    """

    def __init__(self, error: Callable[[str], Exception]) -> None:
        self._error = error
        self._data = bytearray()
        self._at = 0
        # Bytes that must be there before it makes sense to go on.
        self._wanted = 0
        self._reading = self._replies()

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self._at > _COMPACT:
            del self._data[: self._at]
            self._wanted -= self._at
            self._at = 0
        self._data += data

    def gets(self) -> Any:
        """Return the next reply, an error as the exception; `NOTHING` if none is whole."""
        if len(self._data) < self._wanted:
            return NOTHING
        return next(self._reading)

    def has_data(self) -> bool:
        """Tell whether something has come that was not given."""
        return self._at < len(self._data)

    def _replies(self) -> Generator[Any, None, None]:
        while True:
            reply = yield from self._reply()
            yield reply

    def _line(self) -> Generator[Any, None, bytes]:
        looked = self._at
        while (end := self._data.find(b"\r\n", looked)) < 0:
            ahead = len(self._data) - self._at
            self._wanted = len(self._data) + 1
            yield NOTHING
            looked = self._at + max(ahead - 1, 0)
        line = bytes(self._data[self._at : end])
        self._at = end + 2
        self._wanted = 0
        return line

    def _bulk(self, size: int) -> Generator[Any, None, bytes]:
        while len(self._data) < self._at + size + 2:
            self._wanted = self._at + size + 2
            yield NOTHING
        text = bytes(self._data[self._at : self._at + size])
        self._at += size + 2
        self._wanted = 0
        return text

    def _reply(self) -> Generator[Any, None, Any]:
        line = yield from self._line()
        kind, rest = line[:1], line[1:]
        if kind in (b"$", b"=", b"!"):
            return (yield from self._text(kind, _size(rest)))
        if kind in (b"*", b"~", b">", b"%", b"|"):
            return (yield from self._several(kind, _size(rest)))
        return self._simple(kind, rest)

    def _text(self, kind: bytes, size: int) -> Generator[Any, None, Any]:
        if size < 0:
            return None
        text = yield from self._bulk(size)
        if kind == b"!":
            return self._error(text.decode(errors="replace"))
        return text[4:] if kind == b"=" else text

    def _several(self, kind: bytes, count: int) -> Generator[Any, None, Any]:
        if count < 0:
            return None
        found: list[Any] = []
        for _ in range(count * 2 if kind in (b"%", b"|") else count):
            part = yield from self._reply()
            found.append(part)
        if kind == b">":
            return PythonPush(found)
        if kind == b"|":  # says something of the reply that follows
            return (yield from self._reply())
        return dict(zip(found[::2], found[1::2], strict=True)) if kind == b"%" else found

    def _simple(self, kind: bytes, rest: bytes) -> Any:
        match kind:
            case b"+":
                return rest
            case b"-":
                return self._error(rest.decode(errors="replace"))
            case b":" | b"(":
                return int(rest)
            case b"_":
                return None
            case b"#":
                return rest == b"t"
            case b",":
                return float(rest)
        raise InvalidResponse(f"Protocol Error: {kind!r}")


def _size(text: bytes) -> int:
    size = int(text)
    if size < -1:  # which stands for nothing at all
        raise InvalidResponse(f"Protocol Error: a size of {size}")
    return size


def _python_reader(error: Callable[[str], Exception]) -> Reader:
    return PythonReader(error)


def _hiredis_reader(error: Callable[[str], Exception]) -> Reader:
    made: Reader = hiredis.Reader(
        protocolError=InvalidResponse, replyError=error, notEnoughData=NOTHING
    )
    return made


packed: Callable[[Any], bytes] = packed_in_python if hiredis is None else hiredis.pack_command
"""Returns a command, a tuple of words, as it travels."""

reader: Callable[[Callable[[str], Exception]], Reader] = (
    _python_reader if hiredis is None else _hiredis_reader
)
"""Makes a reader; see `PythonReader`."""

Push: type[list[Any]] = getattr(hiredis, "PushNotification", PythonPush)
"""The type of what a server sends without being asked."""
