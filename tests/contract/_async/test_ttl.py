# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What a ttl is, and what it does."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheError, InvalidTTLError

from .operations import TIMED

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..acompat import SteppedClock
    from ..backends import Kit

YEAR = 365 * 86_400
WRONG_TTLS = (
    True,
    False,
    math.nan,
    math.inf,
    -math.inf,
    "60",
    "",
    b"60",
    Decimal(60),
    Fraction(60),
    60 + 0j,
    [60],
    (60,),
    object(),
    int,
    101 * YEAR,
    101.0 * YEAR,
    timedelta(days=101 * 365),
    timedelta.max,
    1e300,
    10**400,
)
ENDED_TTLS = (0, 0.0, -0.0, -1, -0.001, -1e300, -(10**400), timedelta(0), timedelta(days=-1))


async def test_a_ttl_is_seconds_or_a_timedelta(cache: CacheManager, clock: SteppedClock) -> None:
    for ttl in (1, 1.0, timedelta(seconds=1), timedelta(milliseconds=1_000)):
        await cache.aset("touch", 1)
        for name, operation in TIMED.items():
            await operation(cache, name, ttl)
            left = await cache.attl(name)
            assert isinstance(left, float), name
            assert 0.9 < left <= 1.0, name
        assert await cache.acount() == len(TIMED)
        await clock.aadvance(1.1)
        assert await cache.acount() == 0


@pytest.mark.parametrize("operation", TIMED)
async def test_a_ttl_of_none_means_never(kit: Kit, operation: str) -> None:
    cache = kit.open(default_ttl=5)
    if operation == "touch":
        await cache.aset("k", 1)
    await TIMED[operation](cache, "k", None)
    assert await cache.attl("k") is None


@pytest.mark.needs("fake_clock")
async def test_never_is_a_long_time(cache: CacheManager, clock: SteppedClock) -> None:
    await cache.aset("k", 1)
    await clock.aadvance(1_000 * YEAR)
    assert await cache.aget("k") == 1


async def test_a_ttl_that_is_not_given_means_never_by_default(cache: CacheManager) -> None:
    await cache.aset("set", 1)
    await cache.aadd("add", 1)
    await cache.aincr("incr")
    await cache.adecr("decr")
    await cache.aset_many({"set_many": 1})
    await cache.aset("touch", 1, ttl=5)
    await cache.atouch("touch")
    for key in TIMED:
        assert await cache.attl(key) is None


@pytest.mark.parametrize("default", [10, 10.0, timedelta(seconds=10)], ids=repr)
async def test_a_ttl_that_is_not_given_is_the_default_ttl(
    kit: Kit, default: float | timedelta
) -> None:
    cache = kit.open(default_ttl=default)
    await cache.aset("set", 1)
    await cache.aadd("add", 1)
    await cache.aincr("incr")
    await cache.adecr("decr")
    await cache.aset_many({"set_many": 1})
    await cache.aset("touch", 1, ttl=5)
    await cache.atouch("touch")
    for key in TIMED:
        left = await cache.attl(key)
        assert left is not None
        assert 9.9 < left <= 10.0


async def test_a_ttl_that_is_given_wins_over_the_default(kit: Kit) -> None:
    cache = kit.open(default_ttl=10)
    await cache.aset("k", 1, ttl=20)
    left = await cache.attl("k")
    assert left is not None
    assert 19.9 < left <= 20.0


async def test_a_default_ttl_of_zero_stores_nothing(kit: Kit) -> None:
    cache = kit.open(default_ttl=0)
    assert await cache.aset("k", 1) is True
    assert not await cache.aexists("k")
    await cache.aset("k", 1, ttl=5)
    assert await cache.aexists("k")


def test_a_wrong_default_ttl_is_refused(kit: Kit) -> None:
    for ttl in WRONG_TTLS:
        with pytest.raises(InvalidTTLError):
            kit.open(default_ttl=ttl)


@pytest.mark.parametrize("operation", TIMED)
async def test_a_wrong_ttl_is_refused_and_changes_nothing(
    cache: CacheManager, operation: str
) -> None:
    await cache.aset("k", 7, ttl=50)
    for ttl in WRONG_TTLS:
        for key in ("k", "absent"):
            with pytest.raises(InvalidTTLError):
                await TIMED[operation](cache, key, ttl)
    assert await cache.aget("k") == 7
    left = await cache.attl("k")
    assert left is not None
    assert 49 < left <= 50
    assert await cache.acount() == 1


async def test_an_invalid_ttl_is_a_cache_error_and_a_value_error(cache: CacheManager) -> None:
    with pytest.raises(InvalidTTLError) as caught:
        await cache.aset("k", 1, ttl=math.nan)
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("ttl", "told"),
    [
        (True, "bool"),
        ("secret", "str"),
        (["secret"], "list"),
        (Decimal(1), "Decimal"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (10**4_500, "100 years"),
        (timedelta.max, "100 years"),
    ],
    ids=["bool", "str", "list", "Decimal", "nan", "inf", "huge", "timedelta"],
)
async def test_the_error_names_the_type_or_the_number(
    cache: CacheManager, ttl: object, told: str
) -> None:
    with pytest.raises(InvalidTTLError, match="ttl") as caught:
        await cache.aset("k", 1, ttl=ttl)  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 200


async def test_a_hundred_years_are_legal(cache: CacheManager) -> None:
    for ttl in (100 * YEAR, 100.0 * YEAR, timedelta(days=36_500)):
        await cache.aset("k", 1, ttl=ttl)
        left = await cache.attl("k")
        assert left == pytest.approx(100 * YEAR, abs=1)


async def test_set_with_an_ended_ttl_removes_and_stores_nothing(cache: CacheManager) -> None:
    for ttl in ENDED_TTLS:
        await cache.aset("k", "old")
        assert await cache.aset("k", "new", ttl=ttl) is True
        assert await cache.aget("k") is None
        assert not await cache.aexists("k")
        assert await cache.aset("k", "new", ttl=ttl) is True
        assert await cache.acount() == 0


async def test_set_many_with_an_ended_ttl_removes_and_stores_nothing(cache: CacheManager) -> None:
    for ttl in ENDED_TTLS:
        await cache.aset_many({"a": "old", "b": "old", "c": "kept"})
        assert await cache.aset_many({"a": "new", "b": "new", "d": "new"}, ttl=ttl) == []
        assert await cache.aget_many(["a", "b", "c", "d"]) == {"c": "kept"}


async def test_touch_with_an_ended_ttl_removes_and_tells_whether_it_existed(
    cache: CacheManager,
) -> None:
    for ttl in ENDED_TTLS:
        await cache.aset("k", "old")
        assert await cache.atouch("k", ttl) is True
        assert not await cache.aexists("k")
        assert await cache.atouch("k", ttl) is False


async def test_add_with_an_ended_ttl_stores_nothing_and_tells_whether_it_was_absent(
    cache: CacheManager,
) -> None:
    await cache.aset("there", "old")
    for ttl in ENDED_TTLS:
        assert await cache.aadd("there", "new", ttl=ttl) is False
        assert await cache.aadd("absent", "new", ttl=ttl) is True
        assert not await cache.aexists("absent")
    assert await cache.aget("there") == "old"
    assert await cache.attl("there") is None


async def test_incr_with_an_ended_ttl_stores_no_missing_counter(cache: CacheManager) -> None:
    for ttl in ENDED_TTLS:
        assert await cache.aincr("absent", 5, ttl=ttl) == 5
        assert await cache.adecr("absent", 5, ttl=ttl) == -5
        assert not await cache.aexists("absent")


async def test_incr_with_an_ended_ttl_keeps_that_of_an_existing_counter(
    cache: CacheManager,
) -> None:
    await cache.aset("k", 1, ttl=50)
    for number, ttl in enumerate(ENDED_TTLS):
        assert await cache.aincr("k", ttl=ttl) == number + 2
    left = await cache.attl("k")
    assert left is not None
    assert 49 < left <= 50


@pytest.mark.parametrize("first", [None, 5, 500])
@pytest.mark.parametrize("second", [None, 50])
async def test_each_set_replaces_the_ttl(
    cache: CacheManager, first: float | None, second: float | None
) -> None:
    for store in (cache.aset, lambda key, value, ttl: cache.aset_many({key: value}, ttl)):
        await cache.aset("k", 1, ttl=first)
        await store("k", 2, ttl=second)
        left = await cache.attl("k")
        assert left is None if second is None else left is not None and 49 < left <= 50


async def test_a_failed_add_keeps_the_ttl(cache: CacheManager) -> None:
    await cache.aset("a", 1, ttl=50)
    await cache.aset("b", 1)
    assert not await cache.aadd("a", 2, ttl=500)
    assert not await cache.aadd("a", 2)
    assert not await cache.aadd("b", 2, ttl=5)
    left = await cache.attl("a")
    assert left is not None
    assert 49 < left <= 50
    assert await cache.attl("b") is None


async def test_incr_keeps_the_ttl(cache: CacheManager) -> None:
    await cache.aset("a", 1, ttl=50)
    await cache.aset("b", 1)
    for ttl in (None, 5, 500):
        await cache.aincr("a", ttl=ttl)
        await cache.adecr("b", ttl=ttl)
    await cache.aincr("a")
    left = await cache.attl("a")
    assert left is not None
    assert 49 < left <= 50
    assert await cache.attl("b") is None
