"""Frames for the tests: codecs of every kind, and a forger who gets the checksums right."""

from __future__ import annotations

import os
import subprocess
import sys
from struct import Struct
from zlib import crc32

from symphra_cache._frame import HEADER_SIZE, CorruptFrameError, FrameCodec
from symphra_cache.serializers import JSONSerializer, MessagePackSerializer, PickleSerializer

NAME = b"symphra/users:42"
NONCE = b"\1\2\3\4\5\6\7\x08"
SECRET = "a secret of at least 32 bytes: 0123456789"
MSGPACK, JSON, PICKLE = 1, 2, 3
VALUE, LEASE = 1, 2
ZLIB, ZSTD, SIGNED = 1, 2, 4

CODECS = {
    "msgpack": FrameCodec(MessagePackSerializer()),
    "zlib": FrameCodec(MessagePackSerializer(compress="zlib", compress_over=10)),
    "json": FrameCodec(JSONSerializer()),
    "pickle": FrameCodec(PickleSerializer(SECRET)),
}
HEADER = Struct(">2sBBBBHQI8sIII")


def forge(payload: bytes = b"\xc0", *, name: bytes = NAME, tags: bytes = b"", **fields) -> bytes:
    """Return a frame with a right checksum, whatever is wrong with its fields."""
    header = {
        "magic": b"\xf5S",
        "version": 1,
        "codec": MSGPACK,
        "kind": VALUE,
        "flags": 0,
        "tag_count": 0,
        "window": 0,
        "cost": 0,
        "nonce": NONCE,
        "tags_size": len(tags),
        "payload_size": len(payload),
        "raw_size": len(payload),
    }
    assert fields.keys() <= header.keys()
    return checked(HEADER.pack(*(header | fields).values()) + tags + payload, name)


def checked(body: bytes, name: bytes = NAME) -> bytes:
    """Return the frame of everything but the checksum."""
    return body + crc32(body, crc32(name, len(name))).to_bytes(4, "little")


def refitted(frame: bytes, name: bytes = NAME) -> bytes:
    """Return a damaged frame with lengths and checksum made right again, as far as they go."""
    if len(frame) < HEADER_SIZE + 4:
        return frame
    fields = list(HEADER.unpack_from(frame))
    size = len(frame) - HEADER_SIZE - 4
    tags_size = min(fields[9], size)
    fields[9], fields[10] = tags_size, size - tags_size
    if not fields[5] & (ZLIB | ZSTD):
        fields[11] = fields[10]
    return checked(HEADER.pack(*fields) + frame[HEADER_SIZE:-4], name)


def refused(frame: object, reader: FrameCodec = CODECS["msgpack"], name: bytes = NAME) -> bool:
    """Tell whether a frame is unreadable; any other error is the test's."""
    try:
        reader.decode(name, frame)
    except CorruptFrameError:
        return True
    return False


def run(program: str) -> str:
    """Return what a program prints that ends well, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
