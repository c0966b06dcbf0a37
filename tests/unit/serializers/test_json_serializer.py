"""The JSON serializer: what it keeps, what it refuses, what hostile text can do to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from enum import IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serializer_samples import Pair, same

from symphra_cache import SerializationError
from symphra_cache.serializers import JSONSerializer

serializer = JSONSerializer()


def there_and_back(value: object) -> object:
    return serializer.loads(serializer.dumps(value))


text = st.text(st.characters())
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        text,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(text, inner, max_size=5)),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_any_value_that_json_has_comes_back_as_it_was(value: object) -> None:
    assert same(there_and_back(value), value)


def test_every_str_comes_back_as_it_was() -> None:
    for value in ("\ud83d\ude00", "\ud800", "\udfff\ud800", "😀", '\0\x7f\u2028"\\/\n', "漢字"):
        assert there_and_back(value) == value
        assert there_and_back({value: [value]}) == {value: [value]}


def test_the_payload_is_plain_json() -> None:
    data = serializer.dumps({"ä": [1, -0.0, None, True, "漢"]})
    assert data == '{"ä":[1,-0.0,null,true,"漢"]}'.encode()
    assert json.loads(data) == {"ä": [1, -0.0, None, True, "漢"]}


class Level(IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


REFUSED = {
    "a tuple": ({"a": [(1,)]}, "value['a'][0]: tuple can't"),
    "a set": ([{1}], "value[0]: set can't"),
    "bytes": ([b"a"], "value[0]: bytes can't"),
    "a namedtuple": (Pair(1, 2), "value: Pair can't"),
    "an OrderedDict": (OrderedDict(), "value: OrderedDict can't"),
    "nan": ([0.0, float("nan")], "value[1]: nan can't"),
    "inf": ({"a": float("inf")}, "value['a']: inf can't"),
    "an int key": ({"a": {1: 2}}, "value['a'].keys()[0]: int (a key) can't"),
    "a None key": ({"a": 1, None: 2}, "value.keys()[1]: NoneType (a key) can't"),
    "a str subclass as a key": ({Text("a"): 2}, "value.keys()[0]: Text (a key) can't"),
    "a str subclass": ([Text("a")], "value[0]: Text can't"),
    "an IntEnum": ([Level.LOW], "value[0]: Level can't"),
    "a Decimal": ([Decimal(1)], "value[0]: Decimal can't"),
    "a date": ([date(2024, 1, 1)], "value[0]: date can't"),
    "complex": ([1j], "value[0]: complex can't"),
    "too many digits": ([10**4300], "value[0]: an int of more than 4300 digits can't"),
    "too many negative digits": (-(10**4300), "value: an int of more than 4300 digits"),
    "an object": ({"a": object()}, "value['a']: object can't"),
}


@pytest.mark.parametrize(("value", "start"), REFUSED.values(), ids=REFUSED.keys())
def test_what_json_would_change_is_refused_with_its_path(value: object, start: str) -> None:
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(value)
    assert str(caught.value).startswith(start)
    assert "stored by JSONSerializer; " in str(caught.value)
    assert "convert" in str(caught.value)


def test_the_longest_integers_come_back() -> None:
    for value in (10**4300 - 1, -(10**4300) + 1):
        assert there_and_back(value) == value


def test_a_lower_limit_of_digits_is_an_error_not_a_surprise() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(SerializationError):
            serializer.dumps([10**700])
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("kind", [list, dict])
def test_a_depth_of_100_is_kept_and_101_refused(kind: type) -> None:
    def nested(depth: int) -> object:
        value: object = kind()
        for _ in range(depth - 1):
            value = [value] if kind is list else {'"]}': value}
        return value

    assert there_and_back(nested(100)) == nested(100)
    with pytest.raises(SerializationError, match="nested deeper than 100"):
        serializer.dumps(nested(101))
    with pytest.raises(ValueError, match="nested too deeply"):
        serializer.loads(json.dumps(nested(101)).encode())


def test_many_brackets_side_by_side_are_not_deep() -> None:
    value = [{"a[{\\": [[], {}]}] * 500 + ["[" * 500, '"{' * 500]
    assert there_and_back(value) == value


def test_circles_are_refused() -> None:
    circle: list[object] = []
    circle += [circle] * 10
    with pytest.raises(SerializationError, match="contains itself"):
        serializer.dumps(circle)


NOT_JSON = [
    *(b"", b"[", b"1 2", b"[1],", b"NaN", b"[Infinity]", b"-Infinity", b"\xff", b'"\xed"'),
    *(b"01", b"[1,]", b"'a'", b'"a', b'"\\', b"9" * 5000, b"[" * 101 + b"}" * 101),
    *("[]".encode("utf-16"), b"\xef\xbb\xbf[]"),
]


@pytest.mark.parametrize("data", NOT_JSON)
def test_what_is_not_json_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own, of many texts
        serializer.loads(data)


HOSTILE = """
import sys, time
from symphra_cache.serializers import JSONSerializer

sys.setrecursionlimit(10**9)  # as programs do that recurse deeply themselves
loads = JSONSerializer().loads
start = time.monotonic()
for data in (
    b"[" * 5_000_000,
    b'{"a":' * 3_000_000,
    b'[' * 2_000_000 + b']' * 2_000_000,
    b'["a",' * 2_000_000,
    b'[' * 101 + b'"' + b'\\\\"' * 3_000_000,
    b'[' * 101 + b'"' * 3_000_001,
    b'[' * 200 + b'[],' * 1_000_000,
):
    try:
        loads(data)
    except ValueError:
        continue
    sys.exit("read " + repr(data[:20]))
print(f"{time.monotonic() - start:.2f} s")
"""


def test_hostile_nesting_costs_neither_the_process_nor_much_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout.split()[0]) < 20
