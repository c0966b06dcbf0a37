"""No operation on a cache file costs more as the file grows: none scans a table, none sorts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

# Each row that these look at is asked for by a LIMIT, or is the only one.
BOUNDED = "LIMIT"


def statements_of(path: Path, **bounds: int) -> set[str]:
    """Return all that is sent to SQLite, triggers' statements included."""
    seen: set[str] = set()
    backend = FileBackend(path, **bounds)
    with CacheManager(backend) as cache:
        use(cache)
        resources = backend._connections._resources
        for guarded in (resources.reader, resources.writer):
            assert guarded._db is not None
            guarded._db.set_trace_callback(seen.add)
        use(cache)
    return {each.removeprefix("-- ") for each in seen}


def use(cache: CacheManager) -> None:
    for number in range(80):
        cache.set(f"k{number}", number)
    cache.set_many({"a": 1, "b": 2, "c": [3]})
    cache.add("d", 1)
    cache.incr("a")
    cache.touch("b", 60)
    cache.get("x")
    cache.get_many(["x", "y"])
    cache.exists("a")
    cache.pop("d")
    cache.delete("c")
    cache.delete_many(["b"])
    list(cache.scan())
    cache.clear()


@pytest.mark.parametrize("bounds", [{}, {"max_size": 20}, {"max_bytes": 65_536}])
def test_no_statement_scans_or_sorts(tmp_path: Path, bounds: dict[str, Any]) -> None:
    path = tmp_path / "cache.db"
    statements = statements_of(path, **bounds)
    planned = 0
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            assert "count(*)" not in statement.lower()
            if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                continue
            planned += 1
            for *_, step in db.execute(
                f"EXPLAIN QUERY PLAN {statement}".replace("NEW.name", "x'00'")
            ):
                is_bounded = "entries_by_write" in step and BOUNDED in statement
                assert not step.startswith("SCAN") or is_bounded or "CONSTANT" in step, statement
                assert "B-TREE" not in step, statement
    assert planned >= 8
