"""What goes into the MessagePack serializer comes out, with the same types all the way down."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serializer_samples import BERLIN, SAMPLES, Access, Bits, Colour, Level, Point, User, same

from symphra_cache import SerializationError
from symphra_cache.serializers import MessagePackSerializer

serializer = MessagePackSerializer()


def there_and_back(value: object) -> object:
    return serializer.loads(serializer.dumps(value))


@pytest.mark.parametrize("value", SAMPLES.values(), ids=SAMPLES.keys())
def test_each_type_comes_back_as_it_was(value: object) -> None:
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("value", SAMPLES.values(), ids=SAMPLES.keys())
def test_each_type_comes_back_from_within_containers(value: object) -> None:
    nested = [{"a": (value, [value])}, value]
    assert same(there_and_back(nested), nested)


def test_the_comparison_itself_tells_types_apart() -> None:
    different = [1, True, 1.0, "1", b"1", [1], (1,), {1}, frozenset({1}), {1: 1}, -0.0, 0.0]
    different += [datetime(2024, 1, 1), datetime(2024, 1, 1, fold=1), Point(1), Colour.RED]
    different += [{1: 0, 2: 0}, {2: 0, 1: 0}, {True: 1}, bytearray(b"1"), Decimal(1), Level.LOW]
    for i, a in enumerate(different):
        assert [j for j, b in enumerate(different) if same(a, b)] == [i]
    zones = [UTC, timezone(timedelta(0), "UTC"), timezone(timedelta(0), "Z"), BERLIN, None]
    moments = [datetime(2024, 1, 1, tzinfo=zone) for zone in zones]
    assert sum(same(a, b) for a in moments for b in moments) == len(zones)


def test_equal_keys_of_other_types_keep_their_types() -> None:
    for key in (1, True, 1.0, Decimal(1), 1 + 0j, Level.LOW):
        ((found, _),) = there_and_back({key: 0}).items()
        assert type(found) is type(key)


def test_the_order_of_a_dict_is_kept() -> None:
    for keys in ("zyxabc", [3, 1, 2], [None, "b", 1, b"a"]):
        assert list(there_and_back(dict.fromkeys(keys))) == list(keys)


def test_a_dict_may_hold_nan_twice() -> None:
    value = {math.nan: 1, float("nan"): 2}
    assert same(there_and_back(value), value)


def test_utc_is_the_very_object() -> None:
    assert there_and_back(datetime.now(UTC)).tzinfo is UTC


def test_a_dataclass_is_restored_without_its_constructor() -> None:
    user = there_and_back(User("Ada"))
    assert user == User("Ada")
    assert "initialised" not in vars(user)


def test_frozen_and_slotted_dataclasses_come_back_as_keys_and_members() -> None:
    value = {Point(1, (2,)): {Point(None)}}
    assert same(there_and_back(value), value)


def test_what_comes_out_is_new() -> None:
    value = [[1], {"a": [2]}, {3}, bytearray(b"x"), ([4],), User("a", tags=[5])]
    found = there_and_back(value)
    for before, after in zip(value, found, strict=True):
        assert before is not after
    assert found[4][0] is not value[4][0]
    assert found[5].tags is not value[5].tags


def nested(depth: int, wrap: object, value: object = ()) -> object:
    for _ in range(depth - 1):
        value = wrap(value)
    return value


WRAPS = {
    "lists": lambda value: [value],
    "tuples": lambda value: (value,),
    "dicts": lambda value: {"a": value},
    "odd dicts": lambda value: {1: value},
    "frozensets": lambda value: frozenset({value}),
    "dataclasses": lambda value: Point(value),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS.keys())
def test_a_depth_of_100_is_kept_and_101_refused(wrap: object) -> None:
    # The innermost is a tuple, so none of these is left to the library alone.
    value = nested(100, wrap)
    assert same(there_and_back(value), value)
    with pytest.raises(SerializationError, match="nested deeper than 100"):
        serializer.dumps(nested(101, wrap))


@pytest.mark.parametrize("depth", [101, 200, 254, 255, 256, 1000, 1022, 1023, 1024, 5000])
@pytest.mark.parametrize("wrap", [WRAPS["lists"], WRAPS["dicts"]], ids=["lists", "dicts"])
def test_what_is_accepted_below_that_can_be_read(depth: int, wrap: object) -> None:
    value = nested(depth, wrap, "end")
    try:
        data = serializer.dumps(value)
    except SerializationError:
        assert depth > 200
    else:
        assert repr(serializer.loads(data)) == repr(value)


def test_a_serializer_can_be_sent_to_another_process() -> None:
    copy = pickle.loads(pickle.dumps(MessagePackSerializer(compress="zlib", compress_over=5)))
    assert (copy.compress, copy.compress_over) == ("zlib", 5)
    assert copy.loads(copy.dumps((1, "a"))) == (1, "a")


text = st.text(st.characters())  # lone surrogates included
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
zones = st.one_of(
    st.none(),
    st.sampled_from([UTC, BERLIN]),
    offsets.map(timezone),
    st.builds(timezone, offsets, text),
)
hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.complex_numbers(),
    text,
    st.binary(),
    st.datetimes(timezones=zones, allow_imaginary=True),
    st.builds(datetime.replace, st.datetimes(), fold=st.integers(0, 1)),
    st.dates(),
    st.times(timezones=zones),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(allow_nil=True),
    st.sampled_from([*Colour, *Level, Access(0), Access(3), Bits.A | Bits.B]),
)
hashable = st.recursive(
    hashable_leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.frozensets(inner, max_size=4),
        st.builds(Point, inner, inner),
    ),
    max_leaves=6,
)
leaves = st.one_of(hashable, st.decimals(), st.binary().map(bytearray))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(text, inner, max_size=5),
        st.dictionaries(hashable, inner, max_size=5),
        st.sets(hashable, max_size=5),
        st.builds(User, text, inner, st.lists(inner, max_size=3)),
    ),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_any_value_comes_back_as_it_was(value: object) -> None:
    assert same(there_and_back(value), value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    for payload in (data, b"\xc1" + data):
        try:
            value = serializer.loads(payload)
        except Exception:
            continue
        assert same(there_and_back(value), value)


def test_every_listed_type_is_in_the_samples() -> None:
    kinds = {type(value) for value in SAMPLES.values()}
    assert {date, time, timedelta, UUID, Decimal, complex, bytearray, frozenset} <= kinds
