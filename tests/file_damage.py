"""Ways in which the bytes of a cache file can be damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

PAGE = 4096
HEADER = 100


def zero_the_rows(data: bytes) -> bytes:
    return data[: 2 * PAGE] + bytes(len(data) - 2 * PAGE)


def cut_within_a_page(data: bytes) -> bytes:
    return data[: -PAGE // 2]


def cut_to_one_page(data: bytes) -> bytes:
    return data[:PAGE]


def cut_within_the_header(data: bytes) -> bytes:
    return data[: HEADER - 10]


def name_an_unknown_format(data: bytes) -> bytes:
    return data[:18] + b"\x02\x7f" + data[20:]


def forbid_writing(data: bytes) -> bytes:
    return data[:18] + b"\x07\x02" + data[20:]


def name_a_newer_schema_format(data: bytes) -> bytes:
    return data[:47] + b"\x05" + data[48:]


def forget_the_version(data: bytes) -> bytes:
    return data[:60] + bytes(4) + data[64:]


def alter_the_schema(data: bytes) -> bytes:
    assert data[:PAGE].count(b"expires INTEGER") == 1
    return data[:PAGE].replace(b"expires INTEGER", b"expirez INTEGER") + data[PAGE:]


def garble_the_schema(data: bytes) -> bytes:
    return data[:PAGE].replace(b"CREATE TABLE", b"\xff\xfe\xfdATE TABLE") + data[PAGE:]


DAMAGE = [
    *(zero_the_rows, cut_within_a_page, cut_to_one_page, cut_within_the_header),
    *(
        name_an_unknown_format,
        forbid_writing,
        name_a_newer_schema_format,
        forget_the_version,
        alter_the_schema,
        garble_the_schema,
    ),
]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes somewhere: flip bits, zero a range, or cut them off.

    One time in three near the start, where what counts stands in few bytes.
    """
    kind = rng.randrange(4)
    end = rng.choice((len(data), len(data), min(3 * PAGE, len(data))))
    end = min(end, rng.choice((len(data), len(data), 2 * HEADER)))
    at = rng.randrange(end)
    if kind == 0:
        return data[:at]
    if kind == 1:
        size = min(len(data) - at, rng.choice((1, 16, 512, 3 * PAGE)))
        return data[:at] + bytes(size) + data[at + size :]
    changed = bytearray(data)
    for _ in range(1 if kind == 2 else rng.randrange(2, 200)):
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)
