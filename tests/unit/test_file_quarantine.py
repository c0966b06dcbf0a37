"""A damaged cache file is moved aside and an empty one begun; a foreign one is left alone."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from file_damage import DAMAGE, HEADER, PAGE, forbid_writing, mutated, zero_the_rows
from file_processes import Child, Vandal, contents
from symphra_cache import (
    BackendUnavailableError,
    CacheManager,
    ConfigurationError,
    ForeignFileError,
)
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces import Caller

# Other numbers try other damage, and more of it.
FIRST_SEED = int(os.environ.get("SYMPHRA_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("SYMPHRA_SEEDS", "150"))


@pytest.fixture(scope="module")
def closed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache file of 500 entries that was closed in good order."""
    path: Path = tmp_path_factory.mktemp("closed") / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set_many(contents())
    return path


@pytest.fixture(scope="module")
def killed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but its writer was killed: all entries stand in the log."""
    path: Path = tmp_path_factory.mktemp("killed") / "cache.db"
    script = """
        import file_processes
        cache = CacheManager(FileBackend(given[0]))
        for key, value in file_processes.contents().items():
            cache.set(key, value)
        os.kill(os.getpid(), 9)
        """
    child = Child(script, preparation=f"sys.path.insert(0, {os.path.dirname(__file__)!r} + '/..')")
    child.wait_until_ready()
    child.send(path)
    child.process.communicate(timeout=30)
    assert child.process.returncode == -signal.SIGKILL
    assert path.with_name("cache.db-wal").stat().st_size > 500 * PAGE
    return path


def copied(source: Path, folder: Path) -> Path:
    """Copy a cache file and the log beside it."""
    path = folder / "cache.db"
    for file in folder.iterdir():
        file.unlink()
    shutil.copyfile(source, path)
    log = source.with_name("cache.db-wal")
    if log.exists():
        shutil.copyfile(log, folder / log.name)
    return path


def moved_aside(path: Path) -> list[Path]:
    """Return the damaged files beside a path, without their logs."""
    found = path.parent.glob(f"{path.name}.corrupt-*")
    return sorted(file for file in found if not file.name.endswith("-wal"))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_moved_aside_and_an_empty_one_begun(
    tmp_path: Path,
    closed_file: Path,
    call: Caller,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = copied(closed_file, tmp_path)
    path.write_bytes(damaged := damage(path.read_bytes()))
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "get", "key-1") is None
        assert call(cache, "count") == 0
        assert call(cache, "set", "k", 1)
        assert call(cache, "get", "k") == 1
        assert cache.stats().errors == 0
    (aside,) = moved_aside(path)
    assert aside.read_bytes() == damaged
    assert {file.name for file in tmp_path.iterdir()} == {"cache.db", aside.name}
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("symphra_cache", logging.WARNING)
    assert str(aside) in record.getMessage()
    with CacheManager(FileBackend(path)) as again:
        assert again.get("k") == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_write_into_a_damaged_file_is_done_in_the_new_one(
    tmp_path: Path, closed_file: Path, call: Caller, damage: Callable[[bytes], bytes]
) -> None:
    path = copied(closed_file, tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "incr", "n", 3) == 3
        assert call(cache, "add", "key-1", "new")
        assert call(cache, "get_many", ["n", "key-1", "key-2"]) == {"n": 3, "key-1": "new"}
    assert len(moved_aside(path)) == 1


def test_the_log_of_a_damaged_file_goes_with_it(tmp_path: Path, killed_file: Path) -> None:
    path = copied(killed_file, tmp_path)
    path.write_bytes(forbid_writing(path.read_bytes()))
    before = path.read_bytes(), path.with_name("cache.db-wal").read_bytes()
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get("key-1") is None, "the log of the old file was taken for the new one's"
        cache.set("k", 1)
    (aside,) = moved_aside(path)
    assert before == (aside.read_bytes(), aside.with_name(f"{aside.name}-wal").read_bytes())
    assert not aside.with_name(f"{aside.name}-shm").exists()


@pytest.fixture
def vandal() -> Iterator[Vandal]:
    with Vandal() as vandal:
        yield vandal


def checkpoint(path: Path, *, mode: str = "TRUNCATE") -> None:
    """Copy the log into the file, in a process of its own."""
    script = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "print(db.execute(f'PRAGMA wal_checkpoint({sys.argv[2]})').fetchone()[0])\n"
        "db.close()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, path, mode], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "0"


@pytest.mark.parametrize("operation", ["get", "set", "incr", "count", "delete", "scan"])
def test_damage_in_the_middle_of_work(
    tmp_path: Path, closed_file: Path, call: Caller, vandal: Vandal, operation: str
) -> None:
    path = copied(closed_file, tmp_path)
    with CacheManager(FileBackend(path)) as cache:
        assert call(cache, "get", "key-1") == contents()["key-1"]
        assert call(cache, "set", "more", 1)  # the writer is open, too
        checkpoint(path)
        size = path.stat().st_size
        vandal.write(path, 2 * PAGE, bytes(size - 2 * PAGE))
        with closing(sqlite3.connect(path)) as db:  # what others commit, all have to read
            db.execute("PRAGMA user_version = 1")
        if operation == "scan":
            assert call.scan(cache) == []
        else:
            arguments = {"set": ("key-2", "new")}.get(
                operation, ("key-2",) * (operation != "count")
            )
            done = {"get": None, "set": True, "incr": 1, "count": 0, "delete": False}
            assert call(cache, operation, *arguments) == done[operation]
        # Each connection of this process goes on with the new file, at once.
        assert cache.set("k", 1)
        assert call(cache, "get", "k") == 1
        assert cache.get("k") == 1
        assert call(cache, "get", "key-1") is None
        assert len(moved_aside(path)) == 1
    assert len(moved_aside(path)) == 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_threads_and_backends_that_notice_at_once_move_the_file_once(
    tmp_path: Path, closed_file: Path
) -> None:
    for turn in range(10):
        path = copied(closed_file, tmp_path)
        path.write_bytes(zero_the_rows(path.read_bytes()))
        caches = [CacheManager(FileBackend(path)) for _ in range(2)]
        started = threading.Barrier(8)
        failed: list[BaseException] = []

        def work(number: int) -> None:
            cache = caches[number % 2]  # noqa: B023 - joined within the turn
            started.wait()  # noqa: B023
            try:
                cache.set(f"k{number}", number)
                assert cache.get(f"k{number}") == number
                assert asyncio.run(cache.aget("key-1")) is None
            except BaseException as error:
                failed.append(error)  # noqa: B023

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, (turn, failed)
        assert caches[0].get_many([f"k{number}" for number in range(8)]).keys() == {
            f"k{number}" for number in range(8)
        }
        assert len(moved_aside(path)) == 1
        for cache in caches:
            cache.close()


def test_processes_that_notice_at_once_move_the_file_once(
    tmp_path: Path, closed_file: Path
) -> None:
    script = """
        number, path = given
        with CacheManager(FileBackend(path)) as cache:
            assert cache.get("key-1") is None
            assert cache.set(f"{number}-a", 1)
            assert asyncio.run(cache.aset(f"{number}-b", 1))
            told = cache.get(f"{number}-b")
        """
    with ExitStack() as stack:
        children = [stack.enter_context(Child(script)) for _ in range(4)]
        for turn in range(10):
            folder = tmp_path / str(turn)
            folder.mkdir()
            path = copied(closed_file, folder)
            path.write_bytes(zero_the_rows(path.read_bytes()))
            for number, child in enumerate(children):
                child.send(number, path)
            assert [child.answer() for child in children] == ["1"] * 4
            assert len(moved_aside(path)) == 1
            with CacheManager(FileBackend(path)) as cache:
                assert cache.count() == 8, "the good new file was moved away, or its log was lost"


def other_database(folder: Path) -> bytes:
    path = folder / "other.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE notes (text)")
        db.execute("BEGIN")
        db.executemany("INSERT INTO notes VALUES (?)", [("note" * 50,)] * 500)
        db.execute("COMMIT")
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.mark.parametrize("by_rename", [True, False], ids=["renamed", "in place"])
@pytest.mark.parametrize("kind", ["text", "database", "header"])
def test_a_foreign_file_put_there_while_we_work_is_refused_and_stays_as_it_is(
    tmp_path: Path, call: Caller, vandal: Vandal, kind: str, by_rename: bool
) -> None:
    path = tmp_path / "cache.db"
    cache = CacheManager(FileBackend(path))
    cache.set_many(contents(50))
    assert call(cache, "set", "k", 1)
    assert call(cache, "get", "k") == 1
    if kind == "header":
        foreign = bytes(16) + path.read_bytes()[16:]
    else:
        foreign = b"notes of mine\n" * 10_000 if kind == "text" else other_database(tmp_path)
    if by_rename:
        (tmp_path / "foreign").write_bytes(foreign)
        os.replace(tmp_path / "foreign", path)
    else:
        vandal.overwrite(path, foreign)
        with suppress(BackendUnavailableError):  # not noticed yet, it goes into the log alone
            call(cache, "set_many", {f"large-{number}": bytes(1_000_000) for number in range(20)})
        assert path.read_bytes() == foreign
    time.sleep(1)  # until then a write is acknowledged, and lost with the log
    for _ in range(2):
        with pytest.raises(ForeignFileError, match="left as it is"):
            call(cache, "set", "k", 2)
    time.sleep(1)
    with pytest.raises(ForeignFileError):
        call(cache, "get", "k")
    with pytest.raises(ForeignFileError):
        FileBackend(path)
    cache.close()
    assert path.read_bytes() == foreign
    assert [file.name for file in tmp_path.iterdir()] == ["cache.db"], "a log of ours was left"


def test_a_foreign_file_is_not_written_by_closing_alone(tmp_path: Path, vandal: Vandal) -> None:
    path = tmp_path / "cache.db"
    with CacheManager(FileBackend(path)) as cache:
        cache.set_many(contents(50))
        vandal.overwrite(path, b"notes of mine\n")
    assert path.read_bytes() == b"notes of mine\n"


def test_a_file_that_can_not_be_moved_aside_is_an_outage(
    tmp_path: Path, closed_file: Path, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(closed_file, tmp_path)
    path.write_bytes(damaged := zero_the_rows(path.read_bytes()))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with CacheManager(FileBackend(path)) as cache:
        for _ in range(2):
            with pytest.raises(BackendUnavailableError, match=r"damaged .* can't be moved aside"):
                call(cache, "get", "key-1")
    assert path.read_bytes() == damaged


def test_the_process_that_moves_the_file_may_be_killed(tmp_path: Path, closed_file: Path) -> None:
    path = copied(closed_file, tmp_path)
    path.write_bytes(zero_the_rows(path.read_bytes()))
    script = """
        import os, signal, sys
        from symphra_cache import CacheManager
        from symphra_cache.backends import FileBackend
        rename = os.rename
        def rename_and_die(*names):
            rename(*names)
            os.kill(os.getpid(), signal.SIGKILL)
        os.rename = rename_and_die
        CacheManager(FileBackend(sys.argv[1])).get("key-1")
        """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get("key-1") is None
        assert cache.set("k", 1)
    assert len(moved_aside(path)) == 1
    assert sorted(file.name for file in tmp_path.iterdir())[0] == "cache.db"


def check_all(cache: CacheManager, expected: dict[str, Any], seed: int) -> bool:
    """Read everything; tell whether the file was usable at all."""
    try:
        for key, value in expected.items():
            assert cache.get(key, value) == value, f"seed {seed}: {key} has a wrong value"
        found = cache.get_many(expected)
        assert all(expected[key] == value for key, value in found.items()), f"seed {seed}"
        # A damaged name is another name. What matters is that this comes to an end.
        assert len(list(cache.scan())) <= len(expected) + 1, f"seed {seed}"
        assert cache.set("fresh", seed), f"seed {seed}"
        assert cache.get("fresh") == seed, f"seed {seed}"
        return True
    except ConfigurationError:  # the header itself: not ours any more, or too new
        return False


@pytest.mark.parametrize("target", ["file", "log"])
def test_random_damage_to_a_closed_file(
    tmp_path: Path, closed_file: Path, killed_file: Path, target: str
) -> None:
    expected = contents()
    source = closed_file if target == "file" else killed_file
    usable, aside, kept = 0, 0, 0
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        path = copied(source, tmp_path)
        victim = path if target == "file" else path.with_name("cache.db-wal")
        damaged = mutated(victim.read_bytes(), random.Random(seed))
        victim.write_bytes(damaged)
        try:
            cache = CacheManager(FileBackend(path))
        except ConfigurationError:
            assert path.read_bytes() == damaged, f"seed {seed}: a refused file was changed"
            continue
        with cache:
            usable += check_all(cache, expected, seed)
            kept += cache.count() > 1
        aside += len(moved_aside(path))
    print(
        f"{target}: seeds {FIRST_SEED}+{SEEDS}: {usable} usable, {kept} with entries, {aside} aside"
    )
    assert usable > SEEDS // 2
    assert aside or target == "log"


def test_random_damage_to_an_open_file(tmp_path: Path, closed_file: Path, vandal: Vandal) -> None:
    expected = contents()
    size = closed_file.stat().st_size
    aside = 0
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS // 2):
        path = copied(closed_file, tmp_path)
        rng = random.Random(seed)
        with CacheManager(FileBackend(path)) as cache:
            assert cache.get("key-1") == expected["key-1"]
            asyncio.run(cache.aset("fresh", seed))
            checkpoint(path, mode="PASSIVE") if seed % 4 else None
            kind, at = rng.randrange(3), rng.randrange(HEADER, size)
            data = None if kind == 0 else bytes(512) if kind == 1 else rng.randbytes(4)
            vandal.write(path, at, data)
            cache.set("fresh", seed)
            assert check_all(cache, expected, seed)
            asyncio.run(cache.aget("key-2"))
            assert check_all(cache, expected, seed)
        aside += len(moved_aside(path))
    print(f"open, seeds from {FIRST_SEED}: {aside} aside")
    assert aside
