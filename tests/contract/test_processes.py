"""Four processes on one cache, two on each face: what is one step has one winner."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redis_servers import shared_server
from symphra_cache import CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FACES = ("blocking", "asyncio", "blocking", "asyncio")
KEYS = [f"k{number}" for number in range(400)]


class Process:
    """Another process, which does what it is told."""

    def __init__(self, face: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), face],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, url: str, call: str, arguments: list[list[Any]]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([url, call, arguments]) + "\n")
        self._process.stdin.flush()

    def answers(self) -> list[Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process is gone"
        answers: list[Any] = json.loads(line)
        return answers

    def call(self, url: str, call: str, *arguments: Any) -> Any:
        self.begin(url, call, [list(arguments)])
        return self.answers()[0]

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def finish(self) -> int:
        self._process.communicate(timeout=30)
        return self._process.returncode


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Process]]:
    started = [Process(face) for face in FACES]
    yield started
    assert [process.finish() for process in started] == [0] * len(FACES)


def file_url(folder: Path) -> str:
    return f"file://{folder / 'cache.db'}?busy_timeout=30"


def redis_url(_: Path) -> str:
    return shared_server().fresh().chosen_url


@pytest.fixture(params=[file_url, redis_url], ids=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    make: Callable[[Path], str] = request.param
    return make(tmp_path)


@pytest.fixture
def cache(url: str) -> Iterator[CacheManager]:
    with CacheManager.from_url(url) as manager:
        yield manager


def race(
    processes: list[Process], url: str, call: str, arguments: list[list[Any]]
) -> list[list[Any]]:
    """Have all processes call at once; return the answers of each."""
    for process in processes:
        process.call(url, "exists", "warm")
    for process in processes:
        process.begin(url, call, arguments)
    return [process.answers() for process in processes]


def test_several_processes_may_make_the_same_cache_at_once(
    processes: list[Process], url: str
) -> None:
    for process in processes:
        process.begin(url, "add", [["k", "first"]])
    answers = [process.answers() for process in processes]
    assert sorted(answers) == [[False], [False], [False], [True]]


def test_add_has_one_winner_among_processes(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    for who, process in enumerate(processes):
        process.call(url, "set", f"warm-{who}", who)
    for who, process in enumerate(processes):
        process.begin(url, "add", [[key, who] for key in KEYS])
    answers = [process.answers() for process in processes]
    for key, won in zip(KEYS, zip(*answers, strict=True), strict=True):
        assert won.count(True) == 1
        assert cache.get(key) == won.index(True)


def test_pop_has_one_winner_among_processes(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    cache.set_many({key: [key] for key in KEYS})
    answers = race(processes, url, "pop", [[key] for key in KEYS])
    for key, got in zip(KEYS, zip(*answers, strict=True), strict=True):
        assert [each for each in got if each is not None] == [[key]]
    assert cache.count() == 0


def test_delete_has_one_winner_among_processes(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    cache.set_many(dict.fromkeys(KEYS, 1))
    answers = race(processes, url, "delete", [[key] for key in KEYS])
    assert all(told.count(True) == 1 for told in zip(*answers, strict=True))


def test_incr_loses_no_update_among_processes(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    answers = race(processes, url, "incr", [["k", 2]] * 100)
    sums = [total for each in answers for total in each]
    assert sorted(sums) == list(range(2, 802, 2))
    assert cache.get("k") == 800


def test_clear_counts_each_entry_once_among_processes(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    cache.set_many({f"k{number}": number for number in range(2_000)})
    answers = race(processes, url, "clear", [[]])
    assert sum(count for each in answers for count in each) == 2_000
    assert cache.count() == 0


def test_other_processes_see_a_write_on_its_return(
    processes: list[Process], url: str, cache: CacheManager
) -> None:
    for turn in range(20):
        writer, *readers = processes[turn % 4 :] + processes[: turn % 4]
        assert writer.call(url, "set", "k", {"turn": turn}, 60) is True
        assert cache.get("k") == {"turn": turn}
        for reader in readers:
            assert reader.call(url, "get", "k") == {"turn": turn}
        assert readers[0].call(url, "delete", "k") is True
        assert writer.call(url, "exists", "k") is False
        assert cache.get("k") is None


def test_processes_that_share_a_bounded_file_keep_its_bound(
    processes: list[Process], tmp_path: Path
) -> None:
    url = f"file://{tmp_path / 'bounded.db'}?busy_timeout=30&max_size=50"
    for who, process in enumerate(processes):
        process.begin(url, "set", [[f"{who}-{number}", number] for number in range(500)])
    assert all(all(process.answers()) for process in processes)
    with closing(sqlite3.connect(tmp_path / "bounded.db")) as db:
        counted = "SELECT (SELECT count(*) FROM entries), (SELECT entries FROM held)"
        assert db.execute(counted).fetchone() == (50, 50)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_every_acknowledged_write_survives_a_kill(url: str, face: str) -> None:
    process = Process(face)
    process.call(url, "set", "k0", "first")
    process.begin(url, "set", [[f"k{number}", number] for number in range(1, 100)])
    acknowledged = process.answers()
    process.begin(url, "set", [[f"more-{number}", number] for number in range(2_000)])
    process.kill()
    assert acknowledged == [True] * 99
    with CacheManager.from_url(url) as cache:
        assert cache.get("k0") == "first"
        assert cache.get_many([f"k{n}" for n in range(1, 100)]) == {
            f"k{n}": n for n in range(1, 100)
        }
        assert cache.set("k0", "second")
        assert cache.ping()
