"""The frame: what is written is read, for its name and its codec only."""

from __future__ import annotations

import hmac
import os
import subprocess
import sys
import threading
from zlib import crc32

import pytest
from frame_samples import CODECS, HEADER, NAME, NONCE, SECRET, SIGNED, ZLIB, forge
from serializer_samples import SAMPLES, same

from symphra_cache import SerializationError, _frame
from symphra_cache._frame import (
    HEADER_SIZE,
    MAX_WINDOW_MS,
    CorruptFrameError,
    FrameCodec,
    LeaseFrameError,
    new_nonce,
    read_header,
    read_tags,
)
from symphra_cache.exceptions import ConfigurationError, ValueTooLargeError
from symphra_cache.serializers import JSONSerializer, MessagePackSerializer, PickleSerializer

codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
codec = CODECS["msgpack"]
TAGS = (("team", 0), ("größe 漢字", 2**64 - 1), ("x" * 65_535, 7))


@pytest.mark.parametrize("value", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_value_comes_back(value: object) -> None:
    for kind in ("msgpack", "zlib", "pickle"):
        assert same(CODECS[kind].decode(NAME, CODECS[kind].encode(NAME, value)), value)


@codecs
def test_with_all_that_a_frame_can_carry(codec: FrameCodec) -> None:
    value = {"a": ["text" * 50] * 50}
    frame = codec.encode(NAME, value, window_ms=5_000, cost_us=70, tags=TAGS, nonce=NONCE)
    assert codec.decode(NAME, frame) == value
    header = codec.verify(NAME, frame)
    assert header == read_header(frame) == read_header(frame[:HEADER_SIZE])
    assert (header.window_ms, header.cost_us, header.nonce) == (5_000, 70, NONCE)
    assert (header.tag_count, header.is_lease) == (3, False)
    assert header.frame_size == len(frame)
    assert read_tags(frame, header) == TAGS
    assert read_tags(frame[: HEADER_SIZE + header.tags_size], header) == TAGS
    assert codec.readable(frame[:HEADER_SIZE])


@codecs
def test_names_of_any_kind(codec: FrameCodec) -> None:
    for name in (b"", b"a", b"\xf5S", b"n" * 5000, "ключ".encode()):
        frame = codec.encode(name, [1])
        assert codec.decode(name, frame) == [1]
        with pytest.raises(CorruptFrameError):
            codec.decode(name + b"x", frame)


@codecs
def test_a_frame_under_another_name_is_unreadable(codec: FrameCodec) -> None:
    first, second = codec.encode(b"ns:a", "a"), codec.encode(b"ns:b", "b")
    for name, frame in ((b"ns:a", second), (b"ns:b", first), (b"", first), (b"n", first)):
        with pytest.raises(CorruptFrameError):
            codec.decode(name, frame)


@codecs
def test_no_byte_passes_from_the_name_to_the_frame(codec: FrameCodec) -> None:
    # What is signed or summed up begins the same, were it not for the length of the name.
    inner = codec.encode(b"ns:a", "value")
    for cut in range(1, len(inner)):
        with pytest.raises(CorruptFrameError):
            codec.decode(b"ns:a" + inner[:cut], inner[cut:])
    outer = b"\xf5S" + inner
    with pytest.raises(CorruptFrameError):
        codec.decode(b"ns:a"[:-2], b"ns:a"[-2:] + outer)


def test_no_codec_reads_what_another_has_written() -> None:
    others = {
        **CODECS,
        "other secret": FrameCodec(PickleSerializer("y" * 32)),
        "own": FrameCodec(Own()),
    }
    del others["zlib"]
    for writer in others.values():
        frame = writer.encode(NAME, [1, "a"])
        for reader in others.values():
            if reader is writer:
                assert reader.decode(NAME, frame) == [1, "a"]
                continue
            with pytest.raises(CorruptFrameError):
                reader.decode(NAME, frame)
            both_signed = frame[3] == reader.encode(NAME, 1)[3]
            assert reader.readable(frame[:HEADER_SIZE]) is both_signed


def test_the_first_secret_signs_and_all_verify() -> None:
    old, new, third = "o" * 32, "n" * 32, b"t" * 32
    before, between = FrameCodec(PickleSerializer(old)), FrameCodec(PickleSerializer([new, old]))
    after = FrameCodec(PickleSerializer((new, third)))
    early, later = before.encode(NAME, 1), between.encode(NAME, 2)
    assert [between.decode(NAME, early), between.decode(NAME, later)] == [1, 2]
    assert after.decode(NAME, later) == 2
    for codec, frame in ((before, later), (after, early)):
        with pytest.raises(CorruptFrameError, match="signature"):
            codec.decode(NAME, frame)


def test_compression_is_read_whatever_the_option() -> None:
    plain, zlib = CODECS["msgpack"], CODECS["zlib"]
    value = "abc" * 1000
    small, large = zlib.encode(NAME, value), plain.encode(NAME, value)
    assert len(small) < 200 < len(large)
    assert read_header(small).flags == ZLIB
    assert read_header(small).raw_size == read_header(large).raw_size
    for codec in (plain, zlib):
        assert codec.decode(NAME, small) == codec.decode(NAME, large) == value


def test_compression_begins_above_its_size_and_only_where_it_helps() -> None:
    codec = FrameCodec(MessagePackSerializer(compress="zlib", compress_over=100))
    at, above = "a" * 98, "a" * 99  # two bytes of MessagePack go in front
    assert read_header(codec.encode(NAME, at)).flags == 0
    assert read_header(codec.encode(NAME, above)).flags == ZLIB
    tagged = codec.encode(NAME, at, tags=[("t", 1)], window_ms=5)
    assert read_header(tagged).flags == 0
    random = os.urandom(5000)
    frame = codec.encode(NAME, random)
    assert read_header(frame).flags == 0
    assert codec.decode(NAME, frame) == random


def test_the_limit_is_that_of_the_payload_in_both_directions() -> None:
    limited = FrameCodec(MessagePackSerializer(compress="zlib"), 5000)
    fits, too_large = "a" * 4997, "a" * 4998
    assert limited.decode(NAME, limited.encode(NAME, fits)) == fits
    with pytest.raises(ValueTooLargeError, match=r"5,001 bytes.*max_value_bytes=5,000: raise"):
        limited.encode(NAME, too_large)
    for writer in (CODECS["msgpack"], CODECS["zlib"]):
        frame = writer.encode(NAME, too_large)
        assert not limited.readable(frame)
        with pytest.raises(CorruptFrameError, match="another cache"):
            limited.decode(NAME, frame)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "1", None, 2**32])
def test_a_wrong_limit_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="max_value_bytes must be a number of bytes"):
        FrameCodec(MessagePackSerializer(), wrong)


class Own:
    codec = 200

    def dumps(self, value: object) -> bytes:
        return repr(value).encode()

    def loads(self, data: bytes) -> object:
        return [1, "a"] if data == b"[1, 'a']" else int(data)


def test_a_serializer_of_ones_own() -> None:
    codec = FrameCodec(Own())
    assert codec.decode(NAME, codec.encode(NAME, 42)) == 42
    with pytest.raises(CorruptFrameError):
        codec.decode(NAME, codec.encode(NAME, "what loads refuses"))


def test_what_a_serializer_of_ones_own_raises_is_a_serialization_error() -> None:
    class Broken(Own):
        def dumps(self, value: object) -> bytes:
            raise KeyError("no")

    with pytest.raises(SerializationError, match=r"value: int can't be stored by Broken; 'no'"):
        FrameCodec(Broken()).encode(NAME, 1)


@pytest.mark.parametrize("number", [0, 1, 127, 256, True, "200", None])
def test_codec_numbers_of_the_library_are_not_for_others(number: object) -> None:
    serializer = Own()
    serializer.codec = number
    with pytest.raises(ConfigurationError, match="codec must be an int from 128 to 255"):
        FrameCodec(serializer)


@pytest.mark.parametrize("wrong", [MessagePackSerializer, "json", None, object()])
def test_what_is_no_serializer_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="serializer must be an instance"):
        FrameCodec(wrong)


def test_a_subclass_of_the_librarys_serializers_keeps_their_codec() -> None:
    class Mine(JSONSerializer):
        pass

    assert CODECS["json"].decode(NAME, FrameCodec(Mine()).encode(NAME, [1])) == [1]


def test_windows_are_bounded_and_costs_saturate() -> None:
    frame = codec.encode(NAME, 1, window_ms=MAX_WINDOW_MS, cost_us=10**12)
    header = codec.verify(NAME, frame)
    assert (header.window_ms, header.cost_us) == (MAX_WINDOW_MS, 2**32 - 1)
    assert codec.decode(NAME, frame) == 1
    assert read_header(codec.encode(NAME, 1, cost_us=-5)).cost_us == 0
    for wrong in (-1, MAX_WINDOW_MS + 1):
        with pytest.raises(ValueError, match="window_ms"):
            codec.encode(NAME, 1, window_ms=wrong)


def test_tags_that_a_frame_can_not_carry_are_refused() -> None:
    for tags in ([("", 1)], [("x" * 65_536, 1)], [(f"{n}", 1) for n in range(65_536)]):
        with pytest.raises(ValueError, match=r"a tag of|tags on one entry"):
            codec.encode(NAME, 1, tags=tags)
    many = [(f"{n}", n) for n in range(65_535)]
    frame = codec.encode(NAME, 1, tags=many)
    assert read_tags(frame, codec.verify(NAME, frame)) == tuple(many)


@codecs
def test_a_lease_is_whole_but_no_value(codec: FrameCodec) -> None:
    token = new_nonce()
    frame = codec.encode_lease(NAME, token, tags=TAGS)
    header = codec.verify(NAME, frame)
    assert (header.is_lease, header.nonce, header.payload_size) == (True, token, 0)
    assert read_tags(frame, header) == TAGS
    assert not codec.readable(frame[:HEADER_SIZE])
    with pytest.raises(LeaseFrameError):
        codec.decode(NAME, frame)
    for name, damaged in ((b"other", frame), (NAME, frame[:-1] + bytes([frame[-1] ^ 1]))):
        with pytest.raises(CorruptFrameError) as caught:
            codec.decode(name, damaged)
        assert type(caught.value) is CorruptFrameError
    assert codec.verify(NAME, codec.encode_lease(NAME, token)).tag_count == 0


def test_frames_of_equal_values_differ() -> None:
    frames = {codec.encode(NAME, 1) for _ in range(1000)}
    assert len(frames) == 1000


def test_nonces_differ_between_threads() -> None:
    drawn: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: drawn.extend([new_nonce() for _ in range(2000)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == len(drawn) == 16_000
    assert {len(nonce) for nonce in drawn} == {8}


FORKING = """
import os
from symphra_cache._frame import new_nonce

new_nonce()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, b"".join(new_nonce() for _ in range(64)))
    os._exit(0)
os.waitpid(child, 0)
theirs = os.read(reading, 8 * 64)
mine = {new_nonce() for _ in range(64)}
assert len(theirs) == 8 * 64
assert not mine & {theirs[i : i + 8] for i in range(0, len(theirs), 8)}
"""


def test_a_child_process_draws_other_nonces() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


@pytest.mark.parametrize(
    "foreign", [b"", b"12345", b"x" * 39, None, 12, 3.5, "text" * 20, [1], b"\xf5S", object()]
)
def test_foreign_values_are_unreadable(foreign: object) -> None:
    for codec in CODECS.values():
        assert not codec.readable(foreign)
        for read in (codec.decode, codec.verify):
            with pytest.raises(CorruptFrameError):
                read(NAME, foreign)


def test_the_short_and_the_long_way_judge_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [codec.encode(NAME, [1]), forge(b"\x01", window=MAX_WINDOW_MS)]
    frames += [forge(b"\x01", window=MAX_WINDOW_MS + 1), forge(b"\x01", raw_size=2)]
    frames += [forge(b"\x01", payload_size=2), forge(b"\x01", tag_count=1), frames[0] + b"\0"]
    frames += [
        forge(b"\x01" * 50)[:-1],
        forge(b"\x01", tags=b"\0"),
        forge(b"\xd9\x80" + b"a" * 128),
    ]
    long = FrameCodec(MessagePackSerializer(), 100)
    short = FrameCodec(MessagePackSerializer(), 100)
    monkeypatch.setattr(long, "_plain", None)
    for frame in frames:
        assert outcome(short, frame) == outcome(long, frame)
        assert short.readable(frame[:40]) == long.readable(frame[:40])
    assert outcome(short, frames[0]) == [1]
    assert outcome(short, frames[1]) == 1


def outcome(codec: FrameCodec, frame: bytes) -> object:
    try:
        return codec.decode(NAME, frame)
    except CorruptFrameError:
        return CorruptFrameError


def test_the_header_has_its_documented_layout() -> None:
    frame = CODECS["pickle"].encode(NAME, 1, window_ms=5, cost_us=6, tags=[("t", 9)], nonce=NONCE)
    fields = HEADER.unpack_from(frame)
    raw = len(frame) - 40 - 11 - 32
    assert fields == (b"\xf5S", 1, 3, 1, SIGNED, 1, 5, 6, NONCE, 11, raw, raw)
    assert frame[40:51] == b"\0\1t" + (9).to_bytes(8)
    assert _frame.HEADER_SIZE == HEADER.size == 40


def test_secrets_are_not_in_a_codec_to_be_seen() -> None:
    assert SECRET not in repr(CODECS["pickle"])


def test_the_trailers_are_as_documented() -> None:
    plain = codec.encode(NAME, {"a": 1}, tags=[("t", 1)])
    begun = crc32(NAME, len(NAME))
    assert crc32(plain[:-4], begun) == int.from_bytes(plain[-4:], "little")
    assert crc32(plain, begun) == 0x2144DF1C
    signed = CODECS["pickle"].encode(NAME, {"a": 1})
    key = hmac.digest(SECRET.encode(), b"symphra_cache frame signature 1", "sha256")
    message = len(NAME).to_bytes(4) + NAME + signed[:-32]
    assert hmac.digest(key, message, "sha256") == signed[-32:]
