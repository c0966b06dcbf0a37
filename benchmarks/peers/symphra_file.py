"""symphra_cache over its file backend, and its predecessor 0.1.0, which is called alike."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from harness.loops import Calls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "cache.db"
# Of the predecessor, whose bound is 10,000 unless it is told another.
ROOM = 1_000_000
STORE_BEFORE = (
    "INSERT INTO cache_entries (key, value, expires_at, last_access, created_at)"
    " VALUES (?, ?, NULL, 0, 0)"
)


def fill_symphra(folder: Path, pairs: Iterable[tuple[str, object]]) -> None:
    """Fill one of ours, in one transaction."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import FileBackend

    with CacheManager(FileBackend(folder / FILE)) as cache:
        cache.set_many(dict(pairs))


def symphra(folder: Path, **options: object) -> Calls:
    """Open our blocking face; options go to the backend."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import FileBackend

    cache = CacheManager(FileBackend(folder / FILE, **options))
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"get_many": cache.get_many, "set_many": cache.set_many},
        },
        get_many="get_many(keys)",
        set_many="set_many(mapping)",
        close=cache.close,
    )


def symphra_async(folder: Path, ttl: int, **options: object) -> Calls:
    """Open our asyncio face; options go to the backend."""
    from symphra_cache import CacheManager
    from symphra_cache.backends import FileBackend

    cache = CacheManager(FileBackend(folder / FILE, **options))
    names = {"get": cache.aget, "set": cache.aset}
    put = f"await set(key, value, ttl={ttl})"
    return Calls(names, "await get(key)", put, is_async=True, close=cache.aclose)


def fill_predecessor(folder: Path, pairs: Iterable[tuple[str, object]]) -> None:
    """Fill the table that the predecessor makes; it counts all rows with each set of its own."""
    from symphra_cache.backends import FileBackend

    backend = FileBackend(folder / FILE)
    encode = backend._serializer.serialize
    db = sqlite3.connect(folder / FILE)
    with db:
        db.executemany(STORE_BEFORE, ((key, encode(value)) for key, value in pairs))
    db.close()
    backend.close()
