"""Writers are killed in the middle of their transactions: what they were told is done is there."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from register_processes import Part, Users
from registers import Board, number_in
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 50 if LONG else 5
SIZE = 200  # a row is about a page: so the kill hits long transactions, and the log grows
REGISTERS = 240
IN_ONE_TRANSACTION = range(40, 240)
PARTS = [
    Part("set", 0, 20),
    Part("aset", 20, 40),
    Part("set_many", IN_ONE_TRANSACTION.start, IN_ONE_TRANSACTION.stop),
]

pytestmark = pytest.mark.timeout(600 if LONG else 120)


def reopened(path: Path) -> tuple[CacheManager, float]:
    """Return a cache that has been read from and written to, and how long that took."""
    started = time.perf_counter()
    cache = CacheManager(FileBackend(path))
    cache.get("r0")
    cache.set("reopened", started)
    return cache, time.perf_counter() - started


def check_registers(cache: CacheManager, board: Board) -> int:
    """Check all of them; return how many are ahead of their last acknowledgement."""
    found = cache.get_many([f"r{register}" for register in range(REGISTERS)])
    numbers = [number_in(each, found.get(f"r{each}"), SIZE) for each in range(REGISTERS)]
    for register, number in enumerate(numbers):
        assert number >= board.acknowledged[register], f"lost: register {register}"
        board.check(register, board.floor(register), number)
    half = {numbers[register] for register in IN_ONE_TRANSACTION}
    assert len(half) == 1, f"half a transaction: {half}"
    return sum(number > board.acknowledged[register] for register, number in enumerate(numbers))


def writers_in_a_call(board: Board) -> int:
    """Return how many of the writers have begun a write that was not acknowledged."""
    return sum(
        any(board.begun[each] > board.acknowledged[each] for each in range(part.first, part.last))
        for part in PARTS
    )


def check_file(path: Path, *, is_bounded: bool) -> None:
    """Check what SQLite has to say of it."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if is_bounded:
            held, counted = db.execute(
                "SELECT entries, (SELECT count(*) FROM entries) FROM held"
            ).fetchone()
            assert held == counted


@pytest.mark.parametrize("situation", ["alone", "observed"])
def test_writers_killed_in_mid_transaction_lose_nothing(tmp_path: Path, situation: str) -> None:
    """Observed, the log lives on; else it is recovered by who comes next. Bounds are books, too."""
    path, chalk = tmp_path / "cache.db", tmp_path / "board"
    board, rng = Board(chalk, REGISTERS), random.Random(6)
    max_size = 10 * REGISTERS if situation == "observed" else 0
    rounds = ROUNDS if situation == "alone" else ROUNDS // 2
    slowest, interrupted, done, ahead = 0.0, 0, 0, 0
    watching = reopened(path)[0] if situation == "observed" else None
    for _ in range(rounds):
        before = list(board.begun)
        with Users(path, chalk, REGISTERS, SIZE, PARTS, max_size=max_size) as users:
            users.go()
            time.sleep(rng.uniform(0.02, 0.2))
            users.kill()
        interrupted += writers_in_a_call(board)
        done += sum(max(0, n - old) for n, old in zip(board.acknowledged, before, strict=True))
        cache, took = reopened(path)
        slowest = max(slowest, took)
        with cache:
            ahead += check_registers(cache, board)
        if watching is not None:
            check_registers(watching, board)
        check_file(path, is_bounded=bool(max_size))
    if watching is not None:
        watching.close()
    assert [file.name for file in tmp_path.glob("*corrupt*")] == []
    print(
        f"\n{rounds} × 3 writers killed, {situation}: {interrupted} in mid-call, "
        f"{done} acknowledged writes, 0 lost, 0 torn, {ahead} more found done though their "
        f"calls had not returned; reopened within {slowest * 1000:.1f} ms"
    )
    assert interrupted >= rounds
    assert slowest <= 1
