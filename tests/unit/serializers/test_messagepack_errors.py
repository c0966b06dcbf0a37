"""What the MessagePack serializer refuses, and how its errors lead to the culprit."""

from __future__ import annotations

import collections
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from enum import Enum, Flag

import ormsgpack
import pytest
from serializer_samples import Pair, Point, User

from symphra_cache import SerializationError
from symphra_cache.serializers import MessagePackSerializer, register_dataclass

serializer = MessagePackSerializer()


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Row(dict):
    pass


class Moment(datetime):
    pass


class Odd(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(0)


class Unlisted(Enum):
    A = 1


class UnlistedFlag(Flag):
    A = 1


@dataclass
class Plain:
    a: int = 1


@dataclass(frozen=True, slots=True)
class Derived(Point):
    z: int = 0


def message(value: object) -> str:
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(value)
    return str(caught.value)


with socket.socket() as _closed:
    SOCKET = _closed

PATHS = {
    "value: ": SOCKET,
    "value[1]: ": [1, SOCKET],
    "value[1][0]: ": [1, (SOCKET,)],
    "value['items'][3].owner: ": {"items": [1, 2, 3, User("a", owner=SOCKET)]},
    "value[b'k']: ": {b"k": SOCKET},
    "value[None]['x']: ": {None: {"x": SOCKET}},
    "value[tuple]: ": {(1, 2): SOCKET},
    "value[int]: ": {3**9000: SOCKET},
    "value.keys()[1]: ": {"a": 1, SOCKET: 2},
    "value.keys()[0][1]: ": {(1, SOCKET): 2},
    "value{...}: ": {SOCKET},
    "value{...}[0]: ": frozenset({(SOCKET,)}),
    "value.x.y[0]: ": Point(Point(1, y=[SOCKET])),
    f"value['{'k' * 40}'...]: ": {"k" * 100: SOCKET},
}


@pytest.mark.parametrize(("path", "value"), PATHS.items(), ids=PATHS.keys())
def test_the_error_names_the_path_and_the_remedies(path: str, value: object) -> None:
    text = message(value)
    assert text.startswith(f"{path}socket can't be stored by MessagePackSerializer; ")
    for remedy in ("register_dataclass", "register_enum", "convert", "PickleSerializer"):
        assert remedy in text


REFUSED = {
    "a namedtuple": (Pair(1, 2), "Pair can't", "plain tuple"),
    "an OrderedDict": (collections.OrderedDict(a=1), "OrderedDict can't", "plain dict"),
    "a defaultdict": (collections.defaultdict(int), "defaultdict can't", "plain dict"),
    "a Counter": (collections.Counter("a"), "Counter can't", "plain dict"),
    "a str subclass": (Text("a"), "Text can't", "plain str"),
    "an int subclass": (Number(1), "Number can't", "plain int"),
    "a dict subclass": (Row(a=1), "Row can't", "plain dict"),
    "a str subclass as a key": ({Text("a"): 1}, "value.keys()[0]: Text can't", "plain str"),
    "a datetime subclass": (Moment(2024, 1, 1), "Moment can't", "convert"),
    "a memoryview": (memoryview(b"abc"), "memoryview can't", "convert it to bytes"),
    "a memoryview beside bytes": ([b"", memoryview(b"a")], "value[1]: memoryview", "bytes"),
    "an extension of the library's": (ormsgpack.Ext(1, b""), "Ext can't", "convert"),
    "one within a tuple": ((ormsgpack.Ext(1, b""),), "value[0]: Ext can't", "convert"),
    "a range": (range(3), "range can't", "convert"),
    "a class": (int, "type can't", "convert"),
    "a function": (len, "builtin_function_or_method can't", "convert"),
    "an unregistered enum": (Unlisted.A, "Unlisted can't", "register_enum(Unlisted, name)"),
    "an unregistered flag": (UnlistedFlag.A, "UnlistedFlag can't", "register_enum"),
    "an unregistered dataclass": (Plain(), "Plain can't", "register_dataclass(Plain, name)"),
    "a subclass of a registered one": (Derived(1), "Derived can't", "register_dataclass"),
    "an unknown kind of zone": (
        datetime(2024, 1, 1, tzinfo=Odd()),
        "value.tzinfo: Odd can't",
        "ZoneInfo",
    ),
}

if hasattr(ormsgpack, "Fragment"):  # since 1.11
    raw = [ormsgpack.Fragment(b"\xc4\x00")]
    REFUSED["raw MessagePack"] = (raw, "value[0]: Fragment can't", "convert")
    REFUSED["raw MessagePack in a tuple"] = ((raw,), "value[0][0]: Fragment can't", "convert")


@pytest.mark.parametrize(("value", "culprit", "remedy"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_come_back_as_something_else_is_refused(
    value: object, culprit: str, remedy: str
) -> None:
    text = message(value)
    assert culprit in text
    assert remedy in text


def test_a_bytearray_beside_plain_values_is_seen() -> None:
    for value in ([1, bytearray(b"a")], {"a": {"b": bytearray()}}, [[[bytearray(300)]]]):
        assert serializer.loads(serializer.dumps(value)) == value
        assert "bytearray" in repr(serializer.loads(serializer.dumps(value)))


def test_circles_are_refused() -> None:
    for circle in ([], {}, (holder := []), User("a")):
        if isinstance(circle, list):
            circle += [circle] * 10  # broad, too: a walk in breadth would never end
        elif isinstance(circle, dict):
            circle["a"] = circle
        else:
            circle.owner = circle
        assert "contains itself, or is nested deeper than 100" in message(circle)
    holder[:] = [(holder,)]
    assert "contains itself" in message(holder)


def test_a_long_path_is_shortened_in_the_middle() -> None:
    value: object = SOCKET
    for number in range(60):
        value = [0] * number + [value]
    text = message((value,))
    assert "[59]" in text
    assert " ... " in text
    assert "[1][0]: socket can't" in text
    assert "[30]" not in text


def test_deep_nesting_is_an_error_on_a_deep_stack_too() -> None:
    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else message([(1,), *nested(5000)])

    assert "nested deeper" in deeper(700)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_a_field_without_a_value_is_named() -> None:
    register_dataclass(Derived, "errors.derived")
    half = object.__new__(Derived)
    object.__setattr__(half, "x", 1)
    text = message([half])
    assert text.startswith("value[0].y: ")
    assert "no value" in text


def test_a_zone_without_a_name_for_it_is_refused() -> None:
    from zoneinfo import TZPATH, ZoneInfo

    for folder in TZPATH:
        try:
            with open(f"{folder}/Europe/Berlin", "rb") as data:
                nameless = ZoneInfo.from_file(data)
        except OSError:
            continue
        assert "value.tzinfo: ZoneInfo" in message(datetime(2024, 1, 1, tzinfo=nameless))
        return
    pytest.fail("no time zones on this system")


def test_an_enum_member_that_its_class_does_not_list_is_refused() -> None:
    from symphra_cache.serializers import register_enum

    class Open(Enum):
        A = 1

    register_enum(Open, "errors.open")
    stray = object.__new__(Open)
    stray._name_, stray._value_ = "STRAY", 5
    assert "does not list" in message([stray])


def test_timezones_without_a_name_have_none_afterwards() -> None:
    zone = timezone(timedelta(hours=1))
    found = serializer.loads(serializer.dumps(datetime(2024, 1, 1, tzinfo=zone)))
    assert repr(found.tzinfo) == repr(zone)
