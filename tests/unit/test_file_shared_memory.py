"""The cache file where processes can't share memory, or where this one can't look into it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from file_processes import Child
from symphra_cache import (
    MISSING,
    CacheManager,
    ConfigurationError,
    _log,
    _sqlite_files,
    _sqlite_identity,
)
from symphra_cache._sqlite_checkpoints import has_reset_bug
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

    from faces import Caller


@pytest.mark.parametrize("vfs", ["unix-none", "unix-dotfile"])
def test_a_file_system_without_a_write_ahead_log_is_refused(tmp_path: Path, vfs: str) -> None:
    # These layers of SQLite have no shared memory, like some file systems.
    with (
        closing(sqlite3.connect(f"file:{tmp_path}/new.db?vfs={vfs}", uri=True)) as db,
        pytest.raises(ConfigurationError, match=r"write-ahead.*'delete'.*on a local disk"),
    ):
        _sqlite_files.fill_new_file(db)


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
@pytest.mark.parametrize("is_new", [True, False])
def test_shared_memory_that_can_not_be_had_is_an_outage(
    tmp_path: Path, face: str, is_new: bool
) -> None:
    script = """
        import asyncio, resource, sys
        from symphra_cache import BackendUnavailableError, CacheManager
        from symphra_cache.backends import FileBackend

        path, face, is_new = sys.argv[1:]
        if is_new == "False":
            with CacheManager(FileBackend(path)) as cache:
                cache.set("k", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        with CacheManager(FileBackend(path)) as cache:
            for operation in (("set", "k", 2), ("get", "k")):
                try:
                    if face == "blocking":
                        getattr(cache, operation[0])(*operation[1:])
                    else:
                        asyncio.run(getattr(cache, "a" + operation[0])(*operation[1:]))
                except BackendUnavailableError as error:
                    print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            print(cache.get("k"), cache.set("k", 3), cache.get("k"))
        """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "cache.db", face, str(is_new)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stderr == ""
    *outages, after = told.stdout.splitlines()
    assert len(outages) == 2
    assert all("can't share memory" in outage for outage in outages)
    assert after == f"{None if is_new else 1} True 3"
    assert [file.name for file in tmp_path.iterdir()] == ["cache.db"]


def test_what_others_write_is_seen_where_the_index_can_not_be_mapped(
    tmp_path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(_sqlite_identity, "WalIndex", refused)
    path = tmp_path / "cache.db"
    writer = """
        with CacheManager(FileBackend(given[0])) as cache:
            told = cache.set("k", given[1])
        """
    with CacheManager(FileBackend(path)) as cache, Child(writer) as other:
        for number in range(3):
            assert call(cache, "set", "k", "own")
            assert call(cache, "get", "k") == "own"
            assert call(cache, "set_many", {"k": "own", "other": 1}) == []
            assert other.ask(path, f"theirs-{number}") == "True"
            assert call(cache, "get", "k") == f"theirs-{number}"
            assert call(cache, "get_many", ["k"]) == {"k": f"theirs-{number}"}
        tier = cache.backend._store.tier  # type: ignore[attr-defined]
        # Nobody writes: what was read is served from memory, though own commits look foreign.
        for _ in range(20):
            assert call(cache, "get", "k") == "theirs-2"
        assert tier.hit(b"symphra:k", lambda: 0) == "theirs-2"
        assert other.ask(path, "theirs-3") == "True"
        assert tier.hit(b"symphra:k", lambda: 0) is MISSING
        assert call(cache, "set", "other", 2)
        assert tier.hit(b"symphra:k", lambda: 0) is MISSING
        assert call(cache, "get", "k") == "theirs-3"
        monkeypatch.undo()
        time.sleep(1)
        assert call(cache, "set", "k", "hot")
        assert call(cache, "get", "k") == "hot"
        assert len(tier.now()) == 48, "the index was not mapped as soon as it could be"
        assert other.ask(path, "theirs") == "True"
        assert call(cache, "get", "k") == "theirs"


def test_where_sqlite_copies_the_log_itself_its_bug_is_told_of_once(
    tmp_path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(_sqlite_identity, "WalIndex", refused)
    monkeypatch.setattr(_log, "_told", set())
    for name in ("a", "b"):
        with CacheManager(FileBackend(tmp_path / name)) as cache:
            assert call(cache, "set", "k", 1)
            assert call(cache, "get", "k") == 1
    told = [record.getMessage() for record in caplog.records if record.name == "symphra_cache"]
    assert len(told) == has_reset_bug(sqlite3.sqlite_version_info)
    assert all("WAL-reset bug" in line and sqlite3.sqlite_version in line for line in told)


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52.0", False),
    ],
)
def test_which_versions_of_sqlite_have_the_bug(version: str, has_it: bool) -> None:
    assert has_reset_bug(tuple(map(int, version.split(".")))) is has_it


def test_a_mapping_that_fails_drops_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # POSIX locks belong to the process: who closed the descriptor of the index again would
    # let another process into our transaction.
    def refused(_: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(_sqlite_identity, "WalIndex", refused)
    intruder = """
        db = sqlite3.connect(given[0], timeout=0, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            told = "got it"
        finally:
            db.close()
        """

    def hold(db: sqlite3.Connection) -> str:
        db.execute("BEGIN IMMEDIATE")
        cache.get("k")  # opens the reader, and tries to map the index
        told = other.ask(path)
        db.execute("ROLLBACK")
        return told

    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache, Child(intruder) as other:
        cache.set("k", 1)
        connections = cache.backend._store.connections  # type: ignore[attr-defined]
        assert "database is locked" in connections.write((), None, hold)
