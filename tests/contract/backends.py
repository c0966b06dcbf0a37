"""What differs between the backends under test. To add one: a class here, an entry in `KITS`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from memory_checks import check_deadlines, check_whole
from near_links import wait_heard, wait_linked
from redis_cluster import RedisCluster, shared_cluster
from redis_servers import RedisServer, shared_server
from symphra_cache import CacheClosedError, CacheManager
from symphra_cache.backends import FileBackend, MemoryBackend, NearCache, RedisBackend
from symphra_cache.testing import FakeClock

from .acompat import SteppedClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from symphra_cache.backends.base import Backend

# Entries that the check after a test looks at one by one, at the most.
_LOOKED_AT = 200

KEEP = object()
"""Stands for an expiry that `FileKit.plant` leaves as it is."""


class Kit:
    """Makes backends of one kind for a test, and checks what the test has left behind.

    Attributes:
        can: what tests may ask for with ``@pytest.mark.needs(...)``:
            ``fake_clock`` time passes when the test says so, to the millisecond;
            ``any_object`` values need only be picklable;
            ``serializer`` values are those of a serializer, which is an option;
            ``bounds`` ``max_size`` and ``max_bytes`` are options, and are kept exactly;
            ``lru`` the least recently used entry is evicted first;
            ``bytes`` what is stored can be read and replaced behind the cache's back;
            ``any_expiry`` a foreign writer can give an entry an expiry that is no time;
            ``file`` it is one file, at a path;
            ``persistent`` what is stored outlives the backend object;
            ``two_clocks`` time is the process's own (monotonic), or the wall's.
        clock: its time.
        variant: tells it from other kits of its kind.
        is_slow: whether its tests run on one version of Python only.
    """

    kind: ClassVar[str]
    variant: ClassVar[str] = ""
    is_slow: ClassVar[bool] = False
    can: ClassVar[frozenset[str]]

    # Where the fields of a frame's header stand, on every backend that writes frames.
    VERSION_AT, CODEC_AT, KIND_AT, FLAGS_AT, TAGS_AT, WINDOW_AT = 2, 3, 4, 5, 7, 8
    HEADER = 40
    # Numbers as a foreign writer would store them, and as this backend never does.
    FOREIGN_NUMBER: ClassVar[object] = 12
    FOREIGN_TEXT: ClassVar[bytes] = b"12"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock: SteppedClock | AgingClock = SteppedClock(FakeClock())
        self._managers: list[CacheManager] = []
        self._default: Backend | None = None

    def make(self, **options: Any) -> Backend:
        """Return a backend with nothing in it."""
        raise NotImplementedError

    def open(self, backend: Backend | None = None, **options: Any) -> CacheManager:
        """Return a manager, on the test's common backend if none is given."""
        if backend is None:
            backend = self._default = self._default or self.make()
        manager = CacheManager(backend, **options)
        self._managers.append(manager)
        return manager

    def sealed(self, key: str, body: bytes, namespace: str = "symphra") -> bytes:
        """Return a frame with the checksum that its writer would have given it."""
        name = _name(key, namespace)
        return body + crc32(body, crc32(name, len(name))).to_bytes(4, "little")

    def wait_heard(self) -> None:
        """Wait until every cache of the test has heard of what others wrote."""

    def finish(self) -> None:
        """Check the invariants of every manager and backend that was used, and close them."""
        try:
            for manager in self._managers:
                try:
                    self.check(manager)
                except CacheClosedError:
                    assert not manager.ping()
        finally:
            for manager in self._managers:
                manager.close()

    def check(self, manager: CacheManager) -> None:
        """Check what must be true of a manager's namespace at any time."""
        keys = list(manager.scan())
        assert len(keys) == len(set(keys))
        assert manager.count() == len(keys) or "fake_clock" not in self.can
        for key in keys[:_LOOKED_AT]:
            # Where time passes by itself, an entry may expire between the two questions.
            assert manager.ttl(key) != 0.0 or not manager.exists(key)
        entries = manager.stats().entries
        assert entries is None or entries >= len(keys)


class MemoryKit(Kit):
    """Memory of this process."""

    kind = "memory"
    can = frozenset({"fake_clock", "two_clocks", "any_object", "bounds", "lru"})
    options: ClassVar[dict[str, Any]] = {}

    def make(self, **options: Any) -> MemoryBackend:
        return MemoryBackend(**{"clock": self.clock.fake, **self.options, **options})

    def check(self, manager: CacheManager) -> None:
        super().check(manager)
        assert isinstance(manager.backend, MemoryBackend)
        check_whole(manager.backend)
        check_deadlines(manager.backend)

    def finish(self) -> None:
        super().finish()
        assert all(manager.stats().entries == 0 for manager in self._managers)


class S3FIFOKit(MemoryKit):
    """The same, with the other policy."""

    variant = "-s3fifo"
    can = MemoryKit.can - {"lru"}
    options: ClassVar[dict[str, Any]] = {"eviction": "s3fifo"}


class FileKit(Kit):
    """One SQLite file per backend; what is in it is reached with SQLite."""

    kind = "file"
    can = frozenset(
        {"fake_clock", "two_clocks", "serializer", "bytes", "any_expiry", "persistent", "file"}
    )

    # A cache file with nothing in it. Making one waits for the disk several times, copying one
    # does not; `test_persistence.py` and `test_processes.py` begin without a file.
    _empty: ClassVar[bytes] = b""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._paths: list[Path] = []

    def make(self, **options: Any) -> FileBackend:
        path = self.folder / f"cache-{len(self._paths)}.db"
        if not FileKit._empty:
            with CacheManager(FileBackend(path)) as manager:
                assert manager.count() == 0
            FileKit._empty = path.read_bytes()
        path.write_bytes(FileKit._empty)
        self._paths.append(path)
        return self.again(path, **options)

    def again(self, path: Path | None = None, **options: Any) -> FileBackend:
        """Return another backend on the same data, that of the first one if no path is given."""
        return FileBackend(path or self._paths[0], **{"clock": self.clock.fake, **options})

    def stored(self, key: str, namespace: str = "symphra") -> bytes:
        """Return the bytes under a key."""
        rows = self._run("SELECT frame FROM entries WHERE name = ?", (_name(key, namespace),))
        frame: bytes = rows[0][0]
        return frame

    def plant(
        self, key: str, frame: object, *, namespace: str = "symphra", expires: object = KEEP
    ) -> None:
        """Put bytes under a key, as a foreign writer or a broken disk would."""
        name = _name(key, namespace)
        kept = self._run("SELECT expires FROM entries WHERE name = ?", (name,))
        if expires is KEEP:
            expires = kept[0][0] if kept else None
        self._run(
            "INSERT OR REPLACE INTO entries (name, expires, frame) VALUES (?, ?, ?)",
            (name, expires, frame),
        )

    def plant_name(self, name: bytes, frame: bytes) -> None:
        """Put bytes under a name that no key has."""
        self._run("INSERT INTO entries (name, expires, frame) VALUES (?, NULL, ?)", (name, frame))

    def _run(self, statement: str, parameters: tuple[object, ...]) -> list[Any]:
        with closing(sqlite3.connect(self._paths[0], isolation_level=None)) as db:
            return db.execute(statement, parameters).fetchall()

    def finish(self) -> None:
        super().finish()
        for path in self._paths:
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


class AgingClock:
    """Passes the time of a server: waits for the short, ages its entries by the long.

    Aging takes from every entry's ttl what has passed, which the server can't tell from
    waiting, except that it does not take as long.
    """

    SHORT = 1.0

    def __init__(
        self, server: RedisServer | RedisCluster, wait_heard: Callable[[], object] = int
    ) -> None:
        self._server = server
        self.wait_heard = wait_heard

    async def aadvance(self, seconds: float) -> None:
        """Let time pass."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < self.SHORT:
            sleep(seconds + 0.005)  # the servers' clock is not ours, to the millisecond
            return
        for name in self._server.command("KEYS", "*"):
            left = self._server.command("PTTL", name)
            if left > 0:
                self._server.command("PEXPIRE", name, max(1, left - round(seconds * 1000)))
        sleep(0.002)
        self.wait_heard()


class RedisKit(Kit):
    """A real server, emptied for each test; what is in it is reached with its own commands."""

    kind = "redis"
    can = frozenset({"serializer", "bytes", "persistent"})
    FOREIGN_NUMBER = "012"
    FOREIGN_TEXT = b"1_000"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = self.emptied()
        self.clock = AgingClock(self.server)
        self._databases = 0

    def emptied(self) -> RedisServer | RedisCluster:
        """Return the session's server, with nothing in it."""
        return shared_server().fresh()

    def make(self, **options: Any) -> RedisBackend:
        self._databases += 1
        return self.again(self._databases - 1, **options)

    def again(self, database: int = 0, **options: Any) -> RedisBackend:
        """Return another backend on the same data, that of the first one if not said."""
        return RedisBackend(self.server.chosen_url, db=database, **options)

    def stored(self, key: str, namespace: str = "symphra") -> bytes:
        """Return the bytes under a key."""
        found: bytes = self.server.command("GET", _name(key, namespace))
        return found

    def plant(
        self, key: str, frame: object, *, namespace: str = "symphra", expires: object = KEEP
    ) -> None:
        """Put bytes under a key, as a foreign writer would; its ttl stays as it is."""
        assert expires is KEEP, "a server accepts no ttl but a number"
        self.plant_name(_name(key, namespace), frame)

    def plant_name(self, name: bytes, frame: object) -> None:
        """Put bytes under a name that no key has."""
        self.server.command("SET", name, _as_text(frame), "KEEPTTL")


class ClusterKit(RedisKit):
    """A real cluster of three primaries with a replica each."""

    variant = "-cluster"
    is_slow = True

    def emptied(self) -> RedisCluster:
        return shared_cluster().emptied()

    def again(self, database: int = 0, **options: Any) -> RedisBackend:
        """Return another backend on the same data: a cluster has one database."""
        return RedisBackend(self.server.chosen_url, **options)


class NearKit(RedisKit):
    """The same with a near cache, which has heard of whatever a test does past the cache."""

    variant = "-near"
    is_slow = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = AgingClock(self.server, self.wait_heard)
        self._near: list[RedisBackend] = []

    def again(self, database: int = 0, **options: Any) -> RedisBackend:
        """Return another backend on the same data, whose links are up."""
        backend = super().again(database, **{"near_cache": NearCache(), **options})
        wait_linked(backend)
        self._near.append(backend)
        return backend

    def plant_name(self, name: bytes, frame: object) -> None:
        """Put bytes under a name that no key has."""
        super().plant_name(name, frame)
        self.wait_heard()

    def wait_heard(self) -> None:
        """Wait until every cache of the test has heard of what others wrote."""
        for backend in self._near:
            wait_heard(backend, self.server.command)


class NearClusterKit(NearKit, ClusterKit):
    """The same on a cluster."""

    variant = "-near-cluster"


def _name(key: str, namespace: str) -> bytes:
    return f"{namespace}:{key}".encode()


def _as_text(frame: object) -> bytes | str:
    """Return what a client would send for an object that is no bytes."""
    return frame if isinstance(frame, bytes | str) else str(frame)


KITS: dict[str, type[Kit]] = {
    kit.kind + kit.variant: kit
    for kit in (
        MemoryKit,
        S3FIFOKit,
        FileKit,
        RedisKit,
        ClusterKit,
        NearKit,
        NearClusterKit,
    )
}
