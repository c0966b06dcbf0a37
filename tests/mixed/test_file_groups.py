"""asyncio writes to a file that wait at the same time are one commit, and nobody notices."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import BackendUnavailableError, CacheManager, NotAnIntegerError
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
async def cache(path: Path) -> AsyncIterator[CacheManager]:
    async with CacheManager(FileBackend(path)) as cache:
        await cache.aset("before", 0)
        yield cache


def commits(cache: CacheManager) -> int:
    """Return the counter of commits in the WAL index."""
    backend: Any = cache.backend
    header = backend._store.tier.header(slice(0, 48))
    return int.from_bytes(header[8:12], "little")


async def test_writes_that_wait_together_share_commits(cache: CacheManager, path: Path) -> None:
    before = commits(cache)
    await asyncio.gather(*(cache.aset(f"k{number}", number) for number in range(500)))
    taken = commits(cache) - before
    print(f"500 writes in {taken} commits")
    assert taken <= 50
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (501,)
    found = await cache.aget_many([f"k{number}" for number in range(500)])
    assert found == {f"k{number}": number for number in range(500)}


async def test_five_hundred_writers_need_no_more_threads(cache: CacheManager) -> None:
    await cache.aget("absent")
    before = threading.active_count()
    writes = [asyncio.ensure_future(cache.aset(f"k{number}", number)) for number in range(500)]
    most = before
    while not all(write.done() for write in writes):
        most = max(most, threading.active_count())
        await asyncio.sleep(0)
    assert most == before


async def test_an_error_of_one_write_is_its_own(cache: CacheManager) -> None:
    await cache.aset("text", "x")
    calls = [cache.aincr(key) for key in ("n", "text", "n", "text", "n")]
    results = await asyncio.gather(*calls, cache.aadd("n", 5), return_exceptions=True)
    assert [type(result) for result in results] == [
        *(int, NotAnIntegerError, int, NotAnIntegerError, int, bool)
    ]
    assert [results[0], results[2], results[4], results[5]] == [1, 2, 3, False]
    assert await cache.aget("text") == "x"
    assert await cache.aget("n") == 3


async def test_each_write_sees_those_before_it_in_its_group(cache: CacheManager) -> None:
    results = await asyncio.gather(
        cache.aset("k", 1),
        cache.aincr("k"),
        cache.apop("k"),
        cache.aadd("k", "new"),
        cache.aadd("k", "newer"),
        cache.adelete("k"),
        cache.aincr("k", 7),
        cache.atouch("k", 60),
    )
    assert results == [True, 2, 2, True, False, True, 7, True]
    assert await cache.aget("k") == 7
    left = await cache.attl("k")
    assert left is not None
    assert 59 < left <= 60


async def test_what_the_hot_tier_keeps_is_what_was_written_last(cache: CacheManager) -> None:
    for number in range(50):
        await asyncio.gather(
            *(cache.aset("k", (number, each)) for each in range(5)),
            cache.adelete("gone"),
            cache.aset("gone", number),
            cache.adelete("gone"),
            *(cache.aset(f"other-{each}", number) for each in range(5)),
        )
        assert await cache.aget("k") == (number, 4)
        assert await cache.aget("gone") is None
        assert await cache.aget("other-3") == number


async def test_cancelled_writes_leave_the_others_alone(cache: CacheManager) -> None:
    for turn in range(30):
        writes = [asyncio.ensure_future(cache.aset(f"k{each}", turn)) for each in range(40)]
        await asyncio.sleep(0)
        for write in writes[::3]:
            write.cancel()
        results = await asyncio.gather(*writes, return_exceptions=True)
        kept = [result for place, result in enumerate(results) if place % 3]
        assert kept == [True] * len(kept)
        for place in range(40):
            if place % 3:
                assert await cache.aget(f"k{place}") == turn
        # Cancelled ones are done or were not begun.
        assert await cache.aget("k0") in (turn, turn - 1, None)
        cache.set("k0", turn)


async def test_a_lock_held_by_others_never_holds_the_loop(path: Path, cache: CacheManager) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = [asyncio.ensure_future(cache.aset(f"k{each}", each)) for each in range(50)]
        lag, end = 0.0, time.monotonic() + 1
        while time.monotonic() < end:
            started = time.monotonic()
            assert await cache.aget("before") == 0
            await asyncio.sleep(0.001)
            lag = max(lag, time.monotonic() - started)
        assert not any(write.done() for write in writes)
        other.execute("COMMIT")
    assert await asyncio.gather(*writes) == [True] * 50
    print(f"longest turn of the loop while the file was locked for 1 s: {lag * 1000:.1f} ms")
    assert lag < 0.5


async def test_a_lock_held_for_too_long_fails_all_at_once(path: Path) -> None:
    async with CacheManager(FileBackend(path, busy_timeout=0.2)) as cache:
        await cache.aset("k", "old")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            writes = [cache.aset("k", each) for each in range(50)]
            results = await asyncio.gather(*writes, return_exceptions=True)
            took = time.monotonic() - started
            other.execute("ROLLBACK")
        assert all(isinstance(result, BackendUnavailableError) for result in results)
        assert all(result.__cause__ is not None for result in results)  # type: ignore[union-attr]
        assert took < 3
        assert cache.stats().errors == 50
        assert await cache.aget("k") == "old"
        assert await cache.aset("k", "new")


async def test_both_faces_write_at_once(cache: CacheManager) -> None:
    def rise() -> None:
        for _ in range(200):
            cache.incr("n")

    threads = [threading.Thread(target=rise) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        await asyncio.gather(*(cache.aincr("n") for _ in range(20)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert await cache.aget("n") == 1000
