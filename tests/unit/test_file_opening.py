"""What may stand at the path of a cache file, and what is made there."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheManager, ConfigurationError, ForeignFileError, _sqlite_files
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faces import Caller


def write_text(path: Path) -> None:
    path.write_text("notes of mine\n")


def write_short_text(path: Path) -> None:
    path.write_text("SQLite")


def write_other_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE notes (text)")
    db.commit()
    db.close()


def write_cache_with_destroyed_header(path: Path) -> None:
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
    path.write_bytes(b"\0" * 16 + path.read_bytes()[16:])


@pytest.mark.parametrize(
    "write",
    [write_text, write_short_text, write_other_database, write_cache_with_destroyed_header],
)
def test_a_file_that_is_not_ours_is_refused_and_stays_byte_identical(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "cache.db"
    write(path)
    before = path.read_bytes(), os.stat(path).st_mtime_ns, os.listdir(tmp_path)
    with pytest.raises(ForeignFileError, match="left as it is"):
        FileBackend(path)
    assert (path.read_bytes(), os.stat(path).st_mtime_ns, os.listdir(tmp_path)) == before
    assert issubclass(ForeignFileError, ConfigurationError)
    assert issubclass(ForeignFileError, ValueError)


def test_another_applications_database_in_use_with_a_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE notes (text)")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ForeignFileError):
        FileBackend(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    other.close()


def test_a_file_that_turns_foreign_before_its_first_use_is_refused_then(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    cache = CacheManager(FileBackend(path))
    path.write_text("notes of mine\n")
    with pytest.raises(ForeignFileError):
        cache.get("k")
    assert path.read_text() == "notes of mine\n"


def test_an_empty_file_is_a_new_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.touch()
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
        assert cache.get("k") == 1


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigurationError, match=r"schema version 99.*upgrade"):
        FileBackend(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFileError, match="folder"):
        FileBackend(tmp_path)


@pytest.mark.parametrize("path", ["", b"cache.db", None, 3, "a\0b", ":memory:"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ConfigurationError, match="db_path must be the path of a file"):
        FileBackend(path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("durability", "high"),
        ("durability", None),
        ("busy_timeout", -1),
        ("busy_timeout", True),
        ("busy_timeout", "5"),
        ("busy_timeout", float("nan")),
        ("clock", object()),
        ("max_value_bytes", 0),
        ("max_value_bytes", 1.5),
        ("serializer", "json"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        FileBackend(tmp_path / "cache.db", **{option: value})  # type: ignore[arg-type]
    assert not (tmp_path / "cache.db").exists()


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    with CacheManager(FileBackend(tmp_path / "deep" / "cache.db")):
        assert not (tmp_path / "deep").exists()


def test_file_and_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_relative_path_is_resolved_when_the_backend_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = CacheManager(FileBackend("cache.db"))
    monkeypatch.chdir("/")
    with cache:
        cache.set("k", 1)
    assert (tmp_path / "cache.db").exists()


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    link.symlink_to(target)
    with CacheManager(FileBackend(link)) as one, CacheManager(FileBackend(target)) as other:
        one.set("k", 1)
        assert other.get("k") == 1


def test_two_backends_of_one_process_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    one, other = CacheManager(FileBackend(path)), CacheManager(FileBackend(path))
    one.set("k", 1)
    assert other.get("k") == 1
    one.close()
    other.set("k", 2)
    assert other.get("k") == 2
    other.close()


def test_opening_beside_an_open_backend_drops_none_of_its_locks(tmp_path: Path) -> None:
    # POSIX locks belong to the process: looking into the file a second time must not close a
    # descriptor of it, or another process gets the write lock inside our transaction.
    path = tmp_path / "cache.db"
    cache = CacheManager(FileBackend(path))
    cache.set("k", 1)
    store = cache.backend._store  # type: ignore[attr-defined]

    def hold(db: sqlite3.Connection) -> str:
        db.execute("BEGIN IMMEDIATE")
        FileBackend(path)
        script = (
            "import sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
            "try:\n    db.execute('BEGIN IMMEDIATE'); print('got it')\n"
            "except sqlite3.OperationalError as error: print(error)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        )
        db.execute("ROLLBACK")
        return told.stdout.strip()

    assert store.connections.write((), None, hold) == "database is locked"
    cache.close()


def test_processes_that_make_the_same_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    script = (
        "import sys, asyncio\n"
        "from symphra_cache import CacheManager\n"
        "from symphra_cache.backends import FileBackend\n"
        "sys.stdin.readline()\n"
        "with CacheManager(FileBackend(sys.argv[1])) as cache:\n"
        "    cache.set(sys.argv[2], 1)\n"
        "    asyncio.run(cache.aset(sys.argv[2] + '-loop', 1))\n"
    )
    for turn in range(3):
        path = tmp_path / f"{turn}.db"
        children = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(path), f"child-{number}"],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(4)
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            _, complaint = child.communicate(timeout=60)
            assert child.returncode == 0, complaint
        with CacheManager(FileBackend(path)) as cache:
            assert cache.count() == 8


@pytest.mark.parametrize("times", [1, 3])
def test_a_file_that_is_moved_aside_while_it_is_opened_is_made_anew(
    tmp_path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set("old", 1)
    moved: list[Path] = []

    def missing(place: str) -> bool:
        is_missing = look(place)
        # What another process does, in the moment after the look.
        if not is_missing and len(moved) < times:
            moved.append(path.rename(tmp_path / f"aside-{len(moved)}"))
        return is_missing

    look = _sqlite_files._is_missing_or_empty
    monkeypatch.setattr(_sqlite_files, "_is_missing_or_empty", missing)
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "set", "k", 2) is True
        assert (call(cache, "get", "k"), call(cache, "get", "old")) == (2, None)
    assert len(moved) == times
