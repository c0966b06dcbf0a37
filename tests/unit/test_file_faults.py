"""The cache file when something goes wrong: locks, a full disk, killed processes, exits."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from symphra_cache import BackendUnavailableError, CacheClosedError, CacheManager
from symphra_cache.backends import FileBackend
from symphra_cache.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path


def run_script(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script)]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_lock_held_too_long_is_an_outage_for_writes_and_none_for_reads(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path, busy_timeout=0.1)) as cache:
        cache.set("k", 1)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendUnavailableError, match="locked") as caught:
            cache.set("k", 2)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        with pytest.raises(BackendUnavailableError, match="locked"):
            asyncio.run(cache.aincr("n"))
        assert cache.stats().errors == 2
        assert cache.get("k") == 1
        assert asyncio.run(cache.aget("k")) == 1
        holder.execute("ROLLBACK")
        holder.close()
        assert cache.set("k", 2)
        assert cache.get("k") == 2


async def test_the_loop_goes_on_while_a_write_waits_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        await cache.aset("k", 1)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(cache.aset("k", 2))
        for _ in range(20):
            await asyncio.sleep(0.005)
            assert await cache.aget("k") == 1
        assert not waiting.done()
        holder.execute("ROLLBACK")
        holder.close()
        assert await waiting
        assert await cache.aget("k") == 2


def test_a_full_disk_fails_the_write_and_loses_nothing(tmp_path: Path) -> None:
    # A limit on the size of files makes the kernel refuse to write, as a full disk does.
    told = run_script(
        """
        import resource, signal, sys
        from symphra_cache import BackendUnavailableError, CacheManager
        from symphra_cache.backends import FileBackend

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        cache = CacheManager(FileBackend(sys.argv[1]))
        cache.set("old", "kept")
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            cache.set("big", bytes(1_000_000))
        except BackendUnavailableError as error:
            print(type(error.__cause__).__name__)
        print(cache.get("old"), cache.get("big"), cache.set_many({"a": 1, "b": 2}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        cache.set("big", bytes(1_000_000))
        print(len(cache.get("big")))
        cache.close()
        """,
        tmp_path / "cache.db",
    )
    assert told.stderr == ""
    assert told.stdout.splitlines() == ["OperationalError", "kept None []", "1000000"]


def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    script = textwrap.dedent(
        """
        import asyncio, sys
        from symphra_cache import CacheManager
        from symphra_cache.backends import FileBackend

        cache = CacheManager(FileBackend(sys.argv[1]))

        def say(number):
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

        async def work():
            for number in range(1_000_000):
                if number % 2:
                    cache.set(f"k{number}", {"number": number})
                else:
                    await cache.aset(f"k{number}", {"number": number})
                say(number)

        asyncio.run(work())
        """
    )
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            acknowledged = [int(child.stdout.readline()) for _ in range(200)]
            child.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
        with CacheManager(FileBackend(path)) as cache:
            for number in acknowledged:
                assert cache.get(f"k{number}") == {"number": number}
            cache.clear()
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


def test_a_program_that_forgets_to_close_ends_at_once_and_silently(tmp_path: Path) -> None:
    told = run_script(
        """
        import asyncio, sys
        from symphra_cache import CacheManager
        from symphra_cache.backends import FileBackend

        cache = CacheManager(FileBackend(sys.argv[1]))
        cache.set("blocking", 1)
        asyncio.run(cache.aset("loop", 2))
        print(cache.get_many(["blocking", "loop"]))
        """,
        tmp_path / "cache.db",
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.strip() == str({"blocking": 1, "loop": 2})


def test_dropped_backends_leave_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    def use(number: int) -> None:
        cache = CacheManager(FileBackend(tmp_path / f"{number % 3}.db"))
        cache.set("k", number)
        assert asyncio.run(cache.aget("k")) == number

    use(0)
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    for number in range(20):
        use(number)
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("symphra-cache"):
            thread.join(5)
    assert len(os.listdir("/dev/fd")) == before
    assert not any(thread.name.startswith("symphra-cache") for thread in threading.enumerate())


def write_until_closed(
    cache: CacheManager, started: threading.Barrier, outcomes: list[BaseException]
) -> None:
    started.wait()
    try:
        for number in range(1_000_000):
            cache.set("k", number)
    except BaseException as error:
        outcomes.append(error)


def test_close_waits_for_calls_in_flight_or_lets_them_know(tmp_path: Path) -> None:
    for _ in range(5):
        cache = CacheManager(FileBackend(tmp_path / "cache.db"))
        cache.set("k", 0)
        outcomes: list[BaseException] = []
        started = threading.Barrier(5)
        threads = [
            threading.Thread(target=write_until_closed, args=(cache, started, outcomes))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        started.wait()
        cache.close()
        for thread in threads:
            thread.join()
        assert [type(outcome) for outcome in outcomes] == [CacheClosedError] * 4


async def test_aclose_ends_tasks_in_flight(tmp_path: Path) -> None:
    cache = CacheManager(FileBackend(tmp_path / "cache.db"))
    tasks = [asyncio.ensure_future(cache.aset(f"k{number}", number)) for number in range(200)]
    await asyncio.sleep(0)
    await cache.aclose()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {bool, CacheClosedError}
    with pytest.raises(CacheClosedError):
        await cache.aget("k1")


def test_writers_remove_expired_rows_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    clock = FakeClock()
    with CacheManager(FileBackend(path, clock=clock)) as cache:
        cache.set_many({f"short-{number}": number for number in range(1_000)}, ttl=10)
        cache.set("long", 1)
        clock.advance(10)
        for number in range(2_000):
            cache.set("writes", number)
        db = sqlite3.connect(path)
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (2,)
        db.close()
        assert cache.stats().expirations == 1_000
        assert cache.get("long") == 1


def test_full_durability_asks_sqlite_to_sync_each_commit(tmp_path: Path) -> None:
    for durability, level in (("normal", 1), ("full", 2)):
        backend = FileBackend(tmp_path / f"{durability}.db", durability=durability)  # type: ignore[arg-type]
        with CacheManager(backend) as cache:
            cache.set("k", 1)
            asked = backend._store.connections.write(
                (), None, lambda db: db.execute("PRAGMA synchronous").fetchone()[0]
            )
            assert asked == level
            assert cache.get("k") == 1


def test_no_close_returns_before_everything_is_closed(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path / "cache.db")
    held, over = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        held.set()
        over.wait(30)

    with CacheManager(backend) as cache:
        cache.set("k", 1)
        assert cache.get("k") == 1
        work = threading.Thread(target=backend._store.connections.write, args=((), None, hold))
        closers = [threading.Thread(target=cache.close) for _ in range(2)]
        work.start()
        held.wait(30)
        for closer in closers:
            closer.start()
            closer.join(0.05)
        assert [closer.is_alive() for closer in closers] == [True, True]
        over.set()
        for thread in (work, *closers):
            thread.join(30)
        with pytest.raises(CacheClosedError):
            cache.get("k")
