"""Writers and readers in processes of their own, all at once, on one cache file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from random import randbytes
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from register_processes import Part, Users
from registers import Board
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60 if LONG else 3
SIZES = {"small": 100, "large": 3_000} if LONG else {"small": 100}  # 1 KB and 40 KB
REGISTERS = 80
LARGEST_LOG = 64 * 1024 * 1024
PARTS = [
    *(Part("set", 0, 20), Part("set", 20, 40), Part("aset", 40, 60), Part("aset", 60, 80)),
    *(Part("get", 0, 80), Part("get", 0, 80), Part("aget", 0, 80), Part("aget", 0, 80)),
]

pytestmark = pytest.mark.timeout(300 if LONG else 120)


def largest_log(users: Users, path: Path) -> int:
    """Let them work for a while; return the largest size that the log had."""
    largest, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        users.check_alive()
        with suppress(FileNotFoundError):
            largest = max(largest, path.stat().st_size)
        time.sleep(0.02)
    return largest


@pytest.mark.parametrize("size", SIZES)
def test_four_writers_and_four_readers_never_wait_in_vain_nor_read_the_past(
    tmp_path: Path, size: str
) -> None:
    path, chalk = tmp_path / "cache.db", tmp_path / "board"
    board = Board(chalk, REGISTERS)
    with Users(path, chalk, REGISTERS, SIZES[size], PARTS) as users:
        users.go()
        log = largest_log(users, path.with_name("cache.db-wal"))
        calls, longest = users.end()
    print(
        f"\n4 writers and 4 readers for {SECONDS} s, {size} values: "
        f"{sum(calls[:4])} writes, {sum(calls[4:])} reads (by process: {calls}), "
        f"none failed, none stale; longest write {longest:.2f} s, log at most {log / 2**20:.1f} MB"
    )
    assert sum(board.acknowledged) >= sum(calls[:4]) > 100
    assert min(calls) > 0
    assert 0 < log <= LARGEST_LOG
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def keep_reading(path: Path, is_over: threading.Event) -> None:
    """Have a reader in the log at every moment: each begins before the last one ends."""
    with closing(connected(path)) as one, closing(connected(path)) as other:
        one.execute("BEGIN")
        one.execute("SELECT count(*) FROM entries").fetchone()
        while not is_over.is_set():
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM entries").fetchone()
            time.sleep(0.02)
            one.execute("COMMIT")
            one, other = other, one


def connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def test_the_log_stays_short_though_somebody_is_always_reading(tmp_path: Path) -> None:
    path, is_over = tmp_path / "cache.db", threading.Event()
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
        reader = threading.Thread(target=keep_reading, args=(path, is_over))
        reader.start()
        try:
            largest = written = 0
            while written < (2 if LONG else 1.5) * LARGEST_LOG:
                # SQLite does not write pages whose content stays the same.
                value = randbytes(100_000)
                assert cache.set(f"k{written % 7}", value)
                written += 100_000
                largest = max(largest, path.with_name("cache.db-wal").stat().st_size)
        finally:
            is_over.set()
            reader.join()
    print(f"\n{written / 2**20:.0f} MB written, log at most {largest / 2**20:.1f} MB")
    assert largest <= LARGEST_LOG
