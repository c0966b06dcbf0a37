"""The server of a near cache stands still, or dies and comes back empty."""

from __future__ import annotations

import asyncio
import signal
import time
from math import inf
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from near_board import TRUSTED
from near_links import entries_of, wait_linked
from near_load import (
    LINKED,
    NearLoad,
    end,
    foreign_writer,
    has_written,
    links_of,
    running,
    share_of_hits,
    wait_relinked,
)
from redis_load import threads_left
from redis_servers import RedisServer, patient, running_server
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 10 if LONG else 2
STOPPED = 5.0 if LONG else TRUSTED + 1.0
STANDSTILLS = 20 if LONG else 2
SECONDS = 0.5
OLD = [f"old-{number}" for number in range(10)]

pytestmark = pytest.mark.timeout(600)


def told(what: str, load: NearLoad, hits: list[float]) -> str:
    """Describe what was found."""
    phases = ", ".join(f"{phase} {seen.worst:.3f} s" for phase, seen in load.seen.items())
    return (
        f"\n{len(hits)} {what}: {load.reads} reads, {sum(load.board.begun)} foreign writes; late "
        f"by at most: {phases}; near hits after each: at least {min(hits):.1%}"
    )


def test_a_stopped_server_is_believed_for_a_moment_only(tmp_path: Path) -> None:
    hits: list[float] = []
    with (
        running_server() as server,
        foreign_writer(server.url, tmp_path / "board") as board,
        CacheManager(RedisBackend(server.url, near_cache=NearCache())) as cache,
    ):
        backend = cache.backend
        assert isinstance(backend, RedisBackend)
        wait_linked(backend)
        with NearLoad(cache, board) as load:
            load.run(SECONDS)
            for _ in range(ROUNDS):
                assert entries_of(backend)
                load.phase = "stopped"
                server.pause()
                load.silent_from = time.monotonic() + TRUSTED
                load.run(STOPPED)
                assert not entries_of(backend)
                load.silent_from = inf
                server.resume()
                load.wait(lambda: links_of(backend)[None].until > time.monotonic())
                load.phase = LINKED
                load.wait(has_written(board))
                hits.append(share_of_hits(load, [server], SECONDS))
    print(told("stops", load, hits))
    assert load.seen["stopped"].reads
    assert min(hits) > 0.5
    assert not threads_left()


def test_a_process_that_stood_still_believes_nothing_from_before(tmp_path: Path) -> None:
    """What the server has told meanwhile it hears late: too late for what was written first."""
    with (
        running_server() as server,
        foreign_writer(server.url, tmp_path / "board"),
        running("near_reader.py", patient(server.url), tmp_path / "board") as reader,
    ):
        for _ in range(STANDSTILLS):
            time.sleep(SECONDS)
            reader.send_signal(signal.SIGSTOP)
            time.sleep(TRUSTED + 0.3)
            reader.send_signal(signal.SIGCONT)
        time.sleep(SECONDS)
        reads, worst = end(reader).split()
    print(f"\n{STANDSTILLS} standstills: {reads} reads, late by at most {float(worst):.3f} s")


def restart(server: RedisServer, load: NearLoad, cache: CacheManager, dead: float) -> None:
    """Kill the server and start it again, empty, until the link is there again."""
    backend = cache.backend
    assert isinstance(backend, RedisBackend)
    load.phase, before = "dead", links_of(backend)
    server.kill()
    load.board.next_life()
    load.silent_from = time.monotonic() + TRUSTED
    load.run(dead)
    load.silent_from = inf
    server.start()
    wait_relinked(backend, load, before)
    load.wait(cache.ping)  # the circuit of the calls may be open for a moment still
    load.phase = LINKED


async def old_ones(cache: CacheManager) -> set[str]:
    """Return which keys of a former life are there still, on either face."""
    found = {*cache.get_many(OLD), *await cache.aget_many(OLD)}
    for key in OLD:
        if cache.get(key) is not None or await cache.aget(key) is not None:
            found.add(key)
    return found


def test_nothing_of_a_dead_server_is_served_once_the_link_is_confirmed_anew(
    tmp_path: Path,
) -> None:
    hits: list[float] = []
    with (
        running_server() as server,
        foreign_writer(server.url, tmp_path / "board") as board,
        CacheManager(RedisBackend(server.url, near_cache=NearCache())) as cache,
    ):
        backend = cache.backend
        assert isinstance(backend, RedisBackend)
        wait_linked(backend)
        with NearLoad(cache, board) as load:
            for number in range(ROUNDS):
                assert cache.set_many(dict.fromkeys(OLD, number)) == []
                load.wait(lambda: len(read_near(cache)) == len(OLD))
                restart(server, load, cache, dead=SECONDS if number % 2 else 2 * SECONDS)
                assert asyncio.run(old_ones(cache)) == set()
                load.wait(has_written(board))
                hits.append(share_of_hits(load, [server], SECONDS))
    print(told("kills", load, hits))
    assert min(hits) > 0.5
    assert not threads_left()


def read_near(cache: CacheManager) -> set[str]:
    """Read the keys; return which of them would be answered from memory next."""
    assert cache.get_many(OLD).keys() == set(OLD)
    assert isinstance(cache.backend, RedisBackend)
    return {f"symphra:{key}" for key in OLD} & set(entries_of(cache.backend))
