"""No operation on a cache file costs more as the file grows: none scans a table, none sorts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager, _sqlite, _sqlite_limits, _sqlite_schema
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

# Each row that these look at is asked for by a LIMIT, or is the only one.
BOUNDED = "LIMIT"
QUERIES = ("SELECT", "INSERT", "UPDATE", "DELETE")
# Run when a file is opened: what tables it has, and whether its books are right.
AT_OPENING = {_sqlite_schema._TABLES, _sqlite_limits._IS_BUILT, *_sqlite_limits._SCHEMA} | {
    _sqlite_limits._COUNTED,
    _sqlite_limits._RECOUNT,
}


def texts_of(module: ModuleType) -> set[str]:
    """Return all statements that a module has."""
    return {
        text
        for text in vars(module).values()
        if isinstance(text, str) and text.startswith(QUERIES) and text not in AT_OPENING
    }


def scans(db: sqlite3.Connection, statement: str) -> list[str]:
    """Return steps that look at rows without end, or sort."""
    marks = [None] * statement.count("?")
    plan = db.execute(f"EXPLAIN QUERY PLAN {statement}", marks).fetchall()
    return [
        step
        for *_, step in plan
        if "B-TREE" in step
        or (
            step.startswith("SCAN")
            and "CONSTANT" not in step
            and not ("entries_by_write" in step and BOUNDED in statement)
        )
    ]


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
            if statement.startswith(QUERIES):
                planned += 1
                assert scans(db, statement.replace("NEW.name", "x'00'")) == [], statement
    assert planned >= 8


@pytest.mark.parametrize("module", [_sqlite, _sqlite_limits], ids=lambda each: each.__name__)
def test_no_statement_of_the_modules_scans_or_sorts(tmp_path: Path, module: ModuleType) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path, max_size=20)) as cache:
        cache.set("k", 1)
    texts = texts_of(module)
    assert len(texts) >= 5
    with closing(sqlite3.connect(path)) as db:
        for text in texts:
            # The first row of a table is found at once, in whatever order.
            is_one = text.endswith("LIMIT 1")
            assert is_one or scans(db, text) == [], text
            assert "count(*)" not in text.lower()
