"""Values of every type that the contract names, and of types that no serializer takes.

The classes stand here because they are registered once, for both faces.
"""

from __future__ import annotations

import math
import os
import socket
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from symphra_cache.serializers import register_dataclass, register_enum

DEPTH = 100


@register_enum("contract.colour")
class Colour(Enum):
    RED = "red"
    CRIMSON = "red"  # an alias
    BLUE = (0, 0, 255)


@register_enum("contract.level")
class Level(IntEnum):
    LOW = 1
    HIGH = 2


@register_enum("contract.rights")
class Rights(Flag):
    READ = 1
    WRITE = 2


class Word(StrEnum):
    """Not registered: as a key it is its text."""

    RED = "red"
    BLUE = "blue"


@register_dataclass("contract.point")
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: float


@register_dataclass("contract.order")
@dataclass
class Order:
    number: int
    lines: list[Any] = field(default_factory=list)
    at: Point = Point(0, 0.0)


@register_dataclass("contract.box")
@dataclass(frozen=True)
class Box:
    content: Any


@dataclass
class Unregistered:
    name: str = "nobody"


class UnregisteredColour(Enum):
    RED = 1


Pair = namedtuple("Pair", "left right")


class Plain:
    """An object that pickle alone can store."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return type(other) is Plain and other.parts == self.parts

    __hash__ = None  # type: ignore[assignment]


class Stack(list[int]):
    """A subclass of a builtin."""


class Shifting(tzinfo):
    """A time zone that a program may change."""

    def __init__(self, hours: int = 0) -> None:
        self.hours = hours

    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=self.hours)

    def dst(self, _: datetime | None) -> None:
        return None


class Unloadable:
    """Pickles, and raises when it is made again."""

    def __reduce__(self) -> Any:
        return _refuse, ()


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def _refuse() -> None:
    raise LookupError("no longer what it was")


def _closed_socket() -> socket.socket:
    with socket.socket() as made:
        return made


_BERLIN = ZoneInfo("Europe/Berlin")
_NAMED = timezone(timedelta(hours=5, minutes=30), "India")
_ODD = timezone(-timedelta(hours=3, minutes=4, seconds=5, microseconds=6))

SCALARS: dict[str, object] = {
    "None": None,
    "True": True,
    "False": False,
    "zero": 0,
    "one": 1,
    "minus one": -1,
    "int of 31 bits": 2**31,
    "int of 32 bits": 2**32 - 1,
    "least int of 64 bits": -(2**63),
    "greatest int of 64 bits": 2**63 - 1,
    "int of 64 bits without sign": 2**64 - 1,
    "int of 65 bits": 2**64,
    "negative int of 65 bits": -(2**64) - 1,
    "int of 4,000 bits": 3**2523,
    "negative int of 4,000 bits": -(3**2523),
    "0.0": 0.0,
    "-0.0": -0.0,
    "1.0": 1.0,
    "0.1": 0.1,
    "least float": 5e-324,
    "greatest float": 1.7976931348623157e308,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "complex": 1.5 - 2j,
    "complex of zeros": complex(-0.0, 0.0),
    "complex of nan": complex(math.nan, -math.inf),
    "empty str": "",
    "str": "abc",
    "Chinese": "张三",
    "emoji": "👩‍👩‍👧",
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "two surrogates that are no pair": "\udc00\ud800",
    "long str": "é" * 70_000,
    "digits": "12",
    "empty bytes": b"",
    "bytes": b"\x00\xff",
    "long bytes": bytes(range(256)) * 300,
    "bytes that are text": b"12",
    "bytes like an extension of MessagePack": b"\xc1\xc7\x00\x10",
    "empty bytearray": bytearray(),
    "bytearray": bytearray(b"\x00\xff"),
    "naive datetime": datetime(2024, 2, 29, 23, 59, 59, 999999),
    "folded datetime": datetime(2024, 10, 27, 2, 30, fold=1),
    "least datetime": datetime.min,
    "greatest datetime": datetime.max,
    "UTC datetime": datetime(2024, 1, 1, tzinfo=timezone.utc),  # noqa: UP017
    "named datetime": datetime(2024, 1, 1, tzinfo=_NAMED),
    "oddly shifted datetime": datetime(2024, 1, 1, tzinfo=_ODD),
    "datetime with an empty zone name": datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "")),
    "Berlin datetime": datetime(2024, 10, 27, 2, 30, tzinfo=_BERLIN),
    "folded Berlin datetime": datetime(2024, 10, 27, 2, 30, tzinfo=_BERLIN, fold=1),
    "date": date(2024, 2, 29),
    "least date": date.min,
    "time": time(23, 59, 59, 999999),
    "folded time": time(2, 30, fold=1),
    "named time": time(2, 30, tzinfo=_NAMED),
    "Berlin time": time(2, 30, tzinfo=_BERLIN),
    "timedelta": timedelta(days=1, microseconds=1),
    "negative timedelta": -timedelta(microseconds=1),
    "least timedelta": timedelta.min,
    "greatest timedelta": timedelta.max,
    "Decimal": Decimal("1.10"),
    "Decimal of zeros": Decimal("-0.000"),
    "great Decimal": Decimal("1E+1000"),
    "long Decimal": Decimal("3." + "1415926535" * 10),
    "Decimal nan": Decimal("-NaN123"),
    "Decimal snan": Decimal("sNaN"),
    "Decimal inf": Decimal("-Infinity"),
    "UUID": UUID("12345678-1234-5678-1234-567812345678"),
    "Enum": Colour.BLUE,
    "Enum by its alias": Colour.CRIMSON,
    "IntEnum": Level.HIGH,
    "Flag": Rights.READ | Rights.WRITE,
    "Flag without a bit": Rights(0),
    "frozen dataclass": Point(1, -0.0),
}

_TIMES = (datetime(2024, 1, 1), date(2024, 1, 1), time(1), timedelta(1))

CONTAINERS: dict[str, object] = {
    "empty list": [],
    "list": [1, 1.0, True, "1", b"1", None],
    "empty tuple": (),
    "tuple": (1, "a"),
    "tuple of one": (None,),
    "empty dict": {},
    "dict": {"a": 1, "b": [2]},
    "dict in its order": {"z": 1, "a": 2, "m": 3},
    "dict of all scalar keys": {
        key: name
        for name, key in SCALARS.items()
        if not isinstance(key, bytearray) and name not in {"one", "1.0", "zero", "0.0", "-0.0"}
        if name not in {"False", "complex of zeros", "Decimal snan"}
    },
    "dict of tuple keys": {(1, ("a", b"b")): 1, (): 2},
    "dict of frozenset keys": {frozenset({1, "a"}): 1},
    "dict of float keys": {0.5: 1, -0.0: 2},
    "dict with a surrogate in a key": {"\ud800": 1},
    "dict with the key ''": {"": 1},
    "empty set": set(),
    "set": {1, "a", None, b"", (1, 2)},
    "set of times": set(_TIMES),
    "empty frozenset": frozenset(),
    "frozenset": frozenset({1, "a", frozenset({2})}),
    "list of everything": list(SCALARS.values()),
    "bytearray in containers": {"a": (bytearray(b"x"), [bytearray()])},
    "dataclass": Order(7, [Point(1, 2.0), {"a": (1,)}], Point(3, 4.0)),
    "list like a marked one": [0, [1, 2], {"type": "tuple"}],
    "list of 70,000": list(range(70_000)),
    "dict of 1,000": {str(number): number for number in range(1_000)},
}

VALUES = {**SCALARS, **CONTAINERS}


def nested(kind: str, depth: int) -> object:
    """Return a value of so many containers of a kind, one inside the other."""
    value: object = "core"
    for _ in range(depth):
        value = _WRAPPERS[kind](value)
    return value


_WRAPPERS: dict[str, Any] = {
    "list": lambda value: [value],
    "tuple": lambda value: (value,),
    "dict": lambda value: {"a": value},
    "dict of odd keys": lambda value: {1: value},
    "frozenset": lambda value: frozenset({value}),
    "dataclass": Box,
}
NESTED = tuple(_WRAPPERS)

# What a serializer refuses: the value, how the message names the place, and the type there.
UNSTORABLE: dict[str, tuple[object, str, str]] = {
    "object": (object(), "value", "object"),
    "function": ({"f": [nested]}, "value['f'][0]", "function"),
    "class": ((int,), "value[0]", "type"),
    "namedtuple": ([Pair(1, 2)], "value[0]", "Pair"),
    "OrderedDict": ({"a": OrderedDict()}, "value['a']", "OrderedDict"),
    "subclass of dict": ([type("Mine", (dict,), {})()], "value[0]", "Mine"),
    "subclass of str": ({"a": Word.RED}, "value['a']", "Word"),
    "socket": (
        {"items": [0, 1, 2, Order(1, [_closed_socket()])]},
        "value['items'][3].lines[0]",
        "socket",
    ),
    "dataclass": ({"who": Unregistered()}, "value['who']", "Unregistered"),
    "Enum": ([[UnregisteredColour.RED]], "value[0][0]", "UnregisteredColour"),
    "generator": ((number for number in ()), "value", "generator"),
    "memoryview": (memoryview(b"x"), "value", "memoryview"),
}
