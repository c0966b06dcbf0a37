"""The frame around every value in a file or on a Redis server, version 1.

A fixed header, a block of tags, the payload, and a checksum or signature over all of it
and the name under which it is stored. Bytes come from outside and are believed only
after every field has been checked; limits hold before any work is done. No absolute time
stands in a frame. Byte by byte: docs/en/format.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from struct import Struct
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
    from collections.abc import Callable
    from typing import TypeAlias

    from symphra_cache.serializers import Serializer

    Tags: TypeAlias = Iterable[tuple[str, int]]

__all__ = [
    "HEADER_SIZE",
    "MAX_VALUE_BYTES",
    "MAX_WINDOW_MS",
    "NONCE_SIZE",
    "CorruptFrameError",
    "FrameCodec",
    "Header",
    "LeaseFrameError",
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
_MAX_U32 = 2**32 - 1
_MAX_TAGS = 2**16 - 1
_MIN_TAG_SIZE = 2 + 1 + 8  # length, a name of one byte, generation
_MAX_TAG_SIZE = 2 + 65_535 + 8

_HEADER = Struct(">2sBBBBHQI8sIII")
_LENGTHS = Struct(">6xHQ12xIII")  # those fields of it that a plain read needs
_TAG_NAME = Struct(">H")
_TAG_GENERATION = Struct(">Q")
HEADER_SIZE = _HEADER.size  # 40
_CHECKSUM_SIZE = 4
_SIGNATURE_SIZE = 32
_SHORTEST = HEADER_SIZE + _CHECKSUM_SIZE
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
        and flags <= _ZLIB | _ZSTD | _SIGNED
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
    parts = []
    for name, generation in tags:
        encoded = name.encode()
        parts += (
            _TAG_NAME.pack(len(encoded)),
            encoded,
            _TAG_GENERATION.pack(generation),
        )
    return len(parts) // 3, b"".join(parts)


class _Nonces:
    """Random numbers for frames, drawn from the system in batches: one costs 0.3 µs alone.

    Safe from any thread: `next` on the batch is one step. A child process must not hand out
    what its parent holds, so it drops the batch.
    """

    def __init__(self) -> None:
        self._batch = iter(Struct("8s").iter_unpack(b""))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._refill)

    def _refill(self) -> None:
        self._batch = Struct("8s").iter_unpack(os.urandom(64 * NONCE_SIZE))

    def draw(self) -> bytes:
        """Return 8 random bytes."""
        for (nonce,) in self._batch:
            return bytes(nonce)
        self._refill()
        return self.draw()


_nonces = _Nonces()


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
        "_compress_over",
        "_compression",
        "_dumps",
        "_flags",
        "_label",
        "_loads",
        "_max",
        "_plain",
        "_sign",
        "_verify",
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
        self._verify = getattr(serializer, "_verify", None)
        self._flags = 0 if self._sign is None else _SIGNED
        kind = getattr(serializer, "compress", None)
        self._compression, self._compress = _COMPRESSIONS[kind]
        # Without compression, a size that is never exceeded: one comparison decides.
        self._compress_over = getattr(serializer, "compress_over", 0) if kind else _MAX_U32
        # How a frame begins that is plain: unsigned, uncompressed, a value.
        self._plain = bytes((*_MAGIC, _VERSION, self._codec, _VALUE, 0))

    def encode(
        self, name: bytes, value: object, *, window_ms: int = 0, cost_us: int = 0, tags: Tags = ()
    ) -> bytes:
        """Return the frame of a value.

        Args:
            name: the name under which it will be stored.
            value: what to store.
            window_ms: how long after its expiry it may still be served.
            cost_us: how long loading it took.
            tags: (tag, generation) pairs.

        Raises:
            SerializationError: the serializer can't represent the value.
            ValueTooLargeError: it is larger than ``max_value_bytes``.
        """
        payload = self._payload(value)
        raw_size = len(payload)
        if raw_size > self._max:
            raise ValueTooLargeError(
                f"a value of {raw_size:,} bytes, serialized, is more than max_value_bytes="
                f"{self._max:,}: raise max_value_bytes on the backend, or store less under a key"
            )
        flags = self._flags
        if raw_size > self._compress_over:
            compressed = self._compress(payload)
            if len(compressed) < raw_size:
                payload = compressed
                flags |= self._compression
        ...
