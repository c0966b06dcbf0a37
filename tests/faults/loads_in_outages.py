"""Caches whose backend goes and comes back, and loaders that see to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from load_checks import assert_nothing_is_left
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from file_processes import Child
    from redis_servers import RedisServer


LOCKER = """
if given[0] == "lock":
    db = sqlite3.connect(given[1], isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
else:
    db.execute("ROLLBACK")
    db.close()
"""


class World:
    """A cache whose backend can go and come back.

    Attributes:
        answers_reads: whether it reads while it is out.
    """

    answers_reads = False

    def __init__(self, backend: Any, mode: Any) -> None:
        self.cache = CacheManager(backend, on_outage=mode)
        self.degrades = mode == "degrade"

    def begin(self) -> None:
        """Take the backend away."""
        raise NotImplementedError

    def end(self) -> None:
        """Bring it back."""
        raise NotImplementedError


class StoppedServer(World):
    def __init__(self, server: RedisServer, mode: Any) -> None:
        # Asks again with each call, and does not wait for long.
        super().__init__(RedisBackend(server.url, socket_timeout=0.2, breaker=None), mode)
        self.server = server

    def begin(self) -> None:
        self.server.stop()

    def end(self) -> None:
        self.server.start()


class PausedServer(StoppedServer):
    def begin(self) -> None:
        self.server.pause()

    def end(self) -> None:
        self.server.resume()


class LockedFile(World):
    answers_reads = True

    def __init__(self, path: Path, child: Child, mode: Any) -> None:
        super().__init__(FileBackend(path, busy_timeout=0.1), mode)
        self.path, self.child = path, child

    def begin(self) -> None:
        assert self.child.ask("lock", self.path) == "None"

    def end(self) -> None:
        assert self.child.ask("unlock") == "None"


class Runs:
    """A loader that counts, and does something before it returns."""

    def __init__(self, does: Callable[[], object] = int, value: Any = None) -> None:
        self.does = does
        self.value = value
        self.count = 0

    def load(self) -> Any:
        self.count += 1
        self.does()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value or f"run {self.count}"

    async def aload(self) -> Any:
        return await asyncio.to_thread(self.load)

    def load_many(self, keys: list[str]) -> dict[str, Any]:
        value = self.load()
        return dict.fromkeys(keys, value)

    async def aload_many(self, keys: list[str]) -> dict[str, Any]:
        return await asyncio.to_thread(self.load_many, keys)


def checked(world: World) -> Iterator[World]:
    """Yield a world; nothing may be left of loads when a test has done with it."""
    world.cache.set("there", "before")
    with world.cache:
        yield world
        assert_nothing_is_left(world.cache)
