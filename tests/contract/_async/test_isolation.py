# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Isolation: what is cached and what the program holds are never the same changeable thing."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import ConfigurationError

from .. import samples
from ..compare import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..backends import Kit

# Each makes a value, and changes it somewhere.
CHANGEABLE: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "list": (lambda: [1, 2], lambda value: value.append(3)),
    "empty list": (list, lambda value: value.append(3)),
    "dict": (lambda: {"a": 1}, lambda value: value.update(a=2, b=3)),
    "empty dict": (dict, lambda value: value.update(b=3)),
    "set": (lambda: {1, 2}, lambda value: value.add(3)),
    "bytearray": (lambda: bytearray(b"ab"), lambda value: value.extend(b"c")),
    "list in list": (lambda: [1, [2]], lambda value: value[1].append(3)),
    "dict in dict": (lambda: {"a": {"b": 1}}, lambda value: value["a"].update(b=2)),
    "list in dict": (lambda: {"a": []}, lambda value: value["a"].append(1)),
    "list in tuple": (lambda: ([],), lambda value: value[0].append(1)),
    "list in tuple in tuple": (lambda: (1, (2, [])), lambda value: value[1][1].append(1)),
    "set in list": (lambda: [set()], lambda value: value[0].add(1)),
    "bytearray in tuple": (lambda: (bytearray(),), lambda value: value[0].append(1)),
    "bytearray in list": (lambda: [bytearray()], lambda value: value[0].append(1)),
    "bytearray in dict": (lambda: {"a": bytearray()}, lambda value: value["a"].append(1)),
    "tuple in list": (lambda: [(1, [2])], lambda value: value[0][1].append(3)),
    "dataclass": (lambda: samples.Order(1), lambda value: setattr(value, "number", 2)),
    "list in dataclass": (lambda: samples.Order(1), lambda value: value.lines.append(1)),
    "list in frozen dataclass": (lambda: samples.Box([]), lambda value: value.content.append(1)),
    "dataclass in dict": (
        lambda: {"a": samples.Order(1)},
        lambda value: setattr(value["a"], "number", 2),
    ),
    "dataclass in tuple": (lambda: (samples.Order(1),), lambda value: value[0].lines.append(2)),
    "dataclass in list": (lambda: [samples.Order(1)], lambda value: value[0].lines.append(2)),
}
OBJECTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "object": (lambda: samples.Plain([1]), lambda value: value.parts.append(2)),
    "object in dict": (lambda: {"a": samples.Plain(1)}, lambda v: setattr(v["a"], "parts", 2)),
    "list in namedtuple": (lambda: samples.Pair(1, []), lambda value: value.right.append(1)),
    "subclass of list": (lambda: samples.Stack([1]), lambda value: value.append(2)),
    "deque": (lambda: deque([1]), lambda value: value.append(2)),
    "time zone of one's own": (
        lambda: datetime(2024, 1, 1, tzinfo=samples.Shifting(1)),
        lambda value: setattr(value.tzinfo, "hours", 2),
    ),
    "time zone in a list": (
        lambda: [datetime(2024, 1, 1, tzinfo=samples.Shifting(1))],
        lambda value: setattr(value[0].tzinfo, "hours", 2),
    ),
}
WAYS_IN: dict[str, Callable[[CacheManager, Any], Any]] = {
    "set": lambda cache, value: cache.aset("k", value),
    "add": lambda cache, value: cache.aadd("k", value),
    "set_many": lambda cache, value: cache.aset_many({"k": value}),
}


async def achange_what_was_set(
    cache: CacheManager, name: str, make: Callable[[], Any], change: Callable[[Any], object]
) -> None:
    for put in WAYS_IN.values():
        await cache.adelete("k")
        mine = make()
        await put(cache, mine)
        change(mine)
        assert difference(await cache.aget("k"), make(), name) is None
        assert difference(await cache.apop("k"), make(), name) is None


async def achange_what_was_got(
    cache: CacheManager, name: str, make: Callable[[], Any], change: Callable[[Any], object]
) -> None:
    await cache.aset("k", make())
    first, second = await cache.aget("k"), await cache.aget("k")
    third = (await cache.aget_many(["k"]))["k"]
    for mine in (first, third):
        change(mine)
        assert difference(second, make(), name) is None
        assert difference(await cache.aget("k"), make(), name) is None
    change(second)
    assert difference((await cache.aget_many(["k"]))["k"], make(), name) is None


async def test_changing_a_value_after_it_was_stored_changes_nothing(cache: CacheManager) -> None:
    for name, made in CHANGEABLE.items():
        await achange_what_was_set(cache, name, *made)


async def test_changing_what_was_read_changes_nothing(cache: CacheManager) -> None:
    for name, made in CHANGEABLE.items():
        await achange_what_was_got(cache, name, *made)


@pytest.mark.needs("any_object")
async def test_any_object_is_isolated_too(cache: CacheManager) -> None:
    for name, made in OBJECTS.items():
        await achange_what_was_set(cache, name, *made)
        await achange_what_was_got(cache, name, *made)


async def test_a_value_that_was_stored_twice_is_two_values(cache: CacheManager) -> None:
    shared = [1]
    await cache.aset_many({"a": shared, "b": [shared, shared]})
    (await cache.aget("a")).append(2)
    shared.append(3)
    assert await cache.aget_many(["a", "b"]) == {"a": [1], "b": [[1], [1]]}


async def test_touch_keeps_a_value_isolated(cache: CacheManager) -> None:
    for value in ([1], [[1]]):
        await cache.aset("k", value)
        await cache.atouch("k", 60)
        (await cache.aget("k")).append(2)
        assert await cache.aget("k") == value


@pytest.mark.needs("any_object")
async def test_shared_isolation_hands_out_the_very_object(kit: Kit) -> None:
    cache = kit.open(kit.make(isolation="shared"))
    for name, (make, change) in {**CHANGEABLE, **OBJECTS}.items():
        mine = make()
        await cache.aset("k", mine)
        change(mine)
        assert await cache.aget("k") is mine, name
        assert (await cache.aget_many(["k"]))["k"] is mine, name
        assert await cache.apop("k") is mine, name


@pytest.mark.needs("any_object")
async def test_shared_isolation_takes_what_can_not_be_pickled(kit: Kit) -> None:
    cache = kit.open(kit.make(isolation="shared"))
    value = samples.UNSTORABLE["socket"][0]
    await cache.aset("k", value)
    assert await cache.aget("k") is value


@pytest.mark.needs("any_object")
def test_isolation_is_copy_or_shared(kit: Kit) -> None:
    for wrong in ("deep", "", None, True, b"copy"):
        with pytest.raises(ConfigurationError, match="isolation"):
            kit.make(isolation=wrong)
