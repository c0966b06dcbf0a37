"""Templates of keys: what a field may be, what stands in the key, which templates are refused."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from symphra_cache._call_keys import call_key
from symphra_cache._patterns import compile_pattern
from symphra_cache.exceptions import ConfigurationError, InvalidKeyError, UnkeyableArgumentError


def orders(user_id: Any, page: Any = 1, *more: Any, size: Any = 20, **options: Any) -> None: ...
def one(x: Any) -> None: ...


class User(NamedTuple):
    id: Any
    tags: Any = ()


class Shelf:
    def __init__(self, number: int) -> None:
        self.number = number

    def book(self, at: Any) -> None: ...


class Colour(Enum):
    RED = "red"
    NESTED = StrEnum("Inner", ["DEEP"]).DEEP


class Level(IntEnum):
    LOW = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("orders:{user_id}", "orders:7"),
        ("{user_id}", "7"),
        ("{page}{size}", "120"),
        ("{{{user_id}}}*'\"\\ \n é", "{7}*'\"\\ \n é"),
        ("{user_id:05d}/{size:x}", "00007/14"),
        ("{more[0]}:{options[lang]}", "m:de"),
        ("{options[lang]:>4}", "  de"),
        ("{more[1].id}", "9"),
        ("{more[1].tags[0][a b]}:{more[1][0]}", "x:9"),
        ("no field", "no field"),
    ],
)
def test_the_key_of_a_template(template: str, key: str) -> None:
    made = call_key(orders, template)
    assert made(7, 1, "m", User(9, [{"a b": "x"}]), lang="de") == key
    assert bool((compile_pattern(made.pattern) or bool)(key))


def test_one_key_however_a_call_is_written() -> None:
    key = call_key(orders, "o:{user_id}:{page}")
    assert key(7) == key(user_id=7) == key(7, 1) == key(7, size=9) == "o:7:1"


def test_a_wrong_call_gets_the_functions_own_error() -> None:
    with pytest.raises(TypeError, match=r"^orders\(\) missing 1 required positional"):
        call_key(orders, "o:{user_id}")()


def test_self_enters_by_what_tells_it_apart() -> None:
    assert call_key(Shelf.book, "{self.number}:{at}")(Shelf(3), "x") == "3:x"
    assert call_key(Shelf(3).book, "{self.number}:{at}")("x") == "3:x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "None"), (True, "True"), (1.5, "1.5"), (math.inf, "inf"), ("it's", "it's")),
        *((10**50, "1" + "0" * 50), (Decimal("1.50"), "1.50"), (Fraction(1, 3), "1/3")),
        *((UUID(int=7), "00000000-0000-0000-0000-000000000007"), (date(2024, 2, 29), "2024-02-29")),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29 00:00:00+00:00"),
        *((time(1, 2), "01:02:00"), (timedelta(1), "1 day, 0:00:00")),
        *((PurePosixPath("/a"), "/a"), (ip_address("10.0.0.1"), "10.0.0.1")),
        (ip_address("::ffff:1.2.3.4"), "0000:0000:0000:0000:0000:ffff:0102:0304"),
        (ip_address("fe80::1%eth0"), "fe80:0000:0000:0000:0000:0000:0000:0001%eth0"),
        *((Colour.RED, "red"), (Colour.NESTED, "deep"), (Level.LOW, "1"), (~Rights.READ, "2")),
    ],
)
def test_the_plain_text_of_a_value(value: object, text: str) -> None:
    assert call_key(one, "{x}")(value) == text


def test_the_plain_text_of_a_decimal_does_not_depend_on_the_context() -> None:
    with localcontext() as context:
        context.capitals = 0
        assert call_key(one, "{x}")(Decimal("1E+40")) == "1E+40"


def test_a_format_is_given_the_value_of_a_member() -> None:
    assert call_key(one, "{x:03}")(Level.LOW) == "001"
    assert call_key(one, "{x:%Y-%m}")(date(2024, 2, 29)) == "2024-02"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("template", "value", "why"),
    [
        ("{x}", object(), "is an object of type object, which has no lasting plain text"),
        ("{x}", b"x", "is an object of type bytes"),
        ("{x}", (1,), "is an object of type tuple"),
        ("{x[0]}", ([],), "holds an object of type list"),
        ("{x}", Text("x"), r"is an object of type test_key_templates\.Text"),
        ("{x}", type("Decimal", (), {})(), r"is an object of type test_key_templates\.Decimal"),
        ("{x:05d}", "7", "does not fit: .*'d'"),
        ("{x:5}", None, "does not fit: "),
        ("{x}", 10**6000, "does not fit: "),
        ("{x[a]}", [1], "does not fit: "),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_an_unkeyable_argument_is_named(template: str, value: object, why: str) -> None:
    with pytest.raises(UnkeyableArgumentError, match=rf"one\(\): argument 'x' {why}") as raised:
        call_key(one, template)(value)
    assert "or give a function" in str(raised.value)
    assert "0x" not in str(raised.value)


def test_what_an_argument_lacks_is_told_by_python() -> None:
    with pytest.raises(AttributeError, match="number"):
        call_key(one, "{x.number}")(1)
    with pytest.raises(KeyError, match="a"):
        call_key(one, "{x[a]}")({})


def test_a_key_that_is_not_legal_is_refused() -> None:
    key = call_key(one, "{x}")
    for wrong in ("", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidKeyError):
            key(wrong)
    assert key("é" * 512) == "é" * 512


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("user:{usr_id}", "{usr_id} is unknown; did you mean {user_id}?"),
        ("{zzz}", "{zzz} is unknown; valid: {user_id}, {page}, {more}, {size}, {options}"),
        ("{user_id!r}", "!r is not allowed"),
        ("{}", "{} must name a parameter"),
        ("{0}", "{0} must name a parameter"),
        ("{user_id.}", "{user_id.} must name a parameter"),
        ("{user_id[]}", "{user_id[]} must name a parameter"),
        ("{user_id.1}", ".1 is no attribute"),
        ("{user_id.class}", ".class is no attribute"),
        ("{user_id:{page}}", "the format of {user_id} must be fixed"),
        ("{user_id", "expected '}'"),
        ("user_id}", "Single '}'"),
        ("", "key must not be empty"),
        ("x" * 1025, "key=a str of length 1025 is no template: key must be at most 1024"),
        ("\ud800{page}", "lone surrogate"),
    ],
)
def test_a_wrong_template_is_refused_at_once(template: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        call_key(orders, template)


def test_the_pattern_takes_the_literal_parts_literally() -> None:
    assert call_key(orders, "o*[{user_id}]?\\{page}").pattern == "o\\*\\[*]\\?\\\\*"
    assert call_key(orders, "plain").pattern == "plain"
