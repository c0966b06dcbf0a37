# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""From the first call to after ``close``: ``ping``, ``close``, context managers, pickling."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheClosedError, CacheError, CacheManager, ConfigurationError, Health

from ..acompat import acollect, asleep, aspawn
from .operations import BULK, KEYED

if TYPE_CHECKING:
    from ..backends import Kit


async def test_ping_tells_that_the_backend_works(kit: Kit, cache: CacheManager) -> None:
    health = await cache.aping()
    assert type(health) is Health
    assert health.ok is True
    assert health
    assert type(health.latency) is float
    assert 0 <= health.latency < 10
    assert health.backend == kit.kind
    assert isinstance(health.detail, str)
    assert health.detail
    assert "\n" not in health.detail


async def test_ping_of_a_closed_cache_does_not_raise(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    await cache.aclose()
    health = await cache.aping()
    assert health.ok is False
    assert not health
    assert type(health.latency) is float
    assert "closed" in health.detail


async def test_ping_of_a_view_is_that_of_its_manager(cache: CacheManager) -> None:
    view = cache.namespace("users")
    assert await view.aping()
    await cache.aclose()
    assert not await view.aping()


async def test_ping_leaves_nothing_behind(cache: CacheManager) -> None:
    await cache.aping()
    assert await cache.acount() == 0
    assert cache.stats()[:6] == (0, 0, 0, 0, 0, 0)


async def aall_are_refused(cache: CacheManager) -> None:
    for operation in KEYED.values():
        for key in ("k", "l", "absent"):
            with pytest.raises(CacheClosedError):
                await operation(cache, key)
    for operation_on_all in BULK.values():
        with pytest.raises(CacheClosedError):
            await operation_on_all(cache)


async def test_use_after_close_raises(cache: CacheManager) -> None:
    view = cache.namespace("users")
    for each in (cache, view):
        await each.aset_many({"k": 1, "l": [1]})
    await cache.aclose()
    for each in (cache, view, cache.namespace("new")):
        await aall_are_refused(each)


async def test_a_cache_that_was_never_used_can_be_closed(cache: CacheManager) -> None:
    await cache.aclose()
    await aall_are_refused(cache)


async def test_bulk_calls_of_nothing_raise_after_close_too(cache: CacheManager) -> None:
    await cache.aclose()
    with pytest.raises(CacheClosedError):
        await cache.aget_many([])
    with pytest.raises(CacheClosedError):
        await cache.aset_many({})
    with pytest.raises(CacheClosedError):
        await cache.adelete_many([])
    for ttl in (0, 5):
        with pytest.raises(CacheClosedError):
            await cache.aset("k", 1, ttl=ttl)
        with pytest.raises(CacheClosedError):
            await cache.atouch("k", ttl=ttl)
        with pytest.raises(CacheClosedError):
            await cache.aadd("k", 1, ttl=ttl)
        with pytest.raises(CacheClosedError):
            await cache.aincr("k", ttl=ttl)
    with pytest.raises(CacheClosedError):
        await cache.aclear(nested=True)


async def test_the_error_of_a_closed_cache_is_a_cache_error_and_a_runtime_error(
    cache: CacheManager,
) -> None:
    await cache.aclose()
    with pytest.raises(CacheClosedError, match="closed") as caught:
        await cache.aget("k")
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, RuntimeError)


async def test_close_is_idempotent(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    for _ in range(3):
        assert await cache.aclose() is None
    with pytest.raises(CacheClosedError):
        await cache.aget("k")


async def test_close_ends_other_managers_of_the_backend_too(kit: Kit) -> None:
    first, second = kit.open(), kit.open(namespace="other")
    await second.aset("k", 1)
    await first.aclose()
    with pytest.raises(CacheClosedError):
        await second.aget("k")
    with pytest.raises(CacheClosedError):
        await second.aset("k", 1)
    await second.aclose()
    with pytest.raises(CacheClosedError):
        await kit.open().aget("k")


async def test_close_leaves_other_backends_alone(kit: Kit) -> None:
    first, second = kit.open(kit.make()), kit.open(kit.make())
    await second.aset("k", 1)
    await first.aclose()
    assert await second.aget("k") == 1


async def test_close_of_a_view_does_nothing(cache: CacheManager) -> None:
    view = cache.namespace("users")
    await view.aset("k", 1)
    await view.aclose()
    await view.namespace("vip").aclose()
    async with view as entered:
        assert entered is view
    assert await view.aget("k") == 1
    assert await cache.aset("k", 2)


async def test_a_manager_is_a_context_manager(kit: Kit) -> None:
    async with kit.open() as cache:
        assert isinstance(cache, CacheManager)
        await cache.aset("k", 1)
        assert await cache.aget("k") == 1
    with pytest.raises(CacheClosedError):
        await cache.aget("k")


async def test_a_context_manager_closes_on_the_way_of_an_exception(kit: Kit) -> None:
    cache = kit.open()
    error = LookupError("the program's own")
    with pytest.raises(LookupError) as caught:
        async with cache:
            raise error
    assert caught.value is error
    with pytest.raises(CacheClosedError):
        await cache.aget("k")


async def test_a_cache_may_be_closed_inside_its_context(kit: Kit) -> None:
    async with kit.open() as cache:
        await cache.aclose()
    assert not await cache.aping()


async def test_a_scan_under_way_ends_or_raises_when_the_cache_is_closed(
    cache: CacheManager,
) -> None:
    await cache.aset_many({f"k{number}": number for number in range(1_200)})
    keys = cache.ascan()
    await cache.aclose()
    with suppress(CacheClosedError):
        assert len(await acollect(keys)) <= 1_200


async def test_calls_in_flight_finish_or_raise_cache_closed(cache: CacheManager) -> None:
    await cache.aset_many({f"k{number}": number for number in range(1_200)})
    calls = 0

    async def ause(operation: str) -> str:
        nonlocal calls
        while True:
            try:
                await (
                    BULK[operation](cache) if operation in BULK else KEYED[operation](cache, "k")
                )
            except CacheClosedError:
                return operation
            calls += 1
            await asleep(0)

    users = [await aspawn(lambda name=name: ause(name)) for name in (*KEYED, *BULK)]
    while calls < 100:
        await asleep(0.001)
    await cache.aclose()
    assert [await user.afinish() for user in users] == [*KEYED, *BULK]


def test_a_manager_can_not_be_pickled_or_copied(cache: CacheManager) -> None:
    for manager in (cache, cache.namespace("users")):
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="from_url"):
                copied(manager)


def test_a_manager_is_always_truthy(cache: CacheManager) -> None:
    assert bool(cache) is True
    assert bool(cache.namespace("users")) is True


def test_a_manager_needs_a_backend(kit: Kit) -> None:
    backend = kit.make()
    for wrong in ("memory://", None, dict, type(backend), object(), {}):
        with pytest.raises(ConfigurationError, match="backend"):
            CacheManager(wrong)  # type: ignore[arg-type]


def test_the_name_of_a_manager_is_text(kit: Kit) -> None:
    assert "front" in repr(kit.open(name="front"))
    for wrong in ("", 1, b"front", ["front"]):
        with pytest.raises(ConfigurationError, match="name"):
            kit.open(name=wrong)


def test_unknown_options_are_refused(kit: Kit) -> None:
    with pytest.raises(TypeError):
        kit.open(max_siz=1)
    with pytest.raises(TypeError):
        CacheManager(kit.make(), "users")  # type: ignore[misc]
