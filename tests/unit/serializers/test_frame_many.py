"""Many frames at once: each is read, or refused, as if it stood alone."""

from __future__ import annotations

import random

import pytest
from frame_samples import CODECS, LEASE, NONCE, forge
from serializer_samples import SAMPLES, same

from symphra_cache._frame import CorruptFrameError, FrameCodec
from symphra_cache.serializers import MessagePackSerializer

codec = CODECS["msgpack"]
Pair = tuple[bytes, bytes]


def alone(codec: FrameCodec, name: bytes, frame: bytes) -> object:
    try:
        return codec.decode(name, frame)
    except CorruptFrameError as error:
        return error


def agree(codec: FrameCodec, pairs: list[Pair]) -> list[object]:
    """Read frames at once; return what came of them, which must be what comes of each."""
    names, frames = [name for name, _ in pairs], [frame for _, frame in pairs]
    values = codec.decode_many(names, frames)
    assert len(values) == len(pairs)
    for value, pair in zip(values, pairs, strict=True):
        single = alone(codec, *pair)
        assert (
            same(value, single)
            if not isinstance(single, Exception)
            else repr(value) == repr(single)
        )
    return values


def written(codec: FrameCodec, values: list[object]) -> list[Pair]:
    names = [b"ns:%d" % place for place in range(len(values))]
    return [(name, codec.encode(name, value)) for name, value in zip(names, values, strict=True)]


@pytest.mark.parametrize("reader", CODECS.values(), ids=CODECS.keys())
def test_values_of_every_kind_written_by_every_codec(reader: FrameCodec) -> None:
    pairs: list[Pair] = []
    for writer in ("msgpack", "zlib", "pickle"):
        pairs += written(CODECS[writer], list(SAMPLES.values()))
    pairs += written(CODECS["json"], [None, [1], "text", "x" * 5_000])
    random.Random(1).shuffle(pairs)
    agree(reader, pairs)


def test_plain_values_only_and_none_at_all() -> None:
    values: list[object] = [{"id": number, "name": "x" * number} for number in range(3_000)]
    assert agree(codec, written(codec, values)) == values
    assert agree(codec, []) == []
    assert agree(codec, written(codec, [["extended", 1j]])) == [["extended", 1j]]


def test_a_serializer_that_reads_otherwise_is_asked_for_each() -> None:
    class Shouting(MessagePackSerializer):
        def loads(self, data: bytes) -> object:
            return str(super().loads(data)).upper()

    assert agree(FrameCodec(Shouting()), written(codec, ["a", "b"])) == ["A", "B"]


def test_what_a_frame_can_carry() -> None:
    made = {
        "plain": {},
        "window": {"window_ms": 5_000},
        "cost": {"cost_us": 70},
        "tags": {"tags": (("team", 7),)},
        "nonce": {"nonce": NONCE},
    }
    pairs = [
        (name.encode(), codec.encode(name.encode(), [name], **options))  # type: ignore[arg-type]
        for name, options in made.items()
    ]
    assert agree(codec, pairs) == [[name] for name in made]


def test_larger_than_this_cache_reads() -> None:
    small = FrameCodec(MessagePackSerializer(), 100)
    sizes = (10, 97, 98, 99, 100, 3_000)
    values = agree(small, written(codec, ["x" * size for size in sizes]))
    assert [isinstance(value, str) for value in values] == [True, True, True, False, False, False]


# A payload may hold more than a value, or less, and reach for what follows then.
PAYLOADS = {
    "nothing": b"",
    "two values": b"\x01\x02",
    "a value and the word of others": b"\x01\xa800000000\x02",
    "text that takes in the next": b"\xd9\x30short",
    "a list of more than there is": b"\xdc\xff\xffx",
    "no value": b"\xc1",
    "half a number": b"\xcd\x01",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_payload_reaches_no_other(payload: bytes, place: int) -> None:
    pairs = written(codec, ["one", {"two": 2}])
    pairs.insert(place, (b"forged", forge(payload, name=b"forged")))
    values = agree(codec, pairs)
    assert isinstance(values.pop(place), CorruptFrameError)
    assert values == ["one", {"two": 2}]


def test_every_flipped_bit_and_every_cut_is_found_among_others() -> None:
    name, value = b"symphra:k", {"id": 7, "name": "Ada"}
    frame = codec.encode(name, value)
    damaged = [frame[:end] for end in range(len(frame))]
    for bit in range(len(frame) * 8):
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    damaged.append(frame + b"x")
    found = agree(codec, [(name, one) for other in damaged for one in (frame, other)])
    assert found[::2] == [value] * len(damaged)
    assert all(isinstance(one, CorruptFrameError) for one in found[1::2])


def test_frames_of_other_names_and_leases_are_refused() -> None:
    (name, frame), (other, _) = written(codec, [1.5, 2.5])
    lease = codec.encode_lease(name, NONCE)
    assert lease == forge(b"", name=name, kind=LEASE)
    values = agree(codec, [(other, frame), (name, lease), (name, frame)])
    assert [isinstance(value, CorruptFrameError) for value in values] == [True, True, False]
