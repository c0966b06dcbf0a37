"""Isolation of the memory backend, for whatever values hypothesis can think of."""

from __future__ import annotations

from collections import OrderedDict, deque
from copy import deepcopy
from datetime import timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.compare import difference
from contract.samples import Box, Colour, Level, Order, Pair, Plain, Point, Rights, Stack
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from faces import Caller

# One event loop does for all examples.
patient = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

zones = st.one_of(
    st.none(),
    st.timezones(),
    st.builds(
        timezone, st.timedeltas().map(lambda each: each % (each.resolution * 86_399 * 10**6))
    ),
)
# Compared by what they are, so no nan: tests of the serializers deal with that.
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.decimals(allow_nan=False),
)
scalars = st.one_of(
    *(st.none(), st.booleans(), numbers, st.text(), st.binary(), st.uuids()),
    *(st.dates(), st.datetimes(timezones=zones), st.times(), st.timedeltas(), zones),
)
registered = st.one_of(
    st.sampled_from([*Colour, *Level, Rights.READ]),
    st.builds(Point, st.integers(), st.floats(allow_nan=False)),
)
immutable = st.recursive(
    scalars,
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=6,
)
flat = st.one_of(
    st.lists(immutable, max_size=4),
    st.dictionaries(immutable, immutable, max_size=4),
    st.sets(immutable, max_size=4),
    st.binary().map(bytearray),
)
hashable = st.one_of(immutable, registered)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what may hold values, objects that only a pickle can represent included."""
    few = st.lists(inner, max_size=3)
    return st.one_of(
        *(few, few.map(tuple), few.map(deque), st.dictionaries(hashable, inner, max_size=3)),
        st.dictionaries(hashable, inner, max_size=3).map(OrderedDict),
        *(st.builds(Order, st.integers(), few), st.builds(Box, inner), st.builds(Plain, inner)),
        *(st.builds(Pair, inner, inner), st.sets(hashable, max_size=3)),
        st.lists(st.integers(), max_size=3).map(Stack),
    )


values = st.recursive(st.one_of(hashable, flat), containers, max_leaves=8)


def spoil(value: Any) -> bool:
    """Change everything that can be changed; tell whether there was anything."""
    spoiled = False
    for part in parts_of(value):
        spoiled |= spoil(part)
    if isinstance(value, (list, deque)):
        value.append("spoiled")
    elif isinstance(value, dict):
        value["spoiled"] = True
    elif isinstance(value, set):
        value.add("spoiled")
    elif isinstance(value, bytearray):
        value += b"spoiled"
    elif isinstance(value, Plain):
        value.parts = "spoiled"
    elif isinstance(value, Order):
        value.number = -1
    else:
        return spoiled
    return True


def parts_of(value: Any) -> list[Any]:
    """Return what a value holds."""
    if isinstance(value, dict):
        return [*value.values()]
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        return [*value]
    if isinstance(value, Plain):
        return [value.parts]
    if isinstance(value, Order):
        return [value.lines]
    return [value.content] if isinstance(value, Box) else []


WAYS_IN: dict[str, Callable[[Caller, CacheManager, Any], object]] = {
    "set": lambda call, cache, value: call(cache, "set", "k", value),
    "set with a ttl": lambda call, cache, value: call(cache, "set", "k", value, ttl=60),
    "add": lambda call, cache, value: call(cache, "add", "k", value),
    "set_many": lambda call, cache, value: call(cache, "set_many", {"k": value}),
}
WAYS_OUT: dict[str, Callable[[Caller, CacheManager], Any]] = {
    "get": lambda call, cache: call(cache, "get", "k"),
    "get_many": lambda call, cache: call(cache, "get_many", ["k", "absent"])["k"],
    "get after touch": lambda call, cache: (
        call(cache, "touch", "k", 60) and call(cache, "get", "k")
    ),
}
each_policy = pytest.mark.parametrize("policy", ["lru", "s3fifo"])
each_way_in = pytest.mark.parametrize("way", WAYS_IN)


def opened(policy: Any, **options: Any) -> CacheManager:
    return CacheManager(MemoryBackend(eviction=policy, **options))


def test_what_is_made_can_be_spoiled() -> None:
    for value in ([], {}, set(), bytearray(), deque(), Plain(1), Order(1), ([],), Box(({},))):
        before = deepcopy(value)
        assert spoil(value)
        assert difference(value, before) is not None
    for value in (1, (1, "a"), Box(1), frozenset({1})):
        assert not spoil(value)


@each_policy
@each_way_in
@given(value=values)
@patient
def test_no_reader_ever_sees_a_change(call: Caller, policy: str, way: str, value: Any) -> None:
    wanted = deepcopy(value)
    with opened(policy) as cache:
        WAYS_IN[way](call, cache, value)
        spoil(value)
        for name, read in WAYS_OUT.items():
            mine = read(call, cache)
            assert difference(mine, wanted) is None, name
            spoil(mine)
        assert difference(call(cache, "get", "k"), wanted) is None
        kept = call(cache, "get", "k")
        assert difference(call(cache, "pop", "k"), wanted) is None
        assert difference(kept, wanted) is None


@each_policy
@given(value=values)
@patient
def test_two_keys_and_two_readers_share_nothing(call: Caller, policy: str, value: Any) -> None:
    wanted = deepcopy(value)
    with opened(policy) as cache:
        call(cache, "set_many", {"k": value, "l": value, "both": [value, value]})
        users = cache.namespace("users")
        call(users, "set", "k", value)
        first, second = call(cache, "get", "k"), call(cache, "get", "k")
        spoil(first)
        assert difference(second, wanted) is None
        spoil(call(cache, "pop", "both"))
        for each, key in ((cache, "k"), (cache, "l"), (users, "k")):
            assert difference(call(each, "get", key), wanted) is None


@each_policy
@each_way_in
@given(value=immutable)
@patient
def test_immutable_values_are_shared(call: Caller, policy: str, way: str, value: Any) -> None:
    with opened(policy) as cache:
        WAYS_IN[way](call, cache, value)
        for read in WAYS_OUT.values():
            assert read(call, cache) is value
        assert call(cache, "pop", "k") is value


@each_policy
@given(value=flat)
@patient
def test_flat_containers_are_copied_with_the_same_parts(
    call: Caller, policy: str, value: Any
) -> None:
    with opened(policy) as cache:
        call(cache, "set", "k", value)
        reads = [value, *(read(call, cache) for read in WAYS_OUT.values())]
        assert len({id(each) for each in reads}) == len(reads)
        for mine in reads:
            assert type(mine) is type(value)
            assert mine == value
            if not isinstance(value, bytearray):
                assert {id(part) for part in mine} == {id(part) for part in value}
            if isinstance(value, dict):
                assert [*map(id, mine.values())] == [*map(id, value.values())]


@each_policy
@each_way_in
@given(value=values)
@patient
def test_shared_isolation_hands_out_the_very_object(
    call: Caller, policy: str, way: str, value: Any
) -> None:
    with opened(policy, isolation="shared") as cache:
        WAYS_IN[way](call, cache, value)
        spoil(value)
        for read in WAYS_OUT.values():
            assert read(call, cache) is value
        assert call(cache, "pop", "k") is value
