"""Writers and readers in processes of their own, all at once, on one cache file."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from register_processes import Part, Users
from registers import Board

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60 if LONG else 3
SIZE = 100
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


def test_four_writers_and_four_readers_never_wait_in_vain_nor_read_the_past(
    tmp_path: Path,
) -> None:
    path, chalk = tmp_path / "cache.db", tmp_path / "board"
    board = Board(chalk, REGISTERS)
    with Users(path, chalk, REGISTERS, SIZE, PARTS) as users:
        users.go()
        log = largest_log(users, path.with_name("cache.db-wal"))
        calls, longest = users.end()
    print(
        f"\n4 writers and 4 readers for {SECONDS} s: {sum(calls[:4])} writes, {sum(calls[4:])} "
        f"reads (by process: {calls}), none failed, none stale; "
        f"longest write {longest:.2f} s, log at most {log / 2**20:.1f} MB"
    )
    assert sum(board.acknowledged) >= sum(calls[:4]) > 100
    assert min(calls) > 0
    assert 0 < log <= LARGEST_LOG
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
