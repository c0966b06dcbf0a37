# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Counters: ``incr`` and ``decr``."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import MISSING, CacheError, CounterOverflowError, NotAnIntegerError

from .. import samples
from ..compare import difference

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import Kit

LOWEST, HIGHEST = -(2**63), 2**63 - 1
NOT_INTEGERS: dict[str, object] = {
    "None": None,
    "True": True,
    "False": False,
    "float": 1.0,
    "str": "12",
    "empty str": "",
    "bytes": b"12",
    "bytearray": bytearray(b"1"),
    "list": [1],
    "empty list": [],
    "dict": {},
    "tuple": (1,),
    "set": {1},
    "complex": 1 + 0j,
    "Decimal": samples.SCALARS["Decimal"],
    "IntEnum": samples.Level.LOW,
    "nested": {"a": [1]},
}


async def test_a_missing_counter_starts_at_zero(cache: CacheManager) -> None:
    assert await cache.aincr("up") == 1
    assert await cache.adecr("down") == -1
    assert await cache.aincr("far up", 5) == 5
    assert await cache.adecr("far down", 5) == -5
    assert await cache.aincr("negative", -5) == -5
    assert await cache.adecr("twice negative", -5) == 5
    assert await cache.aincr("zero", 0) == 0
    found = await cache.aget_many(["up", "down", "far up", "far down", "negative", "zero"])
    assert list(found.values()) == [1, -1, 5, -5, -5, 0]
    assert {type(value) for value in found.values()} == {int}


async def test_a_counter_counts(cache: CacheManager) -> None:
    for wanted in range(1, 6):
        assert await cache.aincr("k") == wanted
    assert await cache.aincr("k", delta=10) == 15
    assert await cache.adecr("k") == 14
    assert await cache.adecr("k", delta=20) == -6
    assert await cache.aincr("k", -4) == -10
    assert await cache.aincr("k", 0) == -10
    found = await cache.aget("k")
    assert (type(found), found) == (int, -10)


async def test_the_answer_is_a_plain_int(cache: CacheManager) -> None:
    assert type(await cache.aincr("k", samples.Level.HIGH)) is int
    assert type(await cache.adecr("k", samples.Level.HIGH)) is int
    assert type(await cache.aget("k")) is int


async def test_an_integer_that_was_stored_is_a_counter(cache: CacheManager) -> None:
    for way in (cache.aset, cache.aadd):
        await cache.adelete("k")
        await way("k", 41)
        assert await cache.aincr("k") == 42
        assert await cache.adecr("k", 2) == 40
    await cache.aset_many({"k": 7})
    assert await cache.aincr("k") == 8
    assert await cache.apop("k") == 8
    assert await cache.aincr("k") == 1


async def test_a_missing_counter_takes_the_ttl(cache: CacheManager) -> None:
    for count in (cache.aincr, cache.adecr):
        await cache.adelete("k")
        await count("k", ttl=50)
        left = await cache.attl("k")
        assert left is not None
        assert 49 < left <= 50
        await cache.adelete("k")
        await count("k", ttl=None)
        assert await cache.attl("k") is None


@pytest.mark.parametrize("edge", [LOWEST, HIGHEST], ids=["lowest", "highest"])
async def test_a_counter_reaches_the_ends_of_64_bits(cache: CacheManager, edge: int) -> None:
    step = 1 if edge > 0 else -1
    assert await cache.aincr("missing", edge) == edge
    assert await cache.aget("missing") == edge
    await cache.aset("k", edge - step)
    assert await cache.aincr("k", step) == edge
    assert await cache.aincr("k", 0) == edge
    assert await cache.aincr("k", -step) == edge - step
    await cache.aset("k", edge)
    assert await cache.aincr("k", -edge - (edge < 0)) == -(edge < 0)


@pytest.mark.parametrize("edge", [LOWEST, HIGHEST], ids=["lowest", "highest"])
async def test_a_counter_never_leaves_64_bits(cache: CacheManager, edge: int) -> None:
    step = 1 if edge > 0 else -1
    await cache.aset("k", edge, ttl=50)
    for count, delta in ((cache.aincr, step), (cache.adecr, -step), (cache.aincr, edge)):
        with pytest.raises(CounterOverflowError):
            await count("k", delta)
    assert await cache.aget("k") == edge
    left = await cache.attl("k")
    assert left is not None
    assert 49 < left <= 50


async def test_a_delta_beyond_64_bits_is_refused(cache: CacheManager) -> None:
    await cache.aset("k", -5)
    for delta in (2**63, -(2**63) - 1, 2**64, 10**400, -(10**400)):
        for key in ("k", "absent"):
            with pytest.raises(CounterOverflowError):
                await cache.aincr(key, delta)
            with pytest.raises(CounterOverflowError):
                await cache.adecr(key, delta)
    with pytest.raises(CounterOverflowError):
        await cache.adecr("absent", LOWEST)
    assert await cache.aget("k") == -5
    assert not await cache.aexists("absent")


async def test_an_integer_beyond_64_bits_is_no_counter(cache: CacheManager) -> None:
    for value in (2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30):
        await cache.aset("k", value)
        for delta in (1, 0, -1, 2**62, -(2**62)):
            with pytest.raises(CounterOverflowError):
                await cache.aincr("k", delta)
        assert await cache.aget("k") == value


async def test_an_overflow_is_a_cache_error_and_an_overflow_error(cache: CacheManager) -> None:
    await cache.aset("k", HIGHEST)
    with pytest.raises(CounterOverflowError) as by_sum:
        await cache.aincr("k")
    with pytest.raises(CounterOverflowError) as by_delta:
        await cache.aincr("k", 10**4_500)
    for caught in (by_sum, by_delta):
        assert isinstance(caught.value, CacheError)
        assert isinstance(caught.value, OverflowError)
        assert "64" in str(caught.value)
        assert len(str(caught.value)) < 200
    assert "delta" in str(by_delta.value)


async def test_what_is_no_integer_can_not_be_counted(cache: CacheManager) -> None:
    for key, value in NOT_INTEGERS.items():
        await cache.aset(key, value, ttl=50)
        for count in (cache.aincr, cache.adecr):
            for delta in (1, 0, -1):
                with pytest.raises(NotAnIntegerError):
                    await count(key, delta)
            with pytest.raises(NotAnIntegerError):
                await count(key, ttl=0)
        assert difference(await cache.aget(key, MISSING), value, key) is None
        left = await cache.attl(key)
        assert left is not None
        assert 49 < left <= 50


@pytest.mark.needs("any_object")
@pytest.mark.parametrize("isolation", ["copy", "shared"])
async def test_no_object_can_be_counted(kit: Kit, isolation: str) -> None:
    cache = kit.open(kit.make(isolation=isolation))
    for value in (*NOT_INTEGERS.values(), samples.Plain(1), samples.Pair(1, 2)):
        await cache.aset("k", value)
        with pytest.raises(NotAnIntegerError):
            await cache.aincr("k")
        assert await cache.aget("k") == value


async def test_the_error_says_what_was_found_and_not_its_value(cache: CacheManager) -> None:
    await cache.aset("k", "secret")
    with pytest.raises(NotAnIntegerError) as caught:
        await cache.aincr("k")
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, TypeError)
    assert "secret" not in str(caught.value)
    assert "int" in str(caught.value)


async def test_a_delta_that_is_no_int_is_a_type_error(cache: CacheManager) -> None:
    await cache.aset("k", 5)
    wrong: tuple[Any, ...] = (1.0, "1", b"1", None, True, False, 1 + 0j, [1], timedelta(1))
    for count in (cache.aincr, cache.adecr):
        for key, delta in product(("k", "absent"), wrong):
            with pytest.raises(TypeError) as caught:
                await count(key, delta)
            assert isinstance(caught.value, CacheError)
            assert "delta" in str(caught.value)
            assert type(delta).__name__ in str(caught.value)
    assert await cache.aget("k") == 5
    assert not await cache.aexists("absent")


async def test_counters_of_two_keys_are_apart(cache: CacheManager) -> None:
    view = cache.namespace("users")
    assert await cache.aincr("a") == 1
    assert await cache.aincr("b") == 1
    assert await view.aincr("a") == 1
    assert await cache.aincr("a") == 2
    assert await view.aget("a") == 1
