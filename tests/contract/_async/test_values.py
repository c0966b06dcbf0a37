# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What a value is: everything comes back equal and with the same types, or is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symphra_cache import (
    MISSING,
    CacheError,
    CacheManager,
    SerializationError,
    ValueTooLargeError,
)

from .. import samples
from ..compare import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends import Kit

WAYS_IN: dict[str, Callable[[CacheManager, Any], Any]] = {
    "set": lambda cache, value: cache.aset("k", value),
    "add": lambda cache, value: cache.aadd("k", value),
    "set_many": lambda cache, value: cache.aset_many({"other": 1, "k": value, "third": 2}),
}
WAYS_OUT: dict[str, Callable[[CacheManager], Any]] = {
    "get": lambda cache: cache.aget("k", MISSING),
    "get_many": lambda cache: cache.aget_many(["k"]),
    "pop": lambda cache: cache.apop("k", MISSING),
}


async def test_a_value_comes_out_as_it_went_in(cache: CacheManager) -> None:
    for name, value in samples.VALUES.items():
        await cache.aset(name, value)
        assert difference(await cache.aget(name, MISSING), value, name) is None
    for name, value in samples.VALUES.items():
        assert difference(await cache.aget(name, MISSING), value, name) is None


@pytest.mark.parametrize("way_out", WAYS_OUT)
@pytest.mark.parametrize("way_in", WAYS_IN)
async def test_every_way_in_and_out_keeps_types(
    cache: CacheManager, way_in: str, way_out: str
) -> None:
    value = samples.CONTAINERS["list of everything"]
    await WAYS_IN[way_in](cache, value)
    found = await WAYS_OUT[way_out](cache)
    assert difference(found["k"] if way_out == "get_many" else found, value) is None


async def test_values_of_other_types_that_are_equal_keep_their_own(cache: CacheManager) -> None:
    alike = {"int": 1, "float": 1.0, "bool": True, "complex": 1 + 0j, "int enum": samples.Level.LOW}
    await cache.aset_many(alike)
    found = await cache.aget_many(alike)
    assert difference(found, alike) is None
    for name, value in alike.items():
        await cache.aset("same key", value)
        assert difference(await cache.aget("same key"), value, name) is None


async def test_a_dict_keeps_its_order(cache: CacheManager) -> None:
    value = {str(number): number for number in (3, 1, 2, 10, 0)}
    value["1"] = "changed"  # type: ignore[assignment]
    await cache.aset("k", value)
    assert list((await cache.aget("k")).items()) == list(value.items())


async def test_values_nest_to_depth_100(cache: CacheManager) -> None:
    for kind in samples.NESTED:
        value = samples.nested(kind, samples.DEPTH)
        await cache.aset(kind, value)
        assert difference(await cache.aget(kind), value, kind) is None


@pytest.mark.parametrize("kind", samples.NESTED)
async def test_what_is_nested_deeper_is_kept_whole_or_refused(
    cache: CacheManager, kind: str
) -> None:
    for depth in (101, 128, 200, 255, 256, 500, 1023, 1024, 1025, 5_000):
        value = samples.nested(kind, depth)
        await cache.aset("k", "kept")
        try:
            await cache.aset("k", value)
        except SerializationError as error:
            assert "nested" in str(error)  # noqa: PT017
            assert await cache.aget("k") == "kept"
        else:
            assert _depth(await cache.aget("k")) == depth


def _depth(value: Any) -> int:
    """Count containers without calling oneself, as `==` would."""
    depth = 0
    while value != "core":
        depth += 1
        if type(value) is samples.Box:
            value = value.content
        else:
            (value,) = value.values() if type(value) is dict else value
    return depth


@pytest.mark.needs("serializer")
async def test_a_serializer_refuses_a_value_that_contains_itself(cache: CacheManager) -> None:
    circle: list[Any] = [1]
    circle.append({"again": circle})
    with pytest.raises(SerializationError):
        await cache.aset("k", circle)
    assert not await cache.aexists("k")


@pytest.mark.needs("any_object")
async def test_memory_keeps_a_value_that_contains_itself(cache: CacheManager) -> None:
    circle: list[Any] = [1]
    circle.append({"again": circle})
    await cache.aset("k", circle)
    found = await cache.aget("k")
    assert found[1]["again"] is found
    assert found is not circle


@pytest.mark.needs("serializer")
@pytest.mark.parametrize("way_in", WAYS_IN)
async def test_a_serializer_names_the_path_to_what_it_refuses(
    cache: CacheManager, way_in: str
) -> None:
    for value, path, kind in samples.UNSTORABLE.values():
        with pytest.raises(SerializationError) as caught:
            await WAYS_IN[way_in](cache, value)
        assert isinstance(caught.value, CacheError)
        assert isinstance(caught.value, TypeError)
        text = str(caught.value)
        assert f"{path}: {kind}" in text
    assert await cache.acount() == 0


@pytest.mark.needs("serializer")
@pytest.mark.parametrize(
    ("name", "remedies"),
    [
        ("dataclass", ["register_dataclass"]),
        ("Enum", ["register_enum"]),
        ("object", ["register", "PickleSerializer"]),
        ("namedtuple", ["tuple", "PickleSerializer"]),
    ],
)
async def test_a_refusal_names_the_remedies(
    cache: CacheManager, name: str, remedies: list[str]
) -> None:
    with pytest.raises(SerializationError) as caught:
        await cache.aset("k", samples.UNSTORABLE[name][0])
    assert all(remedy in str(caught.value) for remedy in remedies)


@pytest.mark.parametrize("way_in", WAYS_IN)
async def test_what_nobody_can_store_is_refused_and_replaces_nothing(
    cache: CacheManager, way_in: str
) -> None:
    value, path, kind = samples.UNSTORABLE["socket"]
    await cache.aset("k", "kept", ttl=60)
    with pytest.raises(SerializationError) as caught:
        await WAYS_IN[way_in](cache, value)
    assert f"{path}: {kind}" in str(caught.value)
    assert await cache.aget("k") == "kept"
    assert await cache.attl("k") is not None
    assert await cache.acount() == 1


async def test_a_refusal_tells_the_path_and_not_the_values(cache: CacheManager) -> None:
    value = {"items": ["secret", samples.UNSTORABLE["socket"][0]], "password": "secret"}
    with pytest.raises(SerializationError) as caught:
        await cache.aset("k", value)
    assert "value['items'][1]['items'][3].lines[0]: socket" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400


async def test_what_can_not_be_stored_is_refused_with_a_ttl_of_zero_too(
    cache: CacheManager,
) -> None:
    await cache.aset("k", "kept")
    with pytest.raises(SerializationError):
        await cache.aset("k", samples.UNSTORABLE["socket"][0], ttl=0)
    assert await cache.aget("k") == "kept"


@pytest.mark.needs("any_object")
@pytest.mark.parametrize(
    "value",
    [
        samples.Pair(1, [2]),
        samples.Plain({"a": [1]}),
        samples.Unregistered("li"),
        samples.UnregisteredColour.RED,
        samples.Word.RED,
        range(3),
        len,
        dict,
        timedelta,
        slice(1, 2),
        ValueError,
    ],
    ids=repr,
)
async def test_memory_keeps_any_picklable_object(cache: CacheManager, value: object) -> None:
    await cache.aset("k", value)
    found = await cache.aget("k")
    assert type(found) is type(value)
    assert found == value


@pytest.mark.needs("serializer")
async def test_a_value_larger_than_max_value_bytes_is_refused_and_loses_nothing(kit: Kit) -> None:
    cache = kit.open(kit.make(max_value_bytes=1_000))
    await cache.aset("k", b"x" * 990)
    for way_in in WAYS_IN.values():
        with pytest.raises(ValueTooLargeError):
            await way_in(cache, b"y" * 1_001)
    assert await cache.aget("k") == b"x" * 990
    assert await cache.acount() == 1
    with pytest.raises(ValueTooLargeError, match=r"1,000|1000") as caught:
        await cache.aadd("new", ["secret"] * 1_000)
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, ValueError)
    assert "secret" not in str(caught.value)
    assert not await cache.aexists("new")


@pytest.mark.needs("serializer")
async def test_max_value_bytes_is_64_mib_unless_given(cache: CacheManager) -> None:
    with pytest.raises(ValueTooLargeError):
        await cache.aset("k", bytes(64 * 1024 * 1024))
    await cache.aset("k", bytes(2 * 1024 * 1024))
    assert await cache.aget("k") == bytes(2 * 1024 * 1024)


@pytest.mark.needs("serializer", "persistent")
async def test_nothing_larger_than_max_value_bytes_is_decoded(kit: Kit) -> None:
    await kit.open().aset_many({"large": b"x" * 2_000, "small": b"x" * 500})
    cache = kit.open(kit.again(max_value_bytes=1_000))  # type: ignore[attr-defined]
    assert await cache.aget_many(["large", "small"]) == {"small": b"x" * 500}
    assert cache.stats().corrupt == 1


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(max_size=40),
    st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=True),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.sampled_from([*samples.Colour, *samples.Level, *samples.Rights]),
)
_hashable = st.recursive(
    _scalars,
    lambda parts: st.lists(parts, max_size=4).map(tuple) | st.frozensets(parts),
    max_leaves=8,
)
_values = st.recursive(
    _scalars | st.decimals() | st.binary(max_size=20).map(bytearray),
    lambda parts: st.one_of(
        st.lists(parts, max_size=5),
        st.lists(parts, max_size=5).map(tuple),
        st.dictionaries(_hashable, parts, max_size=5),
        st.sets(_hashable, max_size=4),
        st.builds(samples.Order, st.integers(), st.lists(parts, max_size=3)),
    ),
    max_leaves=20,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=_values)
async def test_any_value_of_these_types_comes_out_as_it_went_in(
    cache: CacheManager, value: object
) -> None:
    await cache.aset("k", value)
    assert difference(await cache.aget("k"), value) is None
