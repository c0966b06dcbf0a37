"""The default serializer: MessagePack, with extension types for what it lacks."""

from __future__ import annotations

from symphra_cache.serializers._base import MESSAGEPACK, BaseSerializer
from symphra_cache.serializers._unstorable import Unstorable, too_deep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_packb: Callable[[object, None, int], bytes]
_unpackb: Callable[[bytes], Any]
_is_plain: Callable[[object], bool]
_to_extended: Callable[[object], bytes]
_from_extended: Callable[[bytes], object]
_OPTION: int
_SUSPECTS: bytes
_TAIL: bytes
_WORD: str


def _load() -> None:
    """Bind the library's functions as globals, the quickest names that there are."""
    global _packb, _unpackb, _is_plain, _OPTION, _SUSPECTS, _TAIL, _WORD
    global _to_extended, _from_extended
    from symphra_cache.serializers import _extended, _native

    _packb, _unpackb = _native.packb, _native.unpackb
    _is_plain = _native.is_plain
    _to_extended, _from_extended = _extended.dumps, _extended.loads
    _OPTION, _SUSPECTS, _TAIL, _WORD = _native.OPTION, _native.SUSPECTS, _native.TAIL, _native.WORD


class MessagePackSerializer(BaseSerializer):
    """Keeps every type exactly, and refuses what it can't keep.

    Stored are ``None``, ``bool``, ``int`` of any size, ``float``, ``complex``, ``str``,
    ``bytes``, ``bytearray``, ``list``, ``tuple``, ``dict`` with any keys of these types,
    ``set``, ``frozenset``, ``datetime``, ``date``, ``time``, ``timedelta``, ``Decimal``,
    ``UUID``, and the enums and dataclasses that were registered, nested to a depth of
    100. Types are taken exactly: a namedtuple or an ``OrderedDict`` is refused, since it
    would come back as something else.

    Args:
        compress: compress payloads with ``"zlib"`` or ``"zstd"`` (needs the extra
            ``symphra-cache[zstd]``). Whatever it is, both are read.
        compress_over: payloads of more bytes than this are compressed, if it helps.

    Raises:
        ConfigurationError: an option is wrong, or zstd is missing.
    """

    __slots__ = ()

    codec = MESSAGEPACK

    # Type checkers would take its signature for that of the constructor.
    if not TYPE_CHECKING:

        def __new__(cls, *_args: object, **_options: object) -> MessagePackSerializer:
            """Load the library; here, since an unpickled instance never sees ``__init__``."""
            _load()
            return super().__new__(cls)

    def dumps(self, value: object) -> bytes:
        """Return the value's payload.

        Raises:
            SerializationError: a part can't be stored; names the path to it.
        """
        try:
            data = _packb(value, None, _OPTION)
        except TypeError:
            return self._dumps_extended(value)
        if len(data) != len(data.translate(None, _SUSPECTS)) and not _is_plain(value):
            return self._dumps_extended(value)
        return data

    def _dumps_extended(self, value: object) -> bytes:
        try:
            return _to_extended(value)
        except Unstorable as error:
            raise error.error(type(self).__name__) from error.__cause__
        except RecursionError as error:
            raise too_deep().error(type(self).__name__) from error

    def loads(self, data: bytes) -> object:
        """Return the value of a payload that may come from anywhere.

        Raises:
            Exception: of any kind, if it is not a whole payload; never runs code of the
                payload's choice, and never takes more memory than the values it names.
        """
        if data[0] == 0xC1:
            return _from_extended(data)
        value, tail = _unpackb(b"".join((b"\x92", data, _TAIL)))
        if tail != _WORD:
            raise ValueError("bytes after the value")
        return value

    def _loads_many(self, payloads: list[bytes]) -> list[object]:
        """Return the values of many payloads; see `loads`.

        Raises:
            Exception: of any kind, if one of them is not a whole payload, or is extended.
        """
        # One list, in which the word stands after each value: none can reach into the next.
        size = (2 * len(payloads)).to_bytes(4, "big")
        items: list[object] = _unpackb(b"".join((b"\xdd", size, _TAIL.join(payloads), _TAIL)))
        if items[1::2] != [_WORD] * len(payloads):
            raise ValueError("bytes after a value")
        return items[::2]
