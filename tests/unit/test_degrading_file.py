"""`on_outage="degrade"` on a cache file whose lock another process holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from faulty import on_a_slow_machine, outages_of
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces import Caller


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of writers, as a process does that was stopped in a transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


BULK: list[tuple[str, Any]] = [
    ("set_many", {"a": 1, "b": 2}),
    ("delete_many", ["a", "b"]),
]


@pytest.mark.parametrize(("name", "argument"), BULK)
def test_bulk_calls_tell_what_could_not_be_done(
    path: Path, call: Caller, name: str, argument: Any
) -> None:
    with CacheManager(FileBackend(path, busy_timeout=0.01)) as cache:
        call(cache, "set", "a", 0)
        with locked(path), pytest.raises(BackendUnavailableError) as caught:
            call(cache, name, argument)
        assert caught.value.failed == ["a", "b"]
        with locked(path), pytest.raises(BackendUnavailableError) as caught:
            call(cache, "set_many", {"a": 1, "b": 2}, 0)
        assert caught.value.failed == ["a", "b"]


def test_a_bulk_read_tells_what_could_not_be_read(path: Path, call: Caller) -> None:
    path.mkdir()
    with CacheManager(FileBackend(path / "cache.db")) as cache:
        call(cache, "set", "a", 0)
        cache.backend.close()
    with CacheManager(FileBackend(path / "cache.db", busy_timeout=0.01)) as cache:
        with closing(sqlite3.connect(path / "cache.db", isolation_level=None)) as holder:
            holder.execute("PRAGMA locking_mode = EXCLUSIVE")
            holder.execute("BEGIN EXCLUSIVE")
            with pytest.raises(BackendUnavailableError) as caught:
                call(cache, "get_many", ["a", "b"])
        assert caught.value.failed == ["a", "b"]


def test_a_locked_file_goes_on_with_what_is_right(
    path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_slow_machine(monkeypatch)
    with CacheManager(FileBackend(path, busy_timeout=0.01), on_outage="degrade") as cache:
        call(cache, "set_many", {"k": "old", "other": "old"})
        with locked(path):
            assert call(cache, "set", "k", "new") is True
            assert call(cache, "set_many", {"k": "new"}) == ["k"]
            assert call(cache, "delete_many", ["k"]) == 0
            for _ in range(3):
                assert call(cache, "get", "k", "gone") == "gone"
                assert call(cache, "get", "other") == "old"
                assert call.scan(cache) == ["other"]
            with pytest.raises(BackendUnavailableError):
                call(cache, "incr", "n")
        with CacheManager(FileBackend(path)) as fellow:
            assert call(fellow, "get", "k") == "old"
            assert call(cache, "get", "other") == "old"
            assert call(fellow, "get", "k", "gone") == "gone"
        assert not outages_of(cache)._ledgers


def test_a_file_that_is_locked_for_long_costs_reads_one_wait(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path, busy_timeout=0.3), on_outage="degrade") as cache:
        call(cache, "set_many", {"k": "old", "other": "old"})
        with locked(path):
            assert call(cache, "set", "k", "new") is True
            found = [call(cache, "get", "other", "out") for _ in range(6)]
            assert found == ["out", *["old"] * 5]
            assert cache.stats().errors == 2
        assert call(cache, "get", "k", "gone") == "gone"
        assert not outages_of(cache)._ledgers
