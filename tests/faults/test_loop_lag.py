"""The event loop is never held by the disk, nor by a lock that another process has on the file."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from file_processes import Child
from symphra_cache import CacheManager, _sqlite_connections
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

HELD = 1.0  # seconds
WRITERS = 50

HOLDER = """
    if given[0] == "lock":
        db = sqlite3.connect(given[1], isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
    else:
        db.execute("COMMIT")
        db.close()
    """


@pytest.fixture
def holder() -> Iterator[Child]:
    with Child(HOLDER) as child:
        yield child


class Ticker:
    """Notes how late the loop comes to what is due.

    Attributes:
        lags: seconds, one for each tick.
    """

    PERIOD = 0.001

    def __init__(self) -> None:
        self.lags: list[float] = []
        self._task = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while True:
            due = time.monotonic() + self.PERIOD
            await asyncio.sleep(self.PERIOD)
            self.lags.append(time.monotonic() - due)

    def stop(self) -> str:
        """Return the figures."""
        self._task.cancel()
        self.lags.sort()
        at_most = self.lags[len(self.lags) * 99 // 100]
        return f"median {self.lags[len(self.lags) // 2] * 1000:.1f} ms, p99 {at_most * 1000:.1f} ms"


async def read(cache: CacheManager) -> None:
    """Make reads of all kinds: from memory, from the file, and of many rows."""
    assert await cache.aget("hot") == 0
    assert await cache.aget("absent") is None
    assert await cache.acount() == 101
    assert await cache.aget_many(["hot", "cold-7"]) == {"hot": 0, "cold-7": 7}


async def test_a_process_that_holds_the_write_lock_holds_no_loop(
    tmp_path: Path, holder: Child
) -> None:
    path, before = tmp_path / "cache.db", threading.active_count()
    async with CacheManager(FileBackend(path, hot_size=1)) as cache:
        await cache.aset_many({f"cold-{number}": number for number in range(100)})
        await cache.aset("hot", 0)
        await read(cache)
        threads = threading.active_count() - before
        await asyncio.to_thread(holder.ask, "lock", path)
        writes = [asyncio.ensure_future(cache.aset(f"k{n}", n)) for n in range(WRITERS)]
        ticker, end, reads = Ticker(), time.monotonic() + HELD, 0
        while time.monotonic() < end:
            await read(cache)
            reads += 4
        for write in writes[::3]:
            write.cancel()
        await asyncio.sleep(0)
        told = ticker.stop()
        assert [write for write in writes if write.done()] == writes[::3]
        assert await asyncio.to_thread(holder.ask, "free") == "None"
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [out for n, out in enumerate(outcomes) if n % 3] == [True] * (WRITERS * 2 // 3)
        kept = await cache.aget_many([f"k{n}" for n in range(WRITERS)])
        assert kept.items() >= {(f"k{n}", n) for n in range(WRITERS) if n % 3}
        assert all(value == int(key[1:]) for key, value in kept.items())
    print(
        f"\nfile locked for {HELD:g} s, {WRITERS} writers waiting, {reads} reads: lag of the "
        f"loop {told}, at most {ticker.lags[-1] * 1000:.1f} ms; {threads} threads"
    )
    assert ticker.lags[-1] < HELD / 2
    assert threads == 2


async def test_no_statement_runs_on_the_thread_of_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk is, it is another thread that waits for it."""
    open_connection = _sqlite_connections.open_connection
    statements: dict[int, int] = {}

    def noted(*_: object) -> None:
        me = threading.get_ident()
        statements[me] = statements.get(me, 0) + 1

    def watched(*arguments: Any) -> sqlite3.Connection:
        noted()
        db = open_connection(*arguments)
        db.set_trace_callback(noted)
        return db

    monkeypatch.setattr(_sqlite_connections, "open_connection", watched)
    most = before = threading.active_count()
    async with CacheManager(FileBackend(tmp_path / "cache.db", hot_size=10)) as cache:
        backend: Any = cache.backend
        writes = [asyncio.ensure_future(cache.aset(f"k{n}", n, 60)) for n in range(500)]
        while not all(write.done() for write in writes):
            most = max(most, threading.active_count())
            await asyncio.sleep(0)
        await asyncio.gather(*(cache.aget(f"k{n}") for n in range(500)))
        await asyncio.gather(*(cache.aincr(f"n{n}") for n in range(100)))
        assert await cache.acount() == len([key async for key in cache.ascan()]) == 600
        await backend.areload()
        assert (await cache.aping()).ok
        assert await cache.apop("k1") == 1
        assert await cache.adelete_matching("n*") == 100
        assert await cache.aclear() == 499
    print(f"\n{sum(statements.values())} statements on {len(statements)} threads")
    assert threading.get_ident() not in statements
    assert len(statements) == 2
    assert most - before <= 2
