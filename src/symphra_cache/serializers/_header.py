"""What stands before a frame's payload: the header, at fixed places, and the block of tags.

Bytes come from outside and are believed only after every field has been checked. Byte
by byte: docs/en/format.md.
"""

from __future__ import annotations

import os
from struct import Struct, iter_unpack
from typing import NamedTuple

from symphra_cache.serializers._base import PICKLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Tags: TypeAlias = Iterable[tuple[str, int]]  # names with their generations

MAX_WINDOW_MS = 200 * 366 * 86_400_000  # 200 years
MAX_U32 = 2**32 - 1
NONCE_SIZE = 8
CHECKSUM_SIZE = 4
SIGNATURE_SIZE = 32

MAGIC = b"\xf5S"  # f5 occurs in no UTF-8 text, so no frame is ever taken for a number
VERSION = 1
VALUE, LEASE = 1, 2
ZLIB, ZSTD, SIGNED = 1, 2, 4

_HEADER = Struct(">2sBBBBHQI8sIII")
HEADER_SIZE = _HEADER.size  # 40
# The same with all from magic to flags as one field, which seldom changes.
write_header = Struct(">6sHQI8sIII").pack
# Those fields that a plain read needs: count of tags, window, and the three sizes.
read_lengths = Struct(">6xHQ12xIII").unpack_from
# The three sizes: of the tags, of the payload, and of the payload before compression.
write_sizes = Struct(">III").pack

_TAG_NAME = Struct(">H")
_TAG_GENERATION = Struct(">Q")
_MAX_TAGS = _MAX_TAG_NAME = 2**16 - 1
_MIN_TAG_SIZE = 2 + 1 + 8
_MAX_TAG_SIZE = 2 + _MAX_TAG_NAME + 8


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
        return self.kind == LEASE

    @property
    def is_signed(self) -> bool:
        """Whether a signature stands in place of the checksum."""
        return bool(self.flags & SIGNED)

    @property
    def frame_size(self) -> int:
        """The size of the whole frame."""
        trailer = SIGNATURE_SIZE if self.flags & SIGNED else CHECKSUM_SIZE
        return HEADER_SIZE + self.tags_size + self.payload_size + trailer


def read_header(data: bytes) -> Header:
    """Parse and check a header; `data` is a frame or at least its first `HEADER_SIZE` bytes.

    Raises:
        CorruptFrameError: a field has a value that no writer of this version gives it.
    """
    try:
        fields = _HEADER.unpack_from(data)
    except Exception as error:  # too short, or not bytes at all: SQLite and Redis hold any type
        raise CorruptFrameError("not a header") from error
    if fields[:2] != (MAGIC, VERSION):
        raise CorruptFrameError("not a frame of this version")
    header = Header._make(fields[2:])
    if not _is_sound(header):
        raise CorruptFrameError("a header that contradicts itself")
    return header


def _is_sound(header: Header) -> bool:
    (codec, kind, flags, count, window, cost, _, tags, size, raw) = header
    compression = flags & (ZLIB | ZSTD)
    return (
        codec != 0
        and flags <= ZLIB | ZSTD | SIGNED
        and window <= MAX_WINDOW_MS
        and _MIN_TAG_SIZE * count <= tags <= _MAX_TAG_SIZE * count
        # A pickle must be signed before anybody thinks of reading it.
        and bool(flags & SIGNED or codec != PICKLE)
        and compression != ZLIB | ZSTD
        and (0 < size < raw if compression else size == raw)
        and (kind == VALUE or (kind == LEASE and not (size or compression or window or cost)))
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


def write_tags(tags: Tags) -> tuple[int, bytes]:
    """Return the number of tags and their block."""
    parts: list[bytes] = []
    for name, generation in tags:
        encoded = name.encode()
        if not 0 < len(encoded) <= _MAX_TAG_NAME:
            raise ValueError(f"a tag of {len(encoded)} bytes")
        parts += _TAG_NAME.pack(len(encoded)), encoded, _TAG_GENERATION.pack(generation)
    count = len(parts) // 3
    if count > _MAX_TAGS:
        raise ValueError(f"{count} tags on one entry")
    return count, b"".join(parts)


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
