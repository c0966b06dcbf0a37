"""Compression with zstd; needs the extra ``symphra-cache[zstd]``."""

from __future__ import annotations

import sys
import threading
import tracemalloc

import pytest
import zstandard
from frame_samples import CODECS, NAME, ZSTD, forge

from symphra_cache._frame import CorruptFrameError, FrameCodec, read_header
from symphra_cache.serializers import JSONSerializer, MessagePackSerializer

plain = CODECS["msgpack"]
codec = FrameCodec(MessagePackSerializer(compress="zstd", compress_over=10))
TEXT = "abc" * 1000
RAW = MessagePackSerializer().dumps(TEXT)
# A frame of version 1, kept as those in golden/ are.
GOLDEN = bytes.fromhex(
    "f553010101020000000000000000000000000000010203040506070800000000000000140000003e"
    "28b52ffd203e5d000028d93c6162630100f6745a76a5b48a"
)


def test_the_golden_frame_is_read() -> None:
    assert plain.decode(NAME, GOLDEN) == "abc" * 20


def refused(frame: bytes) -> bool:
    try:
        plain.decode(NAME, frame)
    except CorruptFrameError:
        return True
    return False


def test_what_is_compressed_is_read_whatever_the_option() -> None:
    frame = codec.encode(NAME, TEXT)
    assert len(frame) < 200
    assert read_header(frame).flags == ZSTD
    for reader in (codec, plain, CODECS["zlib"]):
        assert reader.decode(NAME, frame) == TEXT
        assert reader.readable(frame)
    json = FrameCodec(JSONSerializer(compress="zstd"))
    assert json.decode(NAME, json.encode(NAME, [TEXT])) == [TEXT]


def test_streams_that_lie_about_their_size_are_refused() -> None:
    stream = zstandard.ZstdCompressor().compress(RAW)
    sizeless = zstandard.ZstdCompressor(write_content_size=False).compress(RAW)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert not refused(forge(stream, flags=ZSTD, raw_size=len(RAW)))
    for data, size in (
        (stream, len(RAW) - 1),
        (stream, len(RAW) + 1),
        (stream[:-1], len(RAW)),
        (stream + b"x", len(RAW)),
        (stream + stream, len(RAW)),
        (skippable + stream, len(RAW)),
        (sizeless, len(RAW)),
        (b"junk", len(RAW)),
        (RAW, len(RAW) + 1),
    ):
        assert refused(forge(data, flags=ZSTD, raw_size=size))


BOMB_SIZE = 200_000_000
BOMB = zstandard.ZstdCompressor(level=3).compress(bytes(BOMB_SIZE))
# The same with a declared size of its own that lies: it follows magic, descriptor, window.
LYING = BOMB[:6] + (1_000_000).to_bytes(4, "little") + BOMB[10:]


@pytest.mark.parametrize("raw_size", [len(BOMB) + 1, 1_000_000, BOMB_SIZE, 2**32 - 1])
@pytest.mark.parametrize("bomb", [BOMB, LYING], ids=["honest", "lying"])
def test_a_bomb_takes_no_more_than_its_declared_size(bomb: bytes, raw_size: int) -> None:
    frame = forge(bomb, flags=ZSTD, raw_size=raw_size)
    tracemalloc.start()
    assert refused(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_the_bomb_lies_as_meant() -> None:
    assert zstandard.frame_content_size(BOMB) == BOMB_SIZE
    assert zstandard.frame_content_size(LYING) == 1_000_000


def test_without_the_library_such_a_frame_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = codec.encode(NAME, TEXT)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert not plain.readable(frame)
    assert refused(frame)


def test_threads_do_not_share_a_compressor() -> None:
    wrong = []

    def work(number: int) -> None:
        for i in range(200):
            value = [f"{number} {i} " * 50] * 20
            if codec.decode(NAME, codec.encode(NAME, value)) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
