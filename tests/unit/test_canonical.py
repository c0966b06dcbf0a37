"""Texts of arguments: what each value is written as, and that no two share a text."""

from __future__ import annotations

import ast
import io
import math
import struct
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphra_cache._canonical import MAX_DEPTH, Refused, canonical

patient = settings(max_examples=200, deadline=None)
HERE = __name__


class Colour(Enum):
    RED = "red"
    ROT = "red"


Odd = Enum("Odd", {"two words": 1, "é": 2})


class Level(IntEnum):
    LOW = 1


class Mood(StrEnum):
    GOOD = "good"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Bits(IntFlag):
    ONE = 1


class Place(NamedTuple):
    x: int
    name: str


Pair = namedtuple("Pair", "x name")


@dataclass
class User:
    number: int

    def __cache_key__(self) -> object:
        return self.number


class Admin(User):
    """A subclass, whose rights differ."""


class Tagged:
    __cache_key__ = ("tag", 1)


class Own:
    def __init__(self, key: object) -> None:
        self.__cache_key__ = key


class Proxy:
    def __getattr__(self, name: str) -> str:
        return name


BERLIN = ZoneInfo("Europe/Berlin")
WRITTEN: list[tuple[Any, str]] = [
    (None, "None"),
    (True, "True"),
    (1, "1"),
    (-7, "-7"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (1e300, "1e+300"),
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (1 - 2j, "complex(1.0,-2.0)"),
    (complex(-0.0, 2), "complex(-0.0,2.0)"),
    ("1", "'1'"),
    ("it's\n", '"it\'s\\n"'),
    ("it's über \\", "'it\\'s über \\\\'"),
    ("é\u2028\x85\ud800\U0001f600", "'é\\u2028\\u0085\\ud800\U0001f600'"),
    (b"a\x00'", 'b"a\\x00\'"'),
    (bytearray(b"a"), "bytearray(b'a')"),
    ((), "()"),
    ((1,), "(1,)"),
    ([1, (2, "x")], "[1,(2,'x')]"),
    ({"b": 1, "a": [2], 3: None}, "{'a':[2],'b':1,3:None}"),
    (set(), "set()"),
    ({3, "x", 2.0, None}, "{'x',2.0,3,None}"),
    (frozenset(), "frozenset(set())"),
    (frozenset({(2, 1), 1}), "frozenset({(2,1),1})"),
    (range(1, 9, 2), "range(1,9,2)"),
    (slice(None, 3), "slice(None,3,None)"),
    (date(2024, 2, 29), "date(2024-02-29)"),
    (datetime(2024, 2, 29, 1, 2, 3), "datetime(2024-02-29T01:02:03)"),
    (
        datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=BERLIN, fold=1),
        "datetime(2024-02-29T01:02:03.000004,ZoneInfo('Europe/Berlin'),fold=1)",
    ),
    (
        datetime(2024, 2, 29, tzinfo=UTC),
        "datetime(2024-02-29T00:00:00,timezone(timedelta(0,0,0),'UTC'))",
    ),
    (time(1, 2, tzinfo=BERLIN), "time(01:02:00,ZoneInfo('Europe/Berlin'))"),
    (timedelta(-1, 5, 7), "timedelta(-1,5,7)"),
    (timezone(timedelta(hours=1), "X"), "timezone(timedelta(0,3600,0),'X')"),
    (Decimal("1.50"), "Decimal(1.50)"),
    (Decimal("-1E+400"), "Decimal(-1E+400)"),
    (Decimal("Infinity"), "Decimal(Infinity)"),
    (Decimal("-sNaN7"), "Decimal(-sNaN7)"),
    (Fraction(2, -6), "Fraction(-1,3)"),
    (UUID(int=7), "UUID(00000000-0000-0000-0000-000000000007)"),
    (PurePosixPath("/a/'b"), 'PurePosixPath("/a/\'b")'),
    (PureWindowsPath("C:/a"), "PureWindowsPath('C:\\\\a')"),
    (ip_address("10.0.0.1"), "IPv4Address(10.0.0.1)"),
    (ip_network("10.0.0.0/8"), "IPv4Network(10.0.0.0/8)"),
    (ip_interface("10.0.0.1/8"), "IPv4Interface(10.0.0.1/8)"),
    (
        ip_address("::ffff:1.2.3.4%eth0"),
        "IPv6Address(0000:0000:0000:0000:0000:ffff:0102:0304,'eth0')",
    ),
    (
        ip_network("ff00::/8"),
        "IPv6Network(IPv6Address(ff00:0000:0000:0000:0000:0000:0000:0000),8)",
    ),
    (ip_interface("::1/64"), "IPv6Interface(0000:0000:0000:0000:0000:0000:0000:0001/64)"),
    (Colour.ROT, f"{HERE}:Colour.RED"),
    (Odd["two words"], f"{HERE}:Odd['two words']"),
    (Odd["é"], f"{HERE}:Odd['é']"),
    (Level.LOW, f"{HERE}:Level.LOW"),
    (Mood.GOOD, f"{HERE}:Mood.GOOD"),
    (Rights.READ | Rights.WRITE, f"{HERE}:Rights(3)"),
    (Bits.ONE | 4, f"{HERE}:Bits(5)"),
    (Place(1, "x"), f"{HERE}:Place(1,'x')"),
    (Pair(1, "x"), f"{HERE}:Pair(1,'x')"),
    (int, "<class builtins:int>"),
    (Colour, f"<class {HERE}:Colour>"),
    (User(7), f"{HERE}:User(7)"),
    (Admin(7), f"{HERE}:Admin(7)"),
    (Tagged(), f"{HERE}:Tagged(('tag',1))"),
    (Own({"b": {2, 1}}), f"{HERE}:Own({{'b':{{1,2}}}})"),
    ([User(1)], f"[{HERE}:User(1)]"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=[text[:40] for _, text in WRITTEN])
def test_a_value_is_written_as(value: object, text: str) -> None:
    assert canonical(value) == text


def test_no_two_of_them_are_written_alike() -> None:
    texts = [text for _, text in WRITTEN]
    assert len({*texts}) == len(texts)


def test_the_order_of_a_dict_and_a_set_counts_as_nothing() -> None:
    assert canonical({"a": 1, "b": {2: 3, 1: 4}}) == canonical({"b": {1: 4, 2: 3}, "a": 1})
    assert canonical({8, 0, 16}) == canonical({16, 8, 0})  # these collide in the table
    assert canonical({frozenset({8, 0}): 1}) == canonical({frozenset({0, 8}): 1})


def test_an_integer_may_have_any_size() -> None:
    # Beyond what Python turns into decimal digits.
    assert canonical(10**5000) != canonical(10**5000 + 1)
    assert canonical(-(1 << 20000)) == f"-0x1{'0' * 5000}"


def test_a_decimal_does_not_depend_on_the_context() -> None:
    value = Decimal("1E+40")
    with localcontext() as context:
        context.capitals = 0
        assert canonical(value) == "Decimal(1E+40)"


def test_no_type_of_the_same_name_is_taken_for_a_known_one() -> None:
    with pytest.raises(Refused, match=r"test_canonical\.Decimal"):
        canonical(type("Decimal", (Decimal,), {})(1))


def test_a_time_zone_needs_a_key() -> None:
    header = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    zone = ZoneInfo.from_file(io.BytesIO(header + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"))
    with pytest.raises(Refused, match="a ZoneInfo without a key"):
        canonical([datetime(2024, 1, 1, tzinfo=zone)])


@pytest.mark.parametrize(
    "name",
    ["a:b", "a,b", "a(1", "é", "", "a'b"],
)
def test_a_strange_name_of_a_type_is_quoted(name: str) -> None:
    kind = type(name, (User,), {"__module__": "a.b"})
    assert canonical(kind(1)) == f"'a.b':{canonical(name)}(1)"


def test_a_class_in_a_class_is_not_one_of_a_module_of_that_name() -> None:
    inner = type("C", (User,), {"__module__": "a", "__qualname__": "B.C"})
    outer = type("C", (User,), {"__module__": "a.B"})
    assert canonical(inner(1)) != canonical(outer(1))


def local_class() -> type:
    class Local:
        pass

    return Local


class Text(str):
    """As many programs have one."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "an object of type object, of which no lasting text is known"),
        (Proxy(), r"of type .*\.Proxy,"),
        (Text("x"), r"of type .*\.Text,"),
        (OrderedDict(), "of type collections.OrderedDict"),
        (len, "of type builtin_function_or_method"),
        (list[int], r"of type types\.GenericAlias"),
        (memoryview(b""), "of type memoryview"),
        (local_class(), r"local_class\.<locals>\.Local, a class made inside a function"),
        (datetime(2024, 1, 1, tzinfo=type("Zone", (tzinfo,), {})()), r"of type .*\.Zone"),
    ],
)
def test_a_value_without_a_lasting_text_is_refused(value: object, why: str) -> None:
    with pytest.raises(Refused, match=why):
        canonical(value)


def test_a_member_of_a_local_enum_or_tuple_is_refused() -> None:
    class Here(Enum):
        ONE = 1

    class Spot(NamedTuple):
        x: int

    for value in (Here.ONE, Spot(1)):
        with pytest.raises(Refused, match="a class made inside a function"):
            canonical(value)


def test_a_local_class_may_say_its_key() -> None:
    class Local(User):
        pass

    assert canonical(Local(1)) == f"{HERE}:{Local.__qualname__}(1)"


def test_a_subclass_can_take_its_key_back() -> None:
    with pytest.raises(Refused):
        canonical(type("Without", (User,), {"__cache_key__": None})(1))


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_nesting_is_bounded() -> None:
    assert canonical(nested(MAX_DEPTH)) == "[" * MAX_DEPTH + "]" * MAX_DEPTH
    with pytest.raises(Refused, match="nested deeper than 100 levels"):
        canonical(nested(MAX_DEPTH + 1))


def test_a_container_that_holds_itself_is_named() -> None:
    ring: list[Any] = []
    ring.append({"again": (ring, ring)})
    with pytest.raises(Refused, match="that holds itself"):
        canonical(ring)
    own = Own(None)
    own.__cache_key__ = own
    with pytest.raises(Refused, match=r"a .*\.Own that holds itself"):
        canonical(own)


def test_an_error_of_the_programs_own_passes() -> None:
    class Broken:
        @property
        def __cache_key__(self) -> str:
            raise LookupError("no number yet")

    with pytest.raises(LookupError, match="no number yet"):
        canonical(Broken())


# Few and hostile characters, so that two drawn values are often nearly the same.
texts = st.text(st.sampled_from("'\"\\,():1aé\n\x85\u2028\ud800{}"), max_size=4) | st.text()
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(-2, 2), st.integers(), texts),
    *(st.binary(max_size=3), st.floats(), st.complex_numbers(), st.decimals()),
    *(st.datetimes(timezones=st.none() | st.timezones()), st.uuids(), st.fractions()),
    *(st.dates(), st.times(), st.timedeltas(), st.ip_addresses(), texts.map(User)),
    st.sampled_from([*Colour, *Odd, *Level, *Mood, *Bits, Rights(3), int, User]),
)
literals = st.one_of(
    st.none(), st.booleans(), st.integers(), texts, st.binary(), st.floats(allow_nan=False)
).filter(lambda value: value not in (math.inf, -math.inf))


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, max_size=3)
    members = st.one_of(st.integers(-1, 1), st.booleans(), texts)
    return st.one_of(
        *(few, few.map(tuple), st.dictionaries(members, inner, max_size=3)),
        *(st.sets(members, max_size=3), st.builds(Place, inner, inner)),
    )


values = st.recursive(scalars, containers, max_leaves=6)


def same(one: Any, other: Any) -> bool:
    """Tell whether nobody can tell two values apart, an order of sets and dicts left aside."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return in_pairs(one, other)
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(x, y) for y in other) for x in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (float, complex, Decimal)):
        return repr(one) == repr(other)
    if isinstance(one, (datetime, time)):
        return (repr(one), one.fold) == (repr(other), other.fold)
    return bool(one == other)


def in_pairs(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    return len(one) == len(other) and all(
        any(same(pair, each) for each in other.items()) for pair in one.items()
    )


@patient
@given(values, values)
def test_two_values_share_a_text_only_if_they_are_the_same(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == same(one, other)


@patient
@given(values, st.data())
def test_a_copy_has_the_same_text(value: object, data: st.DataObject) -> None:
    def shuffled(each: Any) -> Any:
        if type(each) is dict:
            return {key: shuffled(each[key]) for key in data.draw(st.permutations([*each]))}
        if type(each) in (list, tuple, set, frozenset):
            return type(each)(map(shuffled, each))
        return each

    assert canonical(shuffled(value)) == canonical(value)


@patient
@given(st.recursive(literals, containers, max_leaves=8).filter(lambda v: "Place" not in repr(v)))
def test_a_text_of_literals_can_be_read_back(value: object) -> None:
    text = canonical(value)
    assert canonical(ast.literal_eval(text)) == text
    assert same(ast.literal_eval(text), value)


@patient
@given(values)
def test_a_text_can_be_encoded_and_shown_on_a_line(value: object) -> None:
    text = canonical(value)
    assert text.encode()
    assert len(text.splitlines()) == 1
