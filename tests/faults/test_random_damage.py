"""Cache files damaged at random, or no longer caches at all: moved aside or refused, no crash.

A process of its own uses the file, so that its crash would be seen, and this one damages it.
"""

from __future__ import annotations

import ast
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from file_damage import PAGE, mutated
from file_processes import Child, Vandal
from memory_checks import LONG
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGES = 1_000 if LONG else 30
ENTRIES = 200
# Most of what goes wrong with a disk is closed or open files of ours that change a little.
KINDS = ["file", "file", "log", "open file", "open file", "foreign", "open foreign"]

pytestmark = pytest.mark.timeout(900 if LONG else 120)

USER = """
    told = globals()[given[0]](*given[1:])
    """
PREPARATION = f"""
    import logging
    from random import Random
    from symphra_cache import BackendUnavailableError, ConfigurationError

    logging.getLogger("symphra_cache").addHandler(logging.NullHandler())
    rng, runner, caches = Random(7), asyncio.Runner(), {{}}
    expected = {{
        f"key-{{n}}": [n, rng.randbytes(rng.choice((3, 40, 40, 300, 9_000)))]
        for n in range({ENTRIES})
    }}

    def fill(path):
        caches[path] = CacheManager(FileBackend(path))
        for key, value in expected.items():
            caches[path].set(key, value)

    def open(path):
        cache = caches[path] = CacheManager(FileBackend(path))
        assert cache.get("key-1") == expected["key-1"] == runner.run(cache.aget("key-1"))
        assert runner.run(cache.aset("fresh", 0)) and cache.set("fresh", 1)

    def close(path):
        caches.pop(path).close()

    async def read_all(cache):
        keys = list(expected)
        found = [cache.get(key) for key in keys[::2]]
        found += await asyncio.gather(*(cache.aget(key) for key in keys[1::2]))
        keys = keys[::2] + keys[1::2]
        wrong = [key for key, value in zip(keys, found) if value not in (None, expected[key])]
        assert not wrong, f"wrong values: {{wrong}}"
        many = await cache.aget_many(keys)
        assert all(value == expected[key] for key, value in many.items())
        assert len([key async for key in cache.ascan()]) <= len(expected) + 2
        return len(many)

    async def write(cache, number):
        assert cache.set("fresh", number) and await cache.aget("fresh") == number
        assert await cache.aset("fresh", -number) and cache.get("fresh") == -number

    def use(path, number):
        try:
            cache = caches.pop(path, None) or CacheManager(FileBackend(path))
        except ConfigurationError as error:
            return type(error).__name__, str(error), 0
        try:
            with cache:
                left = runner.run(read_all(cache))
                runner.run(write(cache, int(number) + 1))
                return "used", "", left
        except (ConfigurationError, BackendUnavailableError) as error:
            return type(error).__name__, str(error), 0
    """


@pytest.fixture
def user() -> Iterator[Child]:
    with Child(USER, preparation=PREPARATION) as child:
        yield child


@pytest.fixture
def vandal() -> Iterator[Vandal]:
    child = Vandal()
    with child:
        yield child


@pytest.fixture
def sources(tmp_path: Path, user: Child) -> dict[str, Path]:
    """A cache file that was closed, and one whose entries all stand in the log."""
    made = tmp_path / "made.db"
    assert user.ask("fill", made) == "None"
    logged, closed = tmp_path / "logged.db", tmp_path / "closed.db"
    shutil.copyfile(made, logged)
    shutil.copyfile(f"{made}-wal", f"{logged}-wal")
    assert user.ask("close", made) == "None"
    shutil.copyfile(made, closed)
    return {"logged": logged, "closed": closed}


def foreign(rng: random.Random, folder: Path) -> bytes:
    """Return text, another application's database, or anything at all."""
    kind = rng.randrange(3)
    if kind == 0:
        return b"notes of mine\n" * rng.randrange(1, 5_000)
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 50_000))
    path = folder / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE entries (name BLOB PRIMARY KEY, frame BLOB) WITHOUT ROWID")
        db.executemany("INSERT INTO entries VALUES (?, ?)", ((n, n) for n in range(500)))
        db.commit()
    data = path.read_bytes()
    path.unlink()
    return data


class Round:
    """One file, its damage, and what came of it."""

    def __init__(self, number: int, folder: Path, sources: dict[str, Path]) -> None:
        self.number = number
        self.rng = random.Random(number)
        self.kind = self.rng.choice(KINDS)
        self.path = folder / "cache.db"
        source = sources["logged" if self.kind == "log" else "closed"]
        shutil.copyfile(source, self.path)
        if self.kind == "log":
            shutil.copyfile(f"{source}-wal", f"{self.path}-wal")
        self.damaged = b""

    def damage(self, vandal: Vandal) -> None:
        """Damage the file or its log; another process, for ours must not close it."""
        victim = self.path.with_name("cache.db-wal") if self.kind == "log" else self.path
        if "foreign" in self.kind:
            self.damaged = foreign(self.rng, self.path.parent)
        else:
            self.damaged = mutated(victim.read_bytes(), self.rng)
        vandal.overwrite(victim, self.damaged)

    def run(self, user: Child, vandal: Vandal) -> str:
        """Damage and use the file; return what came of it in a word."""
        if self.kind.startswith("open"):
            assert user.ask("open", self.path) == "None"
        self.damage(vandal)
        answer = user.ask("use", self.path, self.number)
        assert answer.startswith("("), f"round {self.number}, {self.kind}: {answer or 'a crash'}"
        outcome, message, left = ast.literal_eval(answer)
        aside = [file for file in self.path.parent.glob("*.corrupt-*Z") if file.is_file()]
        try:
            return self.check(outcome, message, left, aside)
        except AssertionError as error:
            raise AssertionError(f"round {self.number}, {self.kind}: {answer}: {error}") from error

    def check(self, outcome: str, message: str, left: int, aside: list[Path]) -> str:
        """Check what was told, and what lies there now."""
        if "foreign" in self.kind:
            assert self.path.read_bytes() == self.damaged
            assert not aside
            # One that we have open already is noticed within a second, which may come too late.
            assert outcome == "ForeignFileError" or (outcome, self.kind) == ("used", "open foreign")
            return "refused" if outcome != "used" else "left alone"
        if outcome != "used":
            assert str(self.path) in message
            assert outcome != "BackendUnavailableError"
            assert self.kind == "log" or self.path.read_bytes() == self.damaged
            assert not aside or self.kind == "log"
            return "refused"
        if aside:
            if self.kind == "file":
                assert [file.read_bytes() for file in aside] == [self.damaged]
            with closing(sqlite3.connect(self.path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return "moved aside"
        return "whole" if left == ENTRIES else "with misses"


def test_a_damaged_file_is_moved_aside_or_refused_and_a_foreign_one_stays_as_it_is(
    tmp_path: Path, sources: dict[str, Path], user: Child, vandal: Vandal
) -> None:
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for number in range(DAMAGES):
        folder = tmp_path / str(number)
        folder.mkdir()
        each = Round(number, folder, sources)
        outcomes[each.kind][each.run(user, vandal)] += 1
        shutil.rmtree(folder)
    print(f"\n{DAMAGES} files damaged, no crash, no wrong value, no foreign file changed:")
    for kind, counted in outcomes.items():
        print(f"  {kind}: " + ", ".join(f"{count} {what}" for what, count in counted.items()))
    total: Any = sum(outcomes.values(), Counter())
    assert total["moved aside"]
    assert total["refused"]
    assert total["whole"] + total["with misses"]


def test_damage_that_the_sweep_for_expired_rows_meets_fails_no_write(tmp_path: Path) -> None:
    """The row that was asked for is far from it: those who need the damaged one find out."""
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set_many({f"key-{number:04}": bytes(300) for number in range(2_000)})
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // PAGE // 2 * PAGE)
        file.write(b"\xff" * PAGE)
    with CacheManager(FileBackend(path)) as cache:
        for number in range(64 * 20):
            assert cache.set("key-0000", number)
        assert cache.get("key-0000") == 64 * 20 - 1
        assert not [*tmp_path.glob("*.corrupt-*")]
        cache.clear()
    assert len([*tmp_path.glob("*.corrupt-*Z")]) == 1
