"""A cache file that another process deletes or replaces is noticed within a second, on use."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from file_processes import Child
from symphra_cache import CacheManager, _sqlite_identity
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from pathlib import Path

    from faces import Caller

USER = """
    path, operation, *arguments = given
    if operation == "close":
        caches.pop(path).close()
    else:
        if path not in caches:
            caches[path] = CacheManager(FileBackend(path))
        told = getattr(caches[path], operation)(*arguments)
    """


def user() -> Child:
    """Return a process that uses a cache: it is sent the path, an operation, its arguments."""
    return Child(USER, preparation="caches = {}")


def make_cache(path: Path, value: str) -> None:
    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", value)
        cache.set_many({f"{value}-{number}": value * 100 for number in range(100)})


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as db:
        found: list[tuple[str]] = db.execute("PRAGMA integrity_check").fetchall()
    return found == [("ok",)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.mark.parametrize("logs", ["kept", "deleted"])
def test_a_deleted_file_is_noticed_within_a_second(path: Path, call: Caller, logs: str) -> None:
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "set", "k", "old")
        assert call(cache, "get", "k") == "old"
        path.unlink()
        if logs == "deleted":
            path.with_name("cache.db-wal").unlink()
            path.with_name("cache.db-shm").unlink()
        time.sleep(1)
        assert call(cache, "get", "k") is None, "what was deleted came back from the log"
        assert call(cache, "set", "k", "new")
        with CacheManager(FileBackend(path)) as other:
            assert other.get("k") == "new"
        assert call(cache, "get", "k") == "new"
    assert is_sound(path)
    assert [file.name for file in path.parent.iterdir()] == ["cache.db"]


def test_a_deleted_folder_is_made_anew(tmp_path: Path, call: Caller) -> None:
    path = tmp_path / "folder" / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "set", "k", "old")
        shutil.rmtree(path.parent)
        time.sleep(1)
        assert call(cache, "set", "k", "new")
        assert call(cache, "get", "k") == "new"
    assert path.exists()


def test_what_one_connection_notices_all_of_the_process_know_at_once(path: Path) -> None:
    with CacheManager(FileBackend(path)) as cache, CacheManager(FileBackend(path)) as other:
        assert cache.set("k", "old")
        time.sleep(0.6)
        assert cache.get("k") == other.get("k") == "old"
        assert asyncio.run(cache.aset("k", "old"))
        path.unlink()
        time.sleep(0.4)
        assert cache.set("k", "new"), "this connection has its second behind it, the others not"
        assert cache.get("k") == other.get("k") == "new"
        assert asyncio.run(cache.aget("k")) == "new"
        assert asyncio.run(cache.aset("k", "newer"))
        assert other.get("k") == "newer"


@pytest.mark.parametrize("opened", ["writer", "reader", "both"])
def test_a_file_of_ours_put_in_its_place_is_read(
    tmp_path: Path, path: Path, call: Caller, opened: str
) -> None:
    # Whichever connection is opened only afterwards: it would find the log of the old file.
    make_cache(tmp_path / "restored.db", "restored")
    make_cache(path, "old")
    with CacheManager(FileBackend(path)) as cache, user() as other:
        assert other.ask(path, "set", "theirs", 1) == "True"
        if opened != "reader":
            large = {f"new-{number}": "n" * 999 for number in range(99)}
            assert call(cache, "set_many", large) == []
            assert call(cache, "set", "k", "newest")
        if opened != "writer":
            assert call(cache, "count") >= 101
        os.replace(tmp_path / "restored.db", path)
        time.sleep(1)
        if opened != "reader":
            assert call(cache, "get", "k") == "restored"
            assert call(cache, "count") == 101
        assert call(cache, "set", "k", "new")
        assert call(cache, "get", "k") == "new"
        assert call(cache, "count") == 101, "the log of the old file was taken for the new one's"
        assert other.ask(path, "get", "k") == "'new'"
        assert other.ask(path, "close") == "None"
    assert is_sound(path)
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get("k") == "new"
        assert cache.get("restored-99") == "restored" * 100
        assert cache.count() == 101


def test_the_log_is_known_to_another_backend_of_the_process(tmp_path: Path, path: Path) -> None:
    make_cache(tmp_path / "restored.db", "restored")
    with CacheManager(FileBackend(path)) as cache:
        assert cache.set("k", "old")
        os.replace(tmp_path / "restored.db", path)
        with CacheManager(FileBackend(path)) as second:  # at once, long before the first looks
            assert second.get("k") == "restored"
            assert asyncio.run(second.aset("k", "new"))
            assert second.count() == 101
            assert cache.count() == 101, "who is found out of date looks at once"
            assert cache.set("k", "newer")
            assert second.get("k") == "newer"
    assert is_sound(path)


def test_a_transaction_on_the_old_file_is_not_disturbed(tmp_path: Path, path: Path) -> None:
    make_cache(tmp_path / "restored.db", "restored")

    def replaced(db: sqlite3.Connection) -> tuple[object, int]:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM entries")
        os.replace(tmp_path / "restored.db", path)
        with CacheManager(FileBackend(path)) as second:
            assert second.get("k") == "restored"
            assert second.set("mine", 1)
        db.execute("COMMIT")
        return db.execute("SELECT count(*) FROM entries").fetchone()

    with CacheManager(FileBackend(path)) as cache:
        assert cache.set("k", "old")
        connections = cache.backend._store.connections  # type: ignore[attr-defined]
        assert connections.write((), None, replaced) == (0,)
        assert cache.count() == 102
        assert cache.set("k", "new")
    assert is_sound(path)
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get_many(["k", "mine"]) == {"k": "new", "mine": 1}


def test_a_file_that_others_took_for_the_old_logs_is_moved_aside(
    tmp_path: Path, path: Path, call: Caller
) -> None:
    # A process that begins now can't know whose log it is. What it has read and written then
    # is a mixture of two files.
    make_cache(tmp_path / "restored.db", "restored")
    with CacheManager(FileBackend(path)) as cache, user() as other:
        assert call(cache, "set_many", {f"old-{number}": "o" * 999 for number in range(99)}) == []
        os.replace(tmp_path / "restored.db", path)
        other.ask(path, "set", "k", "mixed")
        time.sleep(1)
        assert call(cache, "get", "old-1") is None
        assert call(cache, "set", "k", "new")
        time.sleep(1)
        assert other.ask(path, "get", "k") == "'new'"
        assert other.ask(path, "set", "k", "newer") == "True"
        assert call(cache, "get", "k") == "newer"
        assert call(cache, "count") == 1
        assert other.ask(path, "close") == "None"
    assert is_sound(path)
    assert len([*path.parent.glob("cache.db.corrupt-*Z")]) == 1


def test_a_link_that_leads_elsewhere_by_now_is_followed(tmp_path: Path, call: Caller) -> None:
    for value in ("one", "two"):
        make_cache(tmp_path / f"{value}.db", value)
    link = tmp_path / "link.db"
    link.symlink_to("one.db")
    with CacheManager(FileBackend(link)) as cache:
        assert call(cache, "get", "k") == "one"
        assert call(cache, "set", "written", "one")
        (tmp_path / "next").symlink_to("two.db")
        os.replace(tmp_path / "next", link)
        time.sleep(1)
        assert call(cache, "get", "k") == "two"
        assert call(cache, "set", "written", "two")
    for value in ("one", "two"):
        assert is_sound(tmp_path / f"{value}.db")
        with CacheManager(FileBackend(tmp_path / f"{value}.db")) as cache:
            assert cache.get("written") == value


def test_it_is_looked_for_once_a_second_at_the_most(
    path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []
    is_current = _sqlite_identity.FileConnection.is_current

    def counted(db: _sqlite_identity.FileConnection) -> bool:
        looked.append(time.monotonic())
        return is_current(db)

    with CacheManager(FileBackend(path)) as cache:
        call(cache, "set", "k", 1)
        call(cache, "get", "k")
        monkeypatch.setattr(_sqlite_identity.FileConnection, "is_current", counted)
        began = time.monotonic()
        while time.monotonic() < began + 2.2:
            call(cache, "get", "k")
            call(cache, "set", "k", 1)
            time.sleep(0.001)
    assert 2 <= len(looked) <= 2 * 3, "twice or three times each, by reader and writer"


def test_looking_drops_no_lock(path: Path, call: Caller) -> None:
    # POSIX locks belong to the process: after a close of any descriptor of the file, another
    # process would get the write lock inside our transaction.
    script = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "try:\n    db.execute('BEGIN IMMEDIATE'); print('got it')\n"
        "except sqlite3.OperationalError as error: print(error)\n"
    )

    def hold(db: sqlite3.Connection) -> str:
        db.execute("BEGIN IMMEDIATE")
        call(cache, "get", "k")  # looks
        with CacheManager(FileBackend(path)) as other:
            other.get("k")
        told = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
        )
        db.execute("ROLLBACK")
        return told.stdout.strip()

    with CacheManager(FileBackend(path)) as cache:
        cache.set("k", 1)
        call(cache, "get", "k")
        time.sleep(1)
        connections = cache.backend._store.connections  # type: ignore[attr-defined]
        assert connections.write((), None, hold) == "database is locked"


def test_who_is_late_to_notice_takes_nothing_from_the_new_file(path: Path) -> None:
    with user() as late, user() as first, user() as third:
        assert late.ask(path, "set", "k", "old") == "True"
        path.unlink()
        assert first.ask(path, "set", "k", "new") == "True"  # its first use: it makes the file
        # SQLite removes the log by its name when the last connection to a file is closed; here
        # that name is already the log of the new file.
        assert late.ask(path, "close") == "None"
        assert third.ask(path, "get", "k") == "'new'"
        assert first.ask(path, "set", "more", "new") == "True"
        assert third.ask(path, "get", "more") == "'new'"
        for child in (first, third):
            assert child.ask(path, "close") == "None"
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get_many(["k", "more"]) == {"k": "new", "more": "new"}
    assert is_sound(path)


def test_several_processes_meet_again_in_the_new_file(path: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(user()) for _ in range(3)]
        for number, child in enumerate(users):
            assert child.ask(path, "set", f"old-{number}", number) == "True"
        path.unlink()
        time.sleep(1)
        for number, child in enumerate(users):
            child.send(path, "set", f"new-{number}", number)
        assert [child.answer() for child in users] == ["True"] * 3
        assert [child.ask(path, "count") for child in users] == ["3"] * 3
        for child in users:
            child.ask(path, "close")
    assert is_sound(path)


def test_a_log_that_was_deleted_ends_the_file(path: Path, call: Caller) -> None:
    # Others use a log of their own by then, and the two would undo each other's pages.
    with CacheManager(FileBackend(path)) as cache, user() as other:
        assert cache.set_many({f"k{number}": "x" * 1_000 for number in range(100)}) == []
        assert call(cache, "get", "k1") == "x" * 1_000
        for suffix in ("wal", "shm"):
            path.with_name(f"cache.db-{suffix}").unlink()
        assert other.ask(path, "set", "k", "theirs") == "True"
        time.sleep(1)
        assert call(cache, "set", "mine", 1)
        assert call(cache, "get_many", ["k", "k1", "mine"]) == {"mine": 1}
        time.sleep(1)
        assert other.ask(path, "get", "mine") == "1"
        assert other.ask(path, "set", "k", "theirs") == "True"
        assert call(cache, "get", "k") == "theirs"
        assert other.ask(path, "close") == "None"
    assert is_sound(path)
    assert len([*path.parent.glob("cache.db.corrupt-*Z")]) == 1


def test_eight_processes_make_the_same_new_file_at_once_twenty_times(tmp_path: Path) -> None:
    script = """
        path, number = given
        with CacheManager(FileBackend(path)) as cache:
            assert cache.set(f"{number}", 1)
            assert asyncio.run(cache.aset(f"{number}-loop", 1))
        told = "done"
        """
    with ExitStack() as stack:
        children = [stack.enter_context(Child(script)) for _ in range(8)]
        for turn in range(20):
            path = tmp_path / str(turn) / "cache.db"
            for number, child in enumerate(children):
                child.send(path, number)
            assert [child.answer() for child in children] == ["'done'"] * 8
            with CacheManager(FileBackend(path)) as cache:
                assert cache.count() == 16
            assert os.listdir(path.parent) == ["cache.db"]
