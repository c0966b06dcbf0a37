"""The cache file where processes can't share memory, or where this one can't look into it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from file_processes import Child
from symphra_cache import CacheManager, ConfigurationError, _sqlite_files
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
    def refused(path: str) -> None:
        raise OSError(24, "Too many open files", path)

    monkeypatch.setattr(_sqlite_files, "WalIndex", refused)
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
