"""The frame around every value in a file or on a Redis server, version 1.

A fixed header, a block of tags, the payload, and a checksum or signature over all of it
and the name under which it is stored. Bytes come from outside and are believed only
after every field has been checked; limits hold before any work is done. No absolute time
stands in a frame. Byte by byte: docs/en/format.md.
"""

from __future__ import annotations

import os
from struct import Struct, iter_unpack
from typing import NamedTuple
from zlib import crc32

from symphra_cache.exceptions import (
    CacheError,
    ConfigurationError,
    SerializationError,
    ValueTooLargeError,
)
from symphra_cache.serializers import _base, _compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from symphra_cache.serializers import Serializer

    Tags: TypeAlias = Iterable[tuple[str, int]]  # names with their generations

__all__ = [
    "HEADER_SIZE",
    "MAX_VALUE_BYTES",
    "MAX_WINDOW_MS",
    "NONCE_SIZE",
    "CorruptFrameError",
    "FrameCodec",
    "Header",
    "LeaseFrameError",
    "new_nonce",
    "read_header",
    "read_tags",
]

MAX_VALUE_BYTES = 64 * 1024 * 1024
MAX_WINDOW_MS = 200 * 366 * 86_400_000  # 200 years
NONCE_SIZE = 8

_MAGIC = b"\xf5S"  # f5 occurs in no UTF-8 text, so no frame is ever taken for a number
_VERSION = 1
_VALUE, _LEASE = 1, 2
_ZLIB, _ZSTD, _SIGNED = 1, 2, 4
_ALL_FLAGS = _ZLIB | _ZSTD | _SIGNED
_MAX_U32 = 2**32 - 1
_MAX_CODEC = 255
_MIN_TAG_SIZE = 2 + 1 + 8  # length, a name of one byte, generation
_MAX_TAG_SIZE = 2 + 65_535 + 8

_HEADER = Struct(">2sBBBBHQI8sIII")
_write_header = Struct(">6sHQI8sIII").pack  # magic to flags as one field: they seldom change
_read_lengths = Struct(">6xHQ12xIII").unpack_from  # those fields that a plain read needs
_TAG_NAME = Struct(">H")
_TAG_GENERATION = Struct(">Q")
HEADER_SIZE = _HEADER.size  # 40
_CHECKSUM_SIZE = 4
_SIGNATURE_SIZE = 32
_LEAST_SIZE = HEADER_SIZE + _CHECKSUM_SIZE
# CRC-32 of anything that ends with its own CRC-32, little-endian. So a frame is verified as
# it is, without cutting off the checksum first.
_RESIDUE = 0x2144DF1C


class CorruptFrameError(Exception):
    """These bytes are no frame that this cache can read; whatever is wrong with them."""


class LeaseFrameError(CorruptFrameError):
    """A whole frame, but a lease: somebody is loading the value. A miss, and not corrupt."""


class Header(NamedTuple):
    """The fixed part of a frame, every field checked, nothing else of the frame seen."""

    codec: int
    kind: int
    flags: int
    tag_count: int
    window_ms: int
    cost_us: int
    nonce: bytes
    tags_size: int
    payload_size: int
    raw_size: int

    @property
    def is_lease(self) -> bool:
        """Whether a load in progress left this; its nonce is the token."""
        return self.kind == _LEASE

    @property
    def is_signed(self) -> bool:
        """Whether a signature stands in place of the checksum."""
        return bool(self.flags & _SIGNED)

    @property
    def frame_size(self) -> int:
        """The size of the whole frame."""
        trailer = _SIGNATURE_SIZE if self.flags & _SIGNED else _CHECKSUM_SIZE
        return HEADER_SIZE + self.tags_size + self.payload_size + trailer


def read_header(data: bytes) -> Header:
    """Parse and check a header; `data` is a frame or at least its first `HEADER_SIZE` bytes.

    Raises:
        CorruptFrameError: a field has a value that no writer of this version gives it.
    """
    try:
        magic, version, *fields = _HEADER.unpack_from(data)
    except Exception as error:  # too short, or not bytes at all: SQLite and Redis hold any type
        raise CorruptFrameError("not a header") from error
    if magic != _MAGIC or version != _VERSION:
        raise CorruptFrameError("not a frame of this version")
    header = Header._make(fields)
    if not _is_sound(header):
        raise CorruptFrameError("a header that contradicts itself")
    return header


def _is_sound(header: Header) -> bool:
    (codec, kind, flags, count, window, cost, _, tags, size, raw) = header
    compression = flags & (_ZLIB | _ZSTD)
    return (
        codec != 0
        and flags <= _ALL_FLAGS
        and window <= MAX_WINDOW_MS
        and _MIN_TAG_SIZE * count <= tags <= _MAX_TAG_SIZE * count
        # A pickle must be signed before anybody thinks of reading it.
        and bool(flags & _SIGNED or codec != _base.PICKLE)
        and compression != _ZLIB | _ZSTD
        and (0 < size < raw if compression else size == raw)
        and (kind == _VALUE or (kind == _LEASE and not (size or compression or window or cost)))
    )


def read_tags(data: bytes, header: Header) -> tuple[tuple[str, int], ...]:
    """Return a frame's tags with their generations.

    Args:
        data: a frame, or at least its first `HEADER_SIZE` + `header.tags_size` bytes.
        header: its header.

    Raises:
        CorruptFrameError: the block of tags is malformed.
    """
    end = HEADER_SIZE + header.tags_size
    position = HEADER_SIZE
    tags = []
    try:
        for _ in range(header.tag_count):
            (length,) = _TAG_NAME.unpack_from(data, position)
            position += _TAG_NAME.size
            name = data[position : position + length].decode()
            position += length
            (generation,) = _TAG_GENERATION.unpack_from(data, position)
            position += _TAG_GENERATION.size
            tags.append((name, generation))
    except Exception as error:
        raise CorruptFrameError("malformed tags") from error
    if position != end or len(data) < end or not all(name for name, _ in tags):
        raise CorruptFrameError("malformed tags")
    return tuple(tags)


def _write_tags(tags: Tags) -> tuple[int, bytes]:
    parts: list[bytes] = []
    for name, generation in tags:
        encoded = name.encode()
        parts += (
            _TAG_NAME.pack(len(encoded)),
            encoded,
            _TAG_GENERATION.pack(generation),
        )
    return len(parts) // 3, b"".join(parts)


# Random numbers from the system, drawn in batches: one alone costs 0.3 µs. Safe from any
# thread, since taking one off is a single step.
_nonces = iter_unpack(f"{NONCE_SIZE}s", b"")


def _refill_nonces() -> None:
    global _nonces
    _nonces = iter_unpack(f"{NONCE_SIZE}s", os.urandom(64 * NONCE_SIZE))


if hasattr(os, "register_at_fork"):  # a child must not hand out what its parent holds
    os.register_at_fork(after_in_child=_refill_nonces)


def new_nonce() -> bytes:
    """Return 8 random bytes, for a frame's nonce or a lease's token."""
    nonce: bytes
    while True:
        for (nonce,) in _nonces:
            return nonce
        _refill_nonces()


class FrameCodec:
    """Writes and reads frames for one serializer; safe to share, nothing in it changes.

    Args:
        serializer: gives payloads; only frames of its codec are ever read.
        max_value_bytes: the largest payload, before compression, in both directions.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    __slots__ = (
        "_codec",
        "_compress",
        "_dumps",
        "_flags",
        "_label",
        "_loads",
        "_max",
        "_plain",
        "_sign",
        "_start",
        "_verify",
        "_worth_a_look",
    )

    def __init__(self, serializer: Serializer, max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        if type(max_value_bytes) is not int or not 0 < max_value_bytes <= _MAX_U32:
            raise ConfigurationError(
                f"max_value_bytes must be a number of bytes, an int from 1 to {_MAX_U32}, "
                f"not {max_value_bytes!r:.60}"
            )
        self._codec = _checked_codec(serializer)
        self._label = type(serializer).__name__
        self._dumps, self._loads = serializer.dumps, serializer.loads
        self._max = max_value_bytes
        self._sign: Callable[[bytes, bytes], bytes] | None = getattr(serializer, "_sign", None)
        self._verify: Callable[[bytes, bytes, bytes], bool] | None = getattr(
            serializer, "_verify", None
        )
        self._flags = 0 if self._sign is None else _SIGNED
        self._compress = _COMPRESSIONS[getattr(serializer, "compress", None)]
        # Up to this size a payload is neither too large nor to be compressed.
        self._worth_a_look = max_value_bytes
        if self._compress is not None:
            self._worth_a_look = min(max_value_bytes, getattr(serializer, "compress_over", 0))
        # How nearly all frames begin: the part of the header that does not change.
        self._start = bytes((*_MAGIC, _VERSION, self._codec, _VALUE, self._flags))
        self._plain = self._start if self._sign is None else None

    def encode(
        self,
        name: bytes,
        value: object,
        *,
        window_ms: int = 0,
        cost_us: int = 0,
        tags: Tags = (),
        nonce: bytes | None = None,
    ) -> bytes:
        """Return the frame of a value.

        Args:
            name: the name under which it will be stored.
            value: what to store.
            window_ms: how long after its expiry it may still be served.
            cost_us: how long it took to load; more than 71 minutes count as 71.
            tags: (tag, generation) pairs.
            nonce: 8 bytes that tell this write from any other; random if not given.

        Raises:
            SerializationError: the serializer can't represent the value.
            ValueTooLargeError: it is larger than ``max_value_bytes``.
        """
        try:
            payload = self._dumps(value)
        except (CacheError, MemoryError):
            raise
        except Exception as error:
            raise SerializationError(
                f"value: {type(value).__qualname__} can't be stored by {self._label}; {error}"
            ) from error
        size = len(payload)
        if tags or window_ms or cost_us or nonce or size > self._worth_a_look:
            return self._encoded(name, payload, window_ms, cost_us, tags, nonce)
        # Nearly all frames: the same as the long way makes, at half its price.
        head = _write_header(self._start, 0, 0, 0, new_nonce(), 0, size, size)
        return self._sealed(name, head, payload)

    def _encoded(
        self,
        name: bytes,
        payload: bytes,
        window_ms: int,
        cost_us: int,
        tags: Tags,
        nonce: bytes | None,
    ) -> bytes:
        if not 0 <= window_ms <= MAX_WINDOW_MS:
            raise ValueError(f"window_ms must be from 0 to {MAX_WINDOW_MS}, not {window_ms}")
        raw_size = len(payload)
        payload, flags = self._compressed(payload)
        count, block = _write_tags(tags)
        head = _write_header(
            self._start[:-1] + bytes((flags,)),
            count,
            window_ms,
            min(max(cost_us, 0), _MAX_U32),
            nonce or new_nonce(),
            len(block),
            len(payload),
            raw_size,
        )
        return self._sealed(name, head + block, payload)

    def encode_lease(self, name: bytes, token: bytes, *, tags: Tags = ()) -> bytes:
        """Return the frame that says: whoever has this 8-byte token is loading this name."""
        count, block = _write_tags(tags)
        start = bytes((*_MAGIC, _VERSION, self._codec, _LEASE, self._flags))
        head = _write_header(start, count, 0, 0, token, len(block), 0, 0)
        return self._sealed(name, head + block, b"")

    def _compressed(self, payload: bytes) -> tuple[bytes, int]:
        """Return the payload as it is written, and the flags that say how."""
        size = len(payload)
        if size > self._max:
            raise ValueTooLargeError(
                f"a value of {size:,} bytes, serialized, is more than max_value_bytes="
                f"{self._max:,}: raise max_value_bytes on the backend, or store less"
            )
        if self._compress is not None:
            flag, compress = self._compress
            smaller = compress(payload)
            if len(smaller) < size:
                return smaller, self._flags | flag
        return payload, self._flags

    def _sealed(self, name: bytes, head: bytes, payload: bytes) -> bytes:
        if self._sign is not None:
            body = head + payload
            return body + self._sign(name, body)
        # Begun with the name's length, so that no byte can pass from the name to the frame.
        checksum = crc32(payload, crc32(head, crc32(name, len(name))))
        return b"".join((head, payload, checksum.to_bytes(4, "little")))

    def decode(self, name: bytes, frame: bytes) -> object:
        """Return the value of a frame that was stored under `name`.

        Raises:
            LeaseFrameError: it is a lease.
            CorruptFrameError: it can't be read here, for whatever reason.
        """
        try:
            # Plain frames, that is nearly all: the same checks as the long way makes.
            if frame[:6] == self._plain:
                count, window, tags, size, raw = _read_lengths(frame)
                if (
                    count == tags == 0
                    and size == raw <= self._max
                    and window <= MAX_WINDOW_MS
                    and len(frame) == size + _LEAST_SIZE
                    and crc32(frame, crc32(name, len(name))) == _RESIDUE
                ):
                    return self._loads(frame[HEADER_SIZE:-_CHECKSUM_SIZE])
            return self._loads(self._payload(name, frame))
        except CorruptFrameError:
            raise
        except Exception as error:  # a payload may make its reader raise anything
            raise CorruptFrameError("unreadable payload") from error

    def verify(self, name: bytes, frame: bytes) -> Header:
        """Check the whole frame, value or lease, but for what only decoding can tell.

        Raises:
            CorruptFrameError: it is not one of this cache's, stored under this name.
        """
        header = read_header(frame)
        if not self._is_mine(header):
            raise CorruptFrameError("a frame for another cache")
        if type(frame) is not bytes or len(frame) != header.frame_size:
            raise CorruptFrameError("more or less bytes than announced")
        if header.tag_count:
            read_tags(frame, header)
        if self._verify is None:
            sound = crc32(frame, crc32(name, len(name))) == _RESIDUE
        else:
            sound = self._verify(name, frame[:-_SIGNATURE_SIZE], frame[-_SIGNATURE_SIZE:])
        if not sound:
            raise CorruptFrameError("wrong checksum or signature")
        return header

    def readable(self, header: bytes) -> bool:
        """Tell by a header alone whether this is a value that this cache reads.

        Args:
            header: a frame, or its first `HEADER_SIZE` bytes, or whatever stands there.
        """
        try:
            parsed = read_header(header)
        except CorruptFrameError:
            return False
        return parsed.kind == _VALUE and self._is_mine(parsed)

    def _is_mine(self, header: Header) -> bool:
        return (
            header.codec == self._codec
            and header.flags & _SIGNED == self._flags
            and header.raw_size <= self._max
            and (not header.flags & _ZSTD or _compression.has_zstd())
        )

    def _payload(self, name: bytes, frame: bytes) -> bytes:
        header = self.verify(name, frame)
        if header.is_lease:
            raise LeaseFrameError("a lease")
        start = HEADER_SIZE + header.tags_size
        payload = frame[start : start + header.payload_size]
        if header.flags & _ZLIB:
            return _compression.inflate_zlib(payload, header.raw_size)
        if header.flags & _ZSTD:
            return _compression.inflate_zstd(payload, header.raw_size)
        return payload


_COMPRESSIONS = {
    None: None,
    "zlib": (_ZLIB, _compression.deflate_zlib),
    "zstd": (_ZSTD, _compression.deflate_zstd),
}


def _checked_codec(serializer: Serializer) -> int:
    codec = getattr(serializer, "codec", None)
    first = 1 if isinstance(serializer, _base.BaseSerializer) else _base.FIRST_FOREIGN
    for method in "dumps", "loads":
        if isinstance(serializer, type) or not callable(getattr(serializer, method, None)):
            raise ConfigurationError(
                "serializer must be an instance with codec, dumps and loads, for example "
                f"MessagePackSerializer(), not {_described(serializer)}"
            )
    if type(codec) is not int or not first <= codec <= _MAX_CODEC:
        raise ConfigurationError(
            f"{_described(serializer)}: codec must be an int from {_base.FIRST_FOREIGN} to "
            f"{_MAX_CODEC} (those below are the library's own), not {codec!r:.60}"
        )
    return codec


def _described(serializer: object) -> str:
    if isinstance(serializer, type):
        return f"the class {serializer.__qualname__}"
    return f"an object of type {type(serializer).__qualname__}"
