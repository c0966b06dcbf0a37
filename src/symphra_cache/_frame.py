"""The frame around every value in a file or on a Redis server, version 1.

A fixed header, a block of tags, the payload, and a checksum or signature over all of it
and the name under which it is stored. Bytes come from outside and are believed only
after every field has been checked; limits hold before any work is done. No absolute time
stands in a frame. Byte by byte: docs/en/format.md.
"""

from __future__ import annotations

from zlib import crc32

from symphra_cache.exceptions import (
    CacheError,
    ConfigurationError,
    SerializationError,
    ValueTooLargeError,
)
from symphra_cache.serializers import MessagePackSerializer, PickleSerializer, _compression
from symphra_cache.serializers._base import checked_codec
from symphra_cache.serializers._header import (
    CHECKSUM_SIZE,
    HEADER_SIZE,
    LEASE,
    MAGIC,
    MAX_U32,
    MAX_WINDOW_MS,
    NONCE_SIZE,
    SIGNATURE_SIZE,
    SIGNED,
    VALUE,
    VERSION,
    ZLIB,
    ZSTD,
    CorruptFrameError,
    Header,
    LeaseFrameError,
    new_nonce,
    read_header,
    read_lengths,
    read_tags,
    write_header,
    write_sizes,
    write_tags,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from symphra_cache.serializers import Serializer
    from symphra_cache.serializers._header import Tags

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

_LEAST_SIZE = HEADER_SIZE + CHECKSUM_SIZE
# Bytes. Up to here it takes less to copy them than to call for a checksum twice.
_SMALL = 2048
# CRC-32 of anything that ends with its own CRC-32, little-endian. So a frame is verified as
# it is, without cutting off the checksum first.
_RESIDUE = 0x2144DF1C
_COMPRESSORS = {
    "zlib": (ZLIB, _compression.deflate_zlib),
    "zstd": (ZSTD, _compression.deflate_zstd),
}
_INFLATERS = {ZLIB: _compression.inflate_zlib, ZSTD: _compression.inflate_zstd}


class FrameCodec:
    """Writes and reads frames for one serializer; safe to share, nothing in it changes.

    Args:
        serializer: gives payloads; only frames of its codec are ever read.
        max_value_bytes: the largest payload, before compression, in both directions.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(self, serializer: Serializer, max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        if type(max_value_bytes) is not int or not 0 < max_value_bytes <= MAX_U32:
            raise ConfigurationError(
                f"max_value_bytes must be a number of bytes, an int from 1 to {MAX_U32}, "
                f"not {max_value_bytes!r:.60}"
            )
        self._codec = checked_codec(serializer)
        self._label = type(serializer).__name__
        self._dumps, self._loads = serializer.dumps, serializer.loads
        self._max = max_value_bytes
        self._sign: Callable[[bytes, bytes], bytes] | None = None
        self._verify: Callable[[bytes, bytes, bytes], bool] | None = None
        if isinstance(serializer, PickleSerializer):
            self._sign, self._verify = serializer._sign, serializer._verify
        self._flags = 0 if self._sign is None else SIGNED
        compress = getattr(serializer, "compress", None)
        self._compress = _COMPRESSORS.get(compress) if isinstance(compress, str) else None
        self._compress_over = getattr(serializer, "compress_over", 1024)
        # Up to this size a payload is small, and neither too large nor to be compressed or signed.
        self._unremarkable = min(max_value_bytes, _SMALL)
        if self._compress is not None:
            self._unremarkable = min(self._unremarkable, self._compress_over)
        if self._sign is not None:
            self._unremarkable = -1
        # How nearly all frames begin: the part of the header that does not change.
        self._start = bytes((*MAGIC, VERSION, self._codec, VALUE, self._flags))
        self._plain = self._start if self._sign is None else None
        # The same with no tags and no window, for many frames at once.
        self._plain_head = None if self._plain is None else self._start + bytes(10)
        self._loads_many: Callable[[list[bytes]], list[object]] | None = None
        # Not if a subclass reads otherwise.
        if getattr(type(serializer), "loads", None) is MessagePackSerializer.loads:
            self._loads_many = getattr(serializer, "_loads_many", None)

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
        if tags or window_ms or cost_us or size > self._unremarkable:
            return self._encoded(name, payload, window_ms, cost_us, tags, nonce)
        # Nearly all frames: the same as the long way makes, at half its price.
        nonce = nonce or new_nonce()
        body = write_header(self._start, 0, 0, 0, nonce, 0, size, size) + payload
        return body + crc32(name + body, len(name)).to_bytes(4, "little")

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
        count, block = write_tags(tags)
        head = write_header(
            self._start[:-1] + bytes((flags,)),
            count,
            window_ms,
            min(max(cost_us, 0), MAX_U32),
            nonce or new_nonce(),
            len(block),
            len(payload),
            raw_size,
        )
        return self._sealed(name, head + block, payload)

    def encode_lease(self, name: bytes, token: bytes, *, tags: Tags = ()) -> bytes:
        """Return the frame that says: whoever has this 8-byte token is loading this name."""
        count, block = write_tags(tags)
        start = bytes((*MAGIC, VERSION, self._codec, LEASE, self._flags))
        head = write_header(start, count, 0, 0, token, len(block), 0, 0)
        return self._sealed(name, head + block, b"")

    def _compressed(self, payload: bytes) -> tuple[bytes, int]:
        """Return the payload as it is written, and the flags that say how."""
        size = len(payload)
        if size > self._max:
            raise ValueTooLargeError(
                f"a value of {size:,} bytes, serialized, is more than max_value_bytes="
                f"{self._max:,}: raise max_value_bytes on the backend, or store less"
            )
        if self._compress is not None and size > self._compress_over:
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
                count, window, tags, size, raw = read_lengths(frame)
                if (
                    count == tags == 0
                    and size == raw <= self._max
                    and window <= MAX_WINDOW_MS
                    and len(frame) == size + _LEAST_SIZE
                    and crc32(frame, crc32(name, len(name))) == _RESIDUE
                ):
                    return self._loads(frame[HEADER_SIZE:-CHECKSUM_SIZE])
            return self._loads(self._payload(name, frame))
        except CorruptFrameError:
            raise
        except Exception as error:  # a payload may make its reader raise anything
            raise CorruptFrameError("unreadable payload") from error

    def decode_many(self, names: Sequence[bytes], frames: Sequence[bytes]) -> list[object]:
        """Return the values of many frames; in place of one that can't be read, the error.

        Args:
            names: under which they were stored.
            frames: what stands there.
        """
        # Hot path: what `decode` does, with the least calls for frames that are plain and small.
        head, sizes = self._plain_head, dict[int, bytes]()
        payloads: list[bytes | None] = []
        for name, frame in zip(names, frames, strict=True):
            total = len(frame)
            if (
                frame[:16] == head
                and frame[28:HEADER_SIZE] == (sizes.get(total) or self._sizes(total, sizes))
                and crc32(name + frame, len(name)) == _RESIDUE
            ):
                payloads.append(frame[HEADER_SIZE:-CHECKSUM_SIZE])
            else:
                payloads.append(None)
        plain = [one for one in payloads if one is not None] if None in payloads else payloads
        values = self._values(plain)  # type: ignore[arg-type]
        if values is None:
            return list(map(self._decoded_or_error, names, frames))
        if plain is payloads:
            return values
        rest = iter(values)
        return [
            self._decoded_or_error(name, frame) if payload is None else next(rest)
            for name, frame, payload in zip(names, frames, payloads, strict=True)
        ]

    def _sizes(self, total: int, known: dict[int, bytes]) -> bytes:
        """Return how the sizes stand in the header of a plain frame of so many bytes."""
        size = total - _LEAST_SIZE
        if 0 < size <= min(_SMALL, self._max):
            known[total] = write_sizes(0, size, size)
            return known[total]
        return b"to be looked at by itself"

    def _values(self, payloads: list[bytes]) -> list[object] | None:
        """Return the values of payloads, ``None`` if they have to be read one by one."""
        if self._loads_many is None:
            return None
        try:
            return self._loads_many(payloads)
        except Exception:  # one of them may make its reader raise anything
            return None

    def _decoded_or_error(self, name: bytes, frame: bytes) -> object:
        try:
            return self.decode(name, frame)
        except CorruptFrameError as error:
            return error

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
            sound = self._verify(name, frame[:-SIGNATURE_SIZE], frame[-SIGNATURE_SIZE:])
        if not sound:
            raise CorruptFrameError("wrong checksum or signature")
        return header

    def readable(self, header: bytes) -> bool:
        """Tell by a header alone whether this is a value that this cache reads.

        Args:
            header: a frame, or its first `HEADER_SIZE` bytes, or whatever stands there.
        """
        try:
            if header[:6] == self._plain:  # scans ask this of every row
                count, window, tags, size, raw = read_lengths(header)
                if count == tags == 0 and size == raw <= self._max and window <= MAX_WINDOW_MS:
                    return True
            parsed = read_header(header)
        except Exception:  # SQLite and Redis hold any type
            return False
        return parsed.kind == VALUE and self._is_mine(parsed)

    def _is_mine(self, header: Header) -> bool:
        return (
            header.codec == self._codec
            and header.flags & SIGNED == self._flags
            and header.raw_size <= self._max
            and (not header.flags & ZSTD or _compression.has_zstd())
        )

    def _payload(self, name: bytes, frame: bytes) -> bytes:
        header = self.verify(name, frame)
        if header.is_lease:
            raise LeaseFrameError("a lease")
        start = HEADER_SIZE + header.tags_size
        payload = frame[start : start + header.payload_size]
        inflate = _INFLATERS.get(header.flags & ~SIGNED)
        return payload if inflate is None else inflate(payload, header.raw_size)
