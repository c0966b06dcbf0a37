"""A cache file shared by processes: nobody ever reads what another one has overwritten.

Short form here; ``SYMPHRA_LONG_TESTS=1`` does 200,000 hand-overs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

IS_LONG = os.environ.get("SYMPHRA_LONG_TESTS") == "1"
HAND_OVERS = 200_000 if IS_LONG else 3_000
KINDS = ["ours", "sqlite"]

pytestmark = pytest.mark.timeout(900 if IS_LONG else 120)


class Writer:
    """Another process that writes; a call returns when its write has returned."""

    def __init__(self, path: Path, kind: str) -> None:
        program = str(Path(__file__).with_name("file_writer.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, str(path), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __call__(self, *call: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def finish(self) -> None:
        self._process.communicate(timeout=30)


@contextmanager
def writing(path: Path, kind: str) -> Iterator[Writer]:
    writer = Writer(path, kind)
    try:
        yield writer
    finally:
        writer.finish()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def cache(path: Path) -> Iterator[CacheManager]:
    with CacheManager(FileBackend(path)) as cache:
        cache.set("before", 0)
        yield cache


def heat(call: Caller, cache: CacheManager, *keys: str) -> None:
    """Read until the hot tier answers: what is read now was read from the file before."""
    for key in keys:
        call(cache, "get", key)
        call(cache, "get", key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_that_has_returned_is_seen(
    path: Path, cache: CacheManager, call: Caller, kind: str
) -> None:
    stale = 0
    with writing(path, kind) as write:
        started = time.perf_counter()
        for number in range(HAND_OVERS):
            write("set", "k", number)
            stale += call(cache, "get", "k") != number
            stale += call(cache, "get", "k") != number  # this one is served by the hot tier
        took = time.perf_counter() - started
    print(f"{HAND_OVERS} hand-overs in {took:.1f} s, {stale} stale reads")
    assert stale == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_delete_and_a_clear_that_have_returned_are_seen(
    path: Path, cache: CacheManager, call: Caller, kind: str
) -> None:
    with writing(path, kind) as write:
        for number in range(HAND_OVERS // 10):
            for removal in (("delete", "k"), ("clear",)):
                call(cache, "set_many", {"k": number, "other": number})
                heat(call, cache, "k", "other")
                write(*removal)
                assert call(cache, "get", "k") is None
                left = call(cache, "get_many", ["k", "other"])
                assert left == ({"other": number} if removal[0] == "delete" else {})


def test_an_expiry_is_seen_in_the_hot_tier(path: Path, call: Caller) -> None:
    from symphra_cache.testing import FakeClock

    clock = FakeClock()
    with CacheManager(FileBackend(path, clock=clock)) as cache:
        for _ in range(100):
            call(cache, "set", "k", [1], ttl=1)
            heat(call, cache, "k")
            clock.advance(0.999)
            assert call(cache, "get", "k") == [1]
            clock.advance(0.001)
            assert call(cache, "get", "k") is None
            assert call(cache, "get_many", ["k"]) == {}


@pytest.mark.parametrize(
    "upheaval",
    [("pragma", "wal_checkpoint(TRUNCATE)"), ("pragma", "wal_checkpoint(RESTART)"), ("vacuum",)],
    ids=["truncate", "restart", "vacuum"],
)
def test_checkpoints_and_vacuum_by_others_are_survived(
    path: Path, cache: CacheManager, call: Caller, upheaval: tuple[str, ...]
) -> None:
    with writing(path, "ours") as write, writing(path, "sqlite") as meddle:
        for number in range(100):
            write("set", "k", number)
            heat(call, cache, "k", "before")
            meddle(*upheaval)
            assert call(cache, "get", "k") == number
            write("set", "k", -number)
            assert call(cache, "get", "k") == -number
            assert call(cache, "get", "before") == 0


def test_a_writer_that_is_killed_is_recovered_from(
    path: Path, cache: CacheManager, call: Caller
) -> None:
    for number in range(10):
        writer = Writer(path, "ours")
        writer("set", "k", number)
        heat(call, cache, "k", "before")
        writer.kill()
        assert call(cache, "get", "k") == number
        with writing(path, "sqlite") as write:
            write("set", "k", "again")
            assert call(cache, "get", "k") == "again"
            assert call(cache, "get", "before") == 0


def test_two_backends_of_one_process_see_each_other(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path)) as first, CacheManager(FileBackend(path)) as second:
        for number in range(300):
            for writer, reader in ((first, second), (second, first)):
                call(writer, "set", "k", number)
                assert call(reader, "get", "k") == number
                call(reader, "get", "k")
                assert call(writer, "get", "k") == number
                call(writer, "delete", "k")
                assert call(reader, "get", "k") is None


def test_threads_and_a_foreign_writer_never_see_a_value_go_back(
    path: Path, cache: CacheManager
) -> None:
    """Each key's number only rises; so nobody may read a lower one than before."""
    keys = [f"k{number}" for number in range(20)]
    cache.set_many(dict.fromkeys(keys, 0))
    over, went_back = threading.Event(), []

    def read() -> None:
        seen = dict.fromkeys(keys, 0)
        while not over.is_set():
            for key in keys:
                value = cache.get(key)
                if value < seen[key]:
                    went_back.append((key, seen[key], value))
                seen[key] = value

    def rise() -> None:
        while not over.is_set():
            for key in keys[::2]:
                cache.incr(key)

    threads = [threading.Thread(target=each) for each in (read, read, read, rise)]
    for thread in threads:
        thread.start()
    with writing(path, "ours") as write:
        for number in range(1, min(HAND_OVERS // 10, 1_000)):  # four threads share the GIL
            for key in keys[1::2]:
                write("set", key, number)
                if cache.get(key) != number:
                    went_back.append((key, number, cache.get(key)))
    over.set()
    for thread in threads:
        thread.join(30)
    assert not went_back


def test_own_writes_leave_the_others_entries_hot(path: Path, cache: CacheManager) -> None:
    backend: Any = cache.backend
    cache.set_many({f"k{number}": number for number in range(100)})
    generation = backend._store.tier.generation
    for number in range(200):
        cache.set("k0", number)
        assert [cache.get(f"k{each}") for each in range(1, 100)] == list(range(1, 100))
    assert backend._store.tier.generation == generation


def test_without_a_hot_tier_everything_is_read_from_the_file(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path, hot_size=0)) as cache:
        call(cache, "set", "k", 1)
        heat(call, cache, "k")
        backend: Any = cache.backend
        assert not backend._store.tier.entries
        assert call(cache, "get", "k") == 1


def test_the_hot_tier_keeps_to_its_size(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path, hot_size=10)) as cache:
        backend: Any = cache.backend
        call(cache, "set_many", {f"k{number}": number for number in range(100)})
        assert len(backend._store.tier.entries) == 10
        for number in range(100):
            assert call(cache, "get", f"k{number}") == number
        assert len(backend._store.tier.entries) == 10
        assert list(backend._store.tier.entries)[-1] == b"symphra:k99"
