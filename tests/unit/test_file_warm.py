"""A cache file that is read into memory as a whole: at open, and on demand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache.backends import FileBackend
from symphra_cache.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from faces import Caller

VALUES: dict[str, Any] = {
    "int": 1,
    "text": "x",
    "none": None,
    "dict": {"a": 1},
    "deep": {"a": [1, {2}], "b": timedelta(1)},
    "large": b"x" * 50_000,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def fill(path: Path, count: int) -> None:
    with CacheManager(FileBackend(path)) as cache:
        cache.set_many({f"k{number}": number for number in range(count)})


def tier(cache: CacheManager) -> Any:
    backend: Any = cache.backend
    return backend._store.tier


def test_what_lives_is_there_before_it_is_asked_for(path: Path, call: Caller) -> None:
    clock = FakeClock()
    with CacheManager(FileBackend(path, clock=clock)) as cache:
        cache.set_many(VALUES)
        cache.namespace("users").set("k", 5)
        cache.set("short", 1, ttl=1)
        cache.set("long", 2, ttl=100)
    clock.advance(2)
    with CacheManager(FileBackend(path, warm=True, clock=clock)) as cache:
        names = {f"symphra:{key}".encode() for key in VALUES} - {b"symphra:large"}
        assert set(tier(cache).entries) == {*names, b"symphra/users:k", b"symphra:long"}
        for _ in range(3):
            for key, value in VALUES.items():
                found = call(cache, "get", key, "absent")
                assert (found, type(found)) == (value, type(value))
            assert call(cache.namespace("users"), "get", "k") == 5
            assert call(cache, "get", "long") == 2
            assert call(cache, "get", "short") is None
        clock.advance(98)
        assert call(cache, "get", "long") is None


def test_warm_values_are_each_callers_own(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path)) as cache:
        cache.set_many({"flat": [1], "deep": [[1]]})
    with CacheManager(FileBackend(path, warm=True)) as cache:
        for _ in range(3):
            call(cache, "get", "flat").append(2)
            call(cache, "get", "deep")[0].append(2)
        assert call(cache, "get_many", ["flat", "deep"]) == {"flat": [1], "deep": [[1]]}


def test_progress_is_told_page_by_page(path: Path) -> None:
    fill(path, 12_000)
    told: list[int] = []
    with CacheManager(FileBackend(path, warm=told.append)) as cache:
        assert told == sorted(told)
        assert len(told) > 1
        assert told[-1] == 12_000 == len(tier(cache).entries)


def test_no_more_is_loaded_than_the_hot_tier_holds(path: Path) -> None:
    fill(path, 300)
    with CacheManager(FileBackend(path, warm=True, hot_size=100)) as cache:
        assert len(tier(cache).entries) == 100
        assert cache.get_many([f"k{number}" for number in range(300)]) == {
            f"k{number}": number for number in range(300)
        }


def test_reload_takes_up_what_others_wrote(path: Path, call: Caller) -> None:
    with CacheManager(FileBackend(path)) as cache, CacheManager(FileBackend(path)) as other:
        call(cache, "set", "k", 1)
        other.set_many({"k": 2, "new": 3})
        assert call(cache.backend, "reload") == 2  # type: ignore[arg-type]
        generation = tier(cache).generation
        assert call(cache, "get_many", ["k", "new"]) == {"k": 2, "new": 3}
        assert tier(cache).generation == generation


def test_what_is_written_during_the_load_is_not_overwritten(path: Path, call: Caller) -> None:
    fill(path, 12_000)
    with CacheManager(FileBackend(path)) as cache, CacheManager(FileBackend(path)) as other:
        turns = iter(range(100))

        def meddle(_: int) -> None:
            turn = next(turns)
            cache.set_many({f"k{number}": ("own", turn) for number in range(0, 12_000, 1_000)})
            cache.delete("k500")
            other.set("k700", ("foreign", turn))

        call(cache.backend, "reload", meddle)  # type: ignore[arg-type]
        last = next(turns) - 1
        for number in range(0, 12_000, 1_000):
            assert call(cache, "get", f"k{number}") == ("own", last)
        assert call(cache, "get", "k500") is None
        assert call(cache, "get", "k700") == ("foreign", last)


def test_damaged_rows_are_misses(path: Path, call: Caller) -> None:
    fill(path, 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entries SET frame = zeroblob(80) WHERE name = ?", (b"symphra:k1",))
        db.execute("UPDATE entries SET expires = 'soon' WHERE name = ?", (b"symphra:k2",))
        db.commit()
    with CacheManager(FileBackend(path, warm=True)) as cache:
        assert call(cache, "get_many", ["k0", "k1", "k2"]) == {"k0": 0}
        assert [call(cache, "get", f"k{number}") for number in range(3)] == [0, None, None]
        assert cache.stats().corrupt == 4


def test_wrong_options_are_refused(path: Path) -> None:
    for wrong in (1, "yes", None):
        with pytest.raises(ConfigurationError, match="warm"):
            FileBackend(path, warm=wrong)  # type: ignore[arg-type]
    for wrong in (-1, True, 1.0, None, "10"):
        with pytest.raises(ConfigurationError, match="hot_size"):
            FileBackend(path, hot_size=wrong)  # type: ignore[arg-type]


def test_both_are_options_of_a_url(path: Path) -> None:
    fill(path, 20)
    with CacheManager.from_url(f"file://{path}?warm=true&hot_size=10") as cache:
        assert len(tier(cache).entries) == 10
