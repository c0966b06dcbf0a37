"""The log of a cache file is copied by one process at a time, and does not grow without bound."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from file_processes import Child
from symphra_cache import CacheManager
from symphra_cache._sqlite_checkpoints import checkpoint
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

    from faces import Caller

MB = 1024 * 1024
LARGE = {f"large-{number}": bytes(MB) for number in range(20)}  # 5,000 pages of the log
OTHERS = {key: value.replace(b"\0", b"x") for key, value in LARGE.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def log_size(path: Path) -> int:
    return path.with_name("cache.db-wal").stat().st_size


def on_writer(cache: CacheManager, function: Any) -> Any:
    """Call a function with the connection that writes."""
    return cache.backend._store.connections.write((), None, function)  # type: ignore[attr-defined]


def lengths(cache: CacheManager) -> tuple[int, int]:
    """Return how many pages the log has, and how many of them are copied."""
    index = on_writer(cache, lambda db: db.file.index)
    return index.words[4], index.words[24]


def test_a_long_log_is_copied_and_begun_anew(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "set_many", LARGE) == []
        pages, copied = lengths(cache)
        assert pages == copied >= 5_000
        assert call(cache, "set", "k", 1)
        pages, copied = lengths(cache)
        assert (pages < 10, copied) == (True, 0)
        for number in range(200):
            assert call(cache, "set", f"large-{number % 20}", bytes(200_000))
            assert lengths(cache)[0] < 4_100
        assert log_size(path) < 64 * MB


def test_a_value_as_large_as_the_log_may_be_leaves_a_short_one(path: Path) -> None:
    with CacheManager(FileBackend(path)) as cache:
        assert cache.set("large", bytes(63 * MB))
        assert cache.set("k", 1)
        assert log_size(path) <= 33 * MB


def test_nobody_begins_with_nothing_to_copy(path: Path) -> None:
    # That, while another begins the log anew, is what the WAL-reset bug of SQLite needs.
    said: list[str] = []

    def twice(db: Any) -> tuple[bool, bool]:
        db.set_trace_callback(said.append)
        try:
            return checkpoint(db), checkpoint(db)
        finally:
            db.set_trace_callback(None)

    with CacheManager(FileBackend(path)) as cache:
        assert cache.set("k", 1)
        assert on_writer(cache, twice) == (True, False)
        assert len([line for line in said if "checkpoint" in line]) == 1


def test_one_process_at_a_time_copies_the_log(path: Path, call: Caller) -> None:
    script = """
        from symphra_cache._sqlite_quarantine import moving
        if given[0] == "take":
            lock = moving(given[1], 5)
            lock.__enter__()
        else:
            lock.__exit__(None, None, None)
        """
    with CacheManager(FileBackend(path)) as cache, Child(script) as other:
        assert call(cache, "set", "k", 1)
        assert other.ask("take", path) == "None"
        assert call(cache, "set_many", LARGE) == [], "the write itself waits for nobody"
        pages, copied = lengths(cache)
        assert pages > 5_000
        assert copied < 5_000
        assert other.ask("let go") == "None"
        assert call(cache, "set_many", OTHERS) == []
        assert lengths(cache)[0] == lengths(cache)[1]


def test_a_reader_that_stays_holds_up_no_write_for_long(path: Path) -> None:
    with CacheManager(FileBackend(path)) as cache, CacheManager(FileBackend(path)) as second:
        assert cache.set("k", 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entries").fetchone()
            began = time.monotonic()
            for turn in range(4):
                assert cache.set_many(OTHERS if turn % 2 else LARGE) == []
                assert second.set("k", 2)
            print(f"{time.monotonic() - began:.2f} s beside a reader, {log_size(path)} bytes")
            assert time.monotonic() - began < 10
        assert cache.set_many(LARGE) == []
        assert second.set("k", 3)
        assert log_size(path) <= 33 * MB


def test_the_log_stays_short_whoever_writes(path: Path) -> None:
    """Four writers and four readers; ``SYMPHRA_LONG_TESTS=1`` has them work for a minute."""
    seconds = 60 if os.environ.get("SYMPHRA_LONG_TESTS") == "1" else 3
    script = """
        import random, time
        path, kind, seconds, seed = given
        rng, ended, calls = random.Random(seed), time.monotonic() + float(seconds), 0
        with CacheManager(FileBackend(path, busy_timeout=30)) as cache:
            while time.monotonic() < ended:
                key = f"k{rng.randrange(50)}"
                if kind == "writer":
                    cache.set(key, [key, rng.randbytes(rng.randrange(100_000, 200_000))])
                else:
                    found = cache.get(key)
                    assert found is None or found[0] == key
                calls += 1
        told = calls
        """
    largest = 0
    with ExitStack() as stack:
        kinds = ["writer"] * 4 + ["reader"] * 4
        children = [stack.enter_context(Child(script)) for _ in kinds]
        for number, child in enumerate(children):
            child.send(path, kinds[number], seconds, number)
        ended = time.monotonic() + seconds
        while time.monotonic() < ended:
            time.sleep(0.02)
            if path.with_name("cache.db-wal").exists():
                largest = max(largest, log_size(path))
        calls = [int(child.answer()) for child in children]
    print(f"largest log {largest / MB:.1f} MB; writes {calls[:4]}, reads {calls[4:]}")
    # While the disk holds up who empties the log, the others go on writing.
    assert largest <= max(64 * MB, sum(calls[:4]) * 150_000 / 2)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
