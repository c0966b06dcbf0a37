"""Frames of released versions, kept in ``golden/`` and read for ever.

Run as a program, this module adds frames that the file lacks; it never changes one.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from frame_samples import CODECS, NONCE
from serializer_samples import Access, Colour, Point, same

from symphra_cache._frame import LeaseFrameError, read_tags

GOLDEN = Path(__file__).parent / "golden" / "frame-v1.json"
LEASED = object()
WHEN = datetime(2024, 10, 27, 2, 30, 0, 5, fold=1)
CST = timezone(timedelta(hours=8), "CST")

# name: (codec, stored name, value, further arguments of encode)
FRAMES = {
    "none": ("msgpack", "symphra:k", None, {}),
    "int": ("msgpack", "symphra:k", 12345, {}),
    "str": ("msgpack", "symphra/users:größe", "Größe 漢字", {}),
    "plain dict": ("msgpack", "symphra:k", {"b": [1, -2.5, True, b"\0"], "a": None}, {}),
    "window, cost, tags": (
        "msgpack",
        "symphra:k",
        [1],
        {"window_ms": 86_400_000, "cost_us": 50_000, "tags": [("team", 1), ("größe", 2**63)]},
    ),
    "lease": ("msgpack", "symphra:k", LEASED, {}),
    "lease with tags": ("msgpack", "symphra:k", LEASED, {"tags": [("team", 1)]}),
    "signed lease": ("pickle", "symphra:k", LEASED, {}),
    "containers": (
        "msgpack",
        "symphra:k",
        [(), (1, "a"), {2}, frozenset({3}), {1: "a", (2,): "b"}, {}, []],
        {},
    ),
    "big ints": ("msgpack", "symphra:k", [2**64, -(2**63) - 1, 10**40, -(10**40)], {}),
    "complex": ("msgpack", "symphra:k", complex(1.5, -0.0), {}),
    "surrogates": ("msgpack", "symphra:k", {"\ud83d\ude00": "\udfff"}, {}),
    "bytearray": ("msgpack", "symphra:k", bytearray(b"ab"), {}),
    "naive datetime": ("msgpack", "symphra:k", WHEN, {}),
    "utc": ("msgpack", "symphra:k", WHEN.replace(tzinfo=UTC, fold=0), {}),
    "named offset": ("msgpack", "symphra:k", WHEN.replace(tzinfo=CST), {}),
    "zone": ("msgpack", "symphra:k", WHEN.replace(tzinfo=ZoneInfo("Europe/Berlin")), {}),
    "date": ("msgpack", "symphra:k", date(2024, 2, 29), {}),
    "time": ("msgpack", "symphra:k", time(23, 59, 58, 7, tzinfo=CST), {}),
    "timedelta": ("msgpack", "symphra:k", timedelta(-1, 2, 3), {}),
    "decimal": ("msgpack", "symphra:k", [Decimal("-1.10"), Decimal("NaN")], {}),
    "uuid": ("msgpack", "symphra:k", UUID(int=2**127 + 5), {}),
    "enum": ("msgpack", "symphra:k", Colour.RED, {}),
    "flags": ("msgpack", "symphra:k", Access.READ | Access.WRITE, {}),
    "dataclass": ("msgpack", "symphra:k", {"p": Point(Point(1, (2,)), None)}, {}),
    "zlib": ("zlib", "symphra:k", "abc" * 100, {}),
    "json": ("json", "symphra:k", {"a": [1, 2.5, None, "ü\ud800"]}, {}),
    "pickle": ("pickle", "symphra:k", {"a": (1, {2})}, {"tags": [("team", 1)]}),
}
# What the writer of today need not repeat byte by byte: zlib and pickle may change theirs.
READ_ONLY = {"zlib", "pickle"}


def encode(name: str) -> bytes:
    codec, stored_name, value, options = FRAMES[name]
    if value is LEASED:
        return CODECS[codec].encode_lease(stored_name.encode(), NONCE, **options)
    return CODECS[codec].encode(stored_name.encode(), value, nonce=NONCE, **options)


def load() -> dict[str, dict[str, str]]:
    found = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else []
    return {entry["name"]: entry for entry in found}


def write_missing() -> None:
    entries = load()
    for name, (codec, stored_name, value, _) in FRAMES.items():
        shown = "a lease" if value is LEASED else ascii(value)
        entries.setdefault(
            name,
            {
                "name": name,
                "codec": codec,
                "stored_name": stored_name,
                "value": shown,
                "frame": encode(name).hex(),
            },
        )
    text = json.dumps(list(entries.values()), indent=1, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


golden = pytest.mark.parametrize("entry", load().values(), ids=load().keys())


@golden
def test_every_golden_frame_is_read(entry: dict[str, str]) -> None:
    codec, stored_name, value, options = FRAMES[entry["name"]]
    assert (codec, stored_name) == (entry["codec"], entry["stored_name"])
    name, frame = stored_name.encode(), bytes.fromhex(entry["frame"])
    header = CODECS[codec].verify(name, frame)
    assert header.nonce == NONCE
    assert (header.window_ms, header.cost_us) == (
        options.get("window_ms", 0),
        options.get("cost_us", 0),
    )
    assert read_tags(frame, header) == tuple(options.get("tags", ()))
    if value is LEASED:
        with pytest.raises(LeaseFrameError):
            CODECS[codec].decode(name, frame)
    else:
        assert same(CODECS[codec].decode(name, frame), value)


@golden
def test_the_same_bytes_are_written_today(entry: dict[str, str]) -> None:
    if entry["name"] not in READ_ONLY:
        assert encode(entry["name"]).hex() == entry["frame"]


def test_no_golden_frame_is_missing() -> None:
    assert load().keys() == FRAMES.keys()
    assert len(load()) > 20


if __name__ == "__main__":
    write_missing()
