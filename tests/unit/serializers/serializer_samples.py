"""Types and values for the tests of serializers, and what "the same" means."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from symphra_cache.serializers import register_dataclass, register_enum


@register_enum("samples.colour")
class Colour(Enum):
    RED = 1
    BLUE = "blue"
    CRIMSON = 1  # an alias


@register_enum("samples.level")
class Level(IntEnum):
    LOW = 1
    HIGH = 2


@register_enum("samples.mode")
class Mode(StrEnum):
    READ = "r"


@register_enum("samples.access")
class Access(Flag):
    READ = 1
    WRITE = 2


@register_enum("samples.bits")
class Bits(IntFlag):
    A = 1
    B = 1 << 70


@register_dataclass("samples.user")
@dataclass
class User:
    name: str
    owner: object = None
    tags: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.__dict__["initialised"] = True


@register_dataclass("samples.point")
@dataclass(frozen=True, slots=True)
class Point:
    x: object
    y: object = 0


class Pair(NamedTuple):
    left: object
    right: object


def same(a: object, b: object) -> bool:
    """Tell whether two values are equal with the same types all the way down."""
    if type(a) is not type(b):
        return False
    for kinds, compare in _COMPARERS:
        if isinstance(a, kinds):
            return compare(a, b)
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


def _same_float(a, b):
    return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))


def _same_zone(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, timezone):
        return a.__getinitargs__() == b.__getinitargs__()
    return a is b if a is None else a.key == b.key


def _same_moment(a, b):
    return (
        a.replace(tzinfo=None) == b.replace(tzinfo=None)
        and a.fold == b.fold
        and _same_zone(a.tzinfo, b.tzinfo)
    )


def _same_members(a, b):
    left = list(b)
    for item in a:
        match = next((i for i, other in enumerate(left) if same(item, other)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _same_items(a, b):
    return len(a) == len(b) and all(map(same, a, b))


_COMPARERS = [
    (Enum, lambda a, b: a is b),
    (float, _same_float),
    (complex, lambda a, b: _same_float(a.real, b.real) and _same_float(a.imag, b.imag)),
    ((list, tuple), _same_items),
    (dict, lambda a, b: _same_items(list(a.items()), list(b.items()))),
    ((set, frozenset), _same_members),
    ((datetime, time), _same_moment),
    (Decimal, lambda a, b: a.as_tuple() == b.as_tuple()),
]

BERLIN = ZoneInfo("Europe/Berlin")
CST = timezone(timedelta(hours=8), "CST")

SAMPLES = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "small int": -33,
    "64-bit int": -(2**63),
    "unsigned 64-bit int": 2**64 - 1,
    "just beyond 64 bits": 2**64,
    "just below 64 bits": -(2**63) - 1,
    "huge int": 3**5000,
    "huge negative int": -(2**128),
    "float": 0.1,
    "nan": math.nan,
    "inf": -math.inf,
    "negative zero": -0.0,
    "integral float": 1.0,
    "complex": complex(-0.0, math.nan),
    "empty str": "",
    "str": "Größe 漢字 🎉\0\n",
    "lone surrogate": "a\ud800b",
    "surrogates in two halves": "\ud83d\ude00",
    "bytes": b"\x00\xff",
    "bytes of markers": bytes(range(256)),
    "bytearray": bytearray(b"ab\xc4"),
    "empty list": [],
    "list": [1, "a", None, [2.5, b"x"]],
    "tuple": (1, (), ((2,),)),
    "list that begins with a tuple": [(1,), 2],
    "list that begins with a date": [date(2024, 2, 29)],
    "dict": {"b": 1, "a": {"z": None}},
    "dict of odd keys": {
        None: 0,
        True: 1,
        2: "two",
        2.5: "2.5",
        1j: "j",
        b"b": "bytes",
        "s": "str",
        (1, "x"): "tuple",
        frozenset({3}): "frozenset",
        date(2024, 1, 2): "date",
        Decimal("1.10"): "decimal",
        Colour.RED: "enum",
        Mode.READ: "str enum",
        Point(1, 2): "dataclass",
    },
    "dict of a surrogate": {"\udfff": 1, "a": 2},
    "int key": {1: "a"},
    "bool key": {True: "a"},
    "float key": {1.0: "a"},
    "set": {1, "a", (2, 3)},
    "empty set": set(),
    "frozenset": frozenset({b"x", frozenset()}),
    "naive datetime": datetime(2024, 2, 29, 23, 59, 59, 999999),
    "first datetime": datetime.min,
    "last datetime": datetime.max,
    "utc": datetime(2024, 1, 1, tzinfo=UTC),
    "named utc": datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "UTC")),
    "named offset": datetime(2024, 1, 1, tzinfo=CST),
    "nameless offset": datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
    "odd offset": datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1, microseconds=7))),
    "zone": datetime(2024, 7, 1, tzinfo=BERLIN),
    "fold 0": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    "fold 1": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    "naive fold": datetime(2024, 10, 27, 2, 30, fold=1),
    "date": date(1, 1, 1),
    "time": time(1, 2, 3, 4),
    "time with zone": time(1, 2, tzinfo=CST, fold=1),
    "timedelta": timedelta(days=-1, microseconds=1),
    "largest timedelta": timedelta.max,
    "smallest timedelta": timedelta.min,
    "decimal": Decimal("-1.10"),
    "decimal zero": Decimal("-0E+5"),
    "decimal nan": Decimal("-sNaN123"),
    "decimal inf": Decimal("-Infinity"),
    "long decimal": Decimal("1" * 60 + "." + "9" * 60),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "enum": Colour.BLUE,
    "aliased enum": Colour.CRIMSON,
    "int enum": Level.HIGH,
    "flag": Access.READ,
    "flags": Access.READ | Access.WRITE,
    "no flags": Access(0),
    "wide flags": Bits.A | Bits.B,
    "dataclass": User("Ada", owner=Point(1, (2, 3)), tags=["a", {1}]),
    "nested mixture": [{"a": ({1: [frozenset({Point(Level.LOW)})]},)}, User("x", b"\xc7")],
}
