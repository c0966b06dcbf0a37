"""diskcache, and cashews over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from harness.loops import Calls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def fill_diskcache(folder: Path, pairs: Iterable[tuple[str, object]]) -> None:
    """Fill one, in one transaction."""
    from diskcache import Cache

    with Cache(str(folder)) as cache, cache.transact():
        for key, value in pairs:
            cache.set(key, value)


def diskcache(folder: Path, **settings: object) -> Calls:
    """Open it with its default settings: write-ahead log, statistics off, 1 GB."""
    from diskcache import Cache

    cache = Cache(str(folder), **settings)
    get, put, transact = cache.get, cache.set, cache.transact

    def get_many(keys: list[str]) -> list[object]:
        with transact():
            return [get(key) for key in keys]

    def set_many(mapping: dict[str, object]) -> None:
        with transact():
            for key, value in mapping.items():
                put(key, value)

    return Calls(
        {"get": get, "set": put, "get_many": get_many, "set_many": set_many},
        get_many="get_many(keys)",
        set_many="set_many(mapping)",
        close=cache.close,
    )


def fill_cashews(folder: Path, pairs: Iterable[tuple[str, object]]) -> None:
    """Fill one with values as it encodes them, past its threads: a transaction lasts in one."""
    _, disk = _cashews(folder)

    async def encoded() -> list[tuple[str, Any]]:
        encode = disk._serializer.encode
        return [(key, await encode(disk, key, value, None)) for key, value in pairs]

    shards = disk._cache
    with shards.transact():
        for key, value in asyncio.run(encoded()):
            shards.set(key, value)
    shards.close()


def cashews(folder: Path, ttl: int) -> Calls:
    """Open cashews' disk backend with its default settings: eight files, calls sent to threads."""
    cache, _ = _cashews(folder)
    put = f"await set(key, value, expire={ttl})"
    names = {"get": cache.get, "set": cache.set}
    return Calls(names, "await get(key)", put, is_async=True, close=cache.close)


def _cashews(folder: Path) -> tuple[Any, Any]:
    from cashews import Cache

    cache = Cache()
    return cache, cache.setup("disk://", directory=str(folder))
