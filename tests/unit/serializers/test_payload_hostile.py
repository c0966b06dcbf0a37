"""Hostile payloads in frames whose checksums are right: refused, and at no great cost."""

from __future__ import annotations

import tracemalloc
import zlib
from struct import pack

import ormsgpack
import pytest
from frame_samples import CODECS, NAME, ZLIB, forge, refused, run
from serializer_samples import SAMPLES, same

codec = CODECS["msgpack"]

PAYLOADS = {
    "nothing": b"",
    "two values": b"\x01\x02",
    "the end of a value missing": b"\x92\x01",
    "a reserved byte": b"\xc1",
    "reserved bytes": b"\xc1\xc1",
    "an extension in a plain payload": b"\xd4\x01\x00",
    "a list of 4 billion": b"\xdd\xff\xff\xff\xff",
    "a list that crashed ormsgpack 1.12": b"\x9d\xdd\xf3\xb3\x00\x00\x00",
    "a dict of 4 billion": b"\xdf\xff\xff\xff\xff",
    "4 GiB of bytes": b"\xc6\xff\xff\xff\xff",
    "4 GiB of text": b"\xdb\xff\xff\xff\xff",
    "4 GiB of an extension": b"\xc1\xc9\xff\xff\xff\xff\x01",
    "text that is not UTF-8": b"\xa1\xff",
    "a key that is no text": b"\x81\x01\x01",
    "deep nesting": b"\x91" * 2000 + b"\xc0",
    "deeper nesting": b"\x91" * 5_000_000,
    "deep dicts": b"\x81\xa1a" * 1_000_000,
    "deep nesting in the extended form": b"\xc1" + b"\x91" * 101 + b"\x90",
    "deep marked nesting": b"\xc1" + b"\x92\xc7\0\1" * 101 + b"\xc0",
    "deeper marked nesting": b"\xc1" + b"\x92\xc7\0\1" * 1_000_000,
    "deep marked dicts": b"\xc1" + b"\x93\xc7\0\4\1" * 150 + b"\xc0",
    "trailing bytes in the extended form": b"\xc1\x01\x02",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_payloads_that_are_no_value_are_refused(payload: bytes) -> None:
    assert refused(forge(payload))


def ext(code: int, data: bytes = b"") -> bytes:
    return pack(">BBb", 0xC7, len(data), code) + data


def extended(*parts: bytes) -> bytes:
    return b"\xc1" + b"".join(parts)


def array(*items: bytes) -> bytes:
    return bytes((0x90 + len(items),)) + b"".join(items)


ONE = b"\x01"
MARKERS = {"tuple": 1, "set": 2, "frozenset": 3, "dict": 4}
SPOOFS = {
    **{f"a {name} of nothing but a marker": extended(ext(code)) for name, code in MARKERS.items()},
    **{f"a {name} second": extended(array(ONE, ext(code))) for name, code in MARKERS.items()},
    **{f"a {name} in a {name}": extended(array(ext(c), ext(c))) for name, c in MARKERS.items()},
    **{f"a {name} with data": extended(array(ext(c, b"x"))) for name, c in MARKERS.items()},
    "a marker as a dict's value": extended(b"\x81\xa1a", ext(1)),
    "a marker as a dict's key": extended(b"\x81", ext(1), ONE),
    "an extension as a dict's key": extended(b"\x81", ext(17, b"a"), ONE),
    "an odd dict's odd item": extended(array(ext(4), ONE)),
    "an odd dict's key twice": extended(array(ext(4), ONE, ONE, ONE, ONE)),
    "an unhashable key": extended(array(ext(4), b"\x90", ONE)),
    "an unhashable member": extended(array(ext(2), b"\x90")),
    "a member twice": extended(array(ext(3), ONE, ONE)),
    "a member twice, as another type": extended(array(ext(2), ONE, b"\xc3")),
    "code 0": extended(ext(0)),
    "code 6": extended(ext(6)),
    "MessagePack's own timestamp": extended(ext(-1, bytes(4))),
    "an unknown dataclass": extended(array(ext(5, b"nobody\0a"), ONE)),
    "a dataclass without its fields' names": extended(array(ext(5, b"samples.user"), ONE)),
    "a dataclass with fewer values": extended(array(ext(5, b"samples.point\0x\0y"), ONE)),
    "a dataclass with more values": extended(array(ext(5, b"samples.point\0x\0y"), ONE, ONE, ONE)),
    "a dataclass as a scalar": extended(ext(5, b"samples.point\0x\0y")),
    "an unknown enum": extended(ext(26, b"nobody\0RED")),
    "an unknown member": extended(ext(26, b"samples.colour\0GREEN")),
    "an enum's class": extended(ext(26, b"samples.colour")),
    "an enum as a flag": extended(ext(27, b"samples.colour\0\1")),
    "a flag as an enum": extended(ext(26, b"samples.access\0READ")),
    "unknown bits": extended(ext(27, b"samples.access\0\x40")),
    "negative bits": extended(ext(27, b"samples.access\0\x80")),
    "a complex of one float": extended(ext(18, bytes(8))),
    "month 13": extended(ext(20, pack(">HBBBBBIBB", 2024, 13, 1, 0, 0, 0, 0, 0, 0))),
    "fold 2": extended(ext(20, pack(">HBBBBBIBB", 2024, 1, 1, 0, 0, 0, 0, 2, 0))),
    "a zone of kind 9": extended(ext(20, pack(">HBBBBBIBB", 2024, 1, 1, 0, 0, 0, 0, 0, 9))),
    "data of no zone": extended(ext(20, pack(">HBBBBBIBB", 2024, 1, 1, 0, 0, 0, 0, 0, 0) + b"x")),
    "a zone of 30 hours": extended(
        ext(20, pack(">HBBBBBIBBq", 2024, 1, 1, 0, 0, 0, 0, 0, 1, 108_000_000_000))
    ),
    "an unknown zone": extended(ext(22, pack(">BBBIBB", 1, 1, 1, 1, 0, 3) + b"Mars/Base")),
    "a zone outside": extended(ext(22, pack(">BBBIBB", 1, 1, 1, 1, 0, 3) + b"../../etc/passwd")),
    "an absolute zone": extended(ext(22, pack(">BBBIBB", 1, 1, 1, 1, 0, 3) + b"/etc/localtime")),
    "a folder of zones": extended(ext(22, pack(">BBBIBB", 1, 1, 1, 1, 0, 3) + b"Europe")),
    "a zone with a NUL": extended(ext(22, pack(">BBBIBB", 1, 1, 1, 1, 0, 3) + b"Eu\0rope")),
    "a short date": extended(ext(21, b"\x07\xe8\x01")),
    "a timedelta too long": extended(ext(23, pack(">iII", 2**31 - 1, 0, 0))),
    "a Decimal of words": extended(ext(24, b"many")),
    "a Decimal with spaces": extended(ext(24, b" 1")),
    "a Decimal with underscores": extended(ext(24, b"1_0")),
    "a Decimal in other digits": extended(ext(24, "١".encode())),
    "a short UUID": extended(ext(25, bytes(15))),
}


@pytest.mark.parametrize("payload", SPOOFS.values(), ids=SPOOFS.keys())
def test_spoofed_extensions_are_refused(payload: bytes) -> None:
    assert refused(forge(payload))


def test_the_spoofer_is_able() -> None:
    for payload, value in (
        (extended(array(ext(1), ONE)), (1,)),
        (extended(array(ext(4), ONE, b"\xc3")), {1: True}),
        (extended(ext(26, b"samples.colour\0RED")), SAMPLES["aliased enum"]),
        (extended(array(ext(5, b"samples.point\0x\0y"), ONE, ONE)), SAMPLES["nested mixture"]),
    ):
        found = codec.decode(NAME, forge(payload))
        assert same(found, value) or type(found).__name__ == "Point"


def test_decimals_are_checked_without_their_trap_too() -> None:
    from decimal import InvalidOperation, localcontext

    with localcontext() as context:
        context.traps[InvalidOperation] = False
        assert refused(forge(extended(ext(24, b"many"))))


def test_values_that_look_like_markers_stay_what_they_are() -> None:
    marker = b"\xc7\x00\x01"
    for value in (
        [marker, 1],
        [marker.decode("latin-1"), 1],
        [[], 1],
        [(), 1],
        [{"": 1}],
        (marker,),
    ):
        assert same(codec.decode(NAME, codec.encode(NAME, value)), value)


BOMB = zlib.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize("raw_size", [len(BOMB) + 1, 1_000_000, 60_000_000, 2**32 - 1])
def test_an_inflate_bomb_is_stopped_at_its_declared_size(raw_size: int) -> None:
    frame = forge(BOMB, flags=ZLIB, raw_size=raw_size)
    tracemalloc.start()
    assert refused(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bound = raw_size if raw_size <= 64 * 1024 * 1024 else 0
    assert peak < 3 * bound + 2_000_000


def test_streams_that_lie_about_their_size_are_refused() -> None:
    payload = ormsgpack.packb("a" * 1000)
    stream = zlib.compress(payload)
    size = len(payload)
    assert codec.decode(NAME, forge(stream, flags=ZLIB, raw_size=size)) == "a" * 1000
    for data, raw_size in (
        (stream, size - 1),
        (stream, size + 1),
        (stream[:-1], size),
        (stream[:-4] + b"abcd", size),
        (stream + b"x", size),
        (stream + stream, size),
        (b"x" + stream, size),
        (b"", size),
        (payload, size + 1),
    ):
        assert refused(forge(data, flags=ZLIB, raw_size=raw_size))


NASTY = """
import sys, threading
from frame_samples import CODECS, NAME, forge
from symphra_cache._frame import CorruptFrameError

sys.setrecursionlimit(10**9)  # as programs do that recurse deeply themselves
threading.stack_size(1024 * 1024)  # the least that any system gives by default
payloads = [
    (1, b"\\x91" * 20_000_000),
    (1, b"\\x81\\xa1a" * 5_000_000),
    (1, b"\\xc1" + b"\\x92\\xc7\\0\\1" * 5_000_000),
    (1, b"\\xc1" + b"\\x92\\xc7\\0\\2" * 1000 + b"\\xc0"),
    (1, b"\\xc1" + b"\\x91" * 900 + b"\\xc0"),
    (2, b"[" * 20_000_000),
    (2, b'{"a":' * 5_000_000),
]
def read():
    for number, payload in payloads:
        codec = CODECS[("msgpack", "json")[number - 1]]
        try:
            codec.decode(NAME, forge(payload, codec=number))
        except CorruptFrameError:
            continue
        print("read")
    print("done")
read()
thread = threading.Thread(target=read)
thread.start()
thread.join()
"""


def test_nesting_bombs_leave_the_process_alive_even_on_a_small_stack() -> None:
    assert run(NASTY).split() == ["done", "done"]
