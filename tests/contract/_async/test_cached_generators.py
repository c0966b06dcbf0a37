# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Generators below ``@cache.cached``: run once, then replayed, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ..acompat import acollect, aspawn, atake
from .test_cached import Runs
from .test_loads import auntil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from symphra_cache import CacheManager


async def test_a_generator_is_replayed(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def arows(n: int) -> AsyncIterator[Any]:
        for each in range(n):
            yield await runs.arun(each)

    first = await acollect(arows(3))
    assert [row["args"] for row in first] == [[0], [1], [2]]
    assert await acollect(arows(3)) == first
    assert await acollect(arows(n=3)) == first
    assert await acollect(arows(0)) == await acollect(arows(0)) == []
    assert len(runs.seen) == 3
    assert arows.stats() == (3, 2, 2, 0)
    assert await cache.aget(arows.key_for(3)) == first


async def test_a_generator_is_not_held_back(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def arows(n: int) -> AsyncIterator[int]:
        for each in range(n):
            await runs.arun(each)
            yield each

    stream = arows(1_000_000_000)
    assert await atake(stream, 3) == [0, 1, 2]
    await stream.aclose()
    assert len(runs.seen) == 3
    assert await cache.acount() == 0


async def test_what_was_not_run_to_its_end_is_not_kept(cache: CacheManager) -> None:
    closed: list[bool] = []

    @cache.cached
    async def arows(n: int) -> AsyncIterator[int]:
        try:
            for each in range(n):
                yield each
        finally:
            closed.append(True)

    stream = arows(3)
    assert await atake(stream, 3) == [0, 1, 2]
    await stream.aclose()
    assert closed == [True]
    assert await cache.acount() == 0
    assert await acollect(arows(3)) == [0, 1, 2]
    assert await cache.acount() == 1


async def test_a_generator_that_fails_keeps_nothing(cache: CacheManager) -> None:
    @cache.cached
    async def arows() -> AsyncIterator[int]:
        yield 1
        raise OSError("gone")

    stream = arows()
    assert await atake(stream, 1) == [1]
    with pytest.raises(OSError, match=r"^gone$"):
        await acollect(stream)
    assert await cache.acount() == 0
    assert arows.stats() == (0, 1, 1, 1)


async def test_items_are_kept_as_they_were_yielded(cache: CacheManager) -> None:
    @cache.cached
    async def arows() -> AsyncIterator[Any]:
        for each in range(2):
            yield {"n": each, "more": [each]}

    kept = [{"n": 0, "more": [0]}, {"n": 1, "more": [1]}]
    for _ in range(3):
        found = []
        async for row in arows():
            found.append(dict(row, more=list(row["more"])))
            row["n"] = "changed"
            row["more"].append("changed")
        assert found == kept
    assert await cache.aget(arows.key_for()) == kept


async def test_a_write_while_a_generator_runs_is_not_undone(cache: CacheManager) -> None:
    @cache.cached
    async def arows() -> AsyncIterator[int]:
        yield 1
        yield 2

    for forget in (arows.ainvalidate, arows.ainvalidate_all, cache.aclear):
        stream = arows()
        assert await atake(stream, 1) == [1]
        await forget()  # type: ignore[operator]
        assert await acollect(stream) == [2]
        assert await cache.acount() == 0
    stream = arows()
    assert await atake(stream, 1) == [1]
    assert await cache.aset(arows.key_for(), [7])
    assert await acollect(stream) == [2]
    assert await acollect(arows()) == [7]


async def test_generators_share_no_run(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def arows() -> AsyncIterator[int]:
        await runs.arun()
        yield 1
        yield 2

    one, two = arows(), arows()
    assert await atake(one, 1) == await atake(two, 1) == [1]
    assert await acollect(two) == [2]
    assert await acollect(one) == [2]
    assert await acollect(arows()) == [1, 2]
    assert len(runs.seen) == 2


async def test_a_generator_has_nobody_wait_for_it(cache: CacheManager) -> None:
    @cache.cached
    async def arows() -> AsyncIterator[int]:
        yield 1
        yield 2

    stream = arows()
    assert await atake(stream, 1) == [1]
    assert await cache.aget_or_set(arows.key_for(), [7]) == [7]
    assert await acollect(stream) == [2]
    # Whichever was stored, no write having come in between.
    assert await acollect(arows()) in ([7], [1, 2])


async def test_a_generator_waits_for_nobody(cache: CacheManager) -> None:
    runs, ended, flights = Runs(), Runs(), cache._loads.flights

    @cache.cached
    async def arows() -> AsyncIterator[int]:
        yield 1

    async def aslow() -> Any:
        await runs.arun()
        await auntil(lambda: ended.seen)
        return [7]

    async def aload() -> Any:
        return await cache.aget_or_set(arows.key_for(), aslow)

    loading, waiting = await aspawn(aload), await aspawn(aload)
    await auntil(lambda: any(one.waiting for each in [*flights.live.values()] for one in each))
    assert await acollect(arows()) == [1]
    await ended.arun()
    assert await loading.afinish() == await waiting.afinish() == [7]
    assert len(runs.seen) == 1
    assert not flights.live


async def test_a_generator_is_refreshed_to_its_end(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def arows(n: int) -> AsyncIterator[Any]:
        for _ in range(n):
            yield (await runs.arun())["run"]

    assert await arows.arefresh(2) == [1, 2]
    assert await arows.arefresh(2) == [3, 4]
    assert await acollect(arows(2)) == [3, 4]
    assert await arows.ainvalidate(2)
    assert await acollect(arows(2)) == [5, 6]


async def test_what_is_no_list_under_the_key_of_a_generator_is_a_miss(cache: CacheManager) -> None:
    @cache.cached(key="rows")
    async def arows() -> AsyncIterator[int]:
        yield 1

    await cache.aset("rows", "text")
    assert await acollect(arows()) == [1]
