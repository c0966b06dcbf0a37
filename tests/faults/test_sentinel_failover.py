"""A master that was lost comes back: no write to it is acknowledged, as old as a connection may be.

That what is read was acknowledged in the same life of the data, not overtaken, is what the load
checks with every answer.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lives import Lives
from redis_load import Load, longest
from redis_sentinel import RedisSentinels, shared_sentinels
from redis_servers import patient
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend
from topologies import url_of_sentinels

if TYPE_CHECKING:
    from pathlib import Path

    from faces import Caller

# Orders of magnitude: a machine at rest needs two seconds to recover, and one for the longest call.
PATIENCE = 60
LONGEST = 10
SECONDS = 0.5

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


def write_once_more(cache: CacheManager, key: str, value: str) -> None:
    """Write with a connection that was idle for long; the first call may meet its end."""
    for _ in range(2):
        try:
            cache.set(key, value)
            return
        except BackendUnavailableError:
            continue


@pytest.mark.parametrize("loss", ["kill", "pause"])
def test_a_lost_master_is_followed_and_gets_no_write_when_it_is_back(
    sentinels: RedisSentinels, tmp_path: Path, loss: str
) -> None:
    lives = Lives(tmp_path / "lives", Load.registers_of())
    url = url_of_sentinels(sentinels)
    with (
        CacheManager(RedisBackend(url)) as cache,
        CacheManager(RedisBackend(url), namespace="idle") as idle,
    ):
        assert (idle.incr("n"), asyncio.run(idle.aincr("m"))) == (1, 1)
        with Load(cache, lambda _: lives) as load:
            load.run(SECONDS)
            lost = sentinels.kill_master() if loss == "kill" else sentinels.pause_master()
            lives.next(kept=True)
            begun = time.monotonic()
            recovered = max(load.wait_for_success(begun, PATIENCE).values()) - begun
            sentinels.wait_for_failover()
            if loss == "pause":
                lost.resume()
            load.run(SECONDS)
            sentinels.restart()
            load.run(SECONDS)
        slowest = longest(load.outcomes)
        print(f"\n{loss}: recovered after {recovered:.1f} s, longest call {slowest:.2f} s")
        assert slowest < LONGEST
        assert sentinels.replica_server is lost
        write_once_more(idle, "n", "new")
        assert b"new" in sentinels.master_server.command("GET", "idle:n")
        assert idle.get("n") == "new"


def test_a_former_master_that_greets_late_is_not_taken_for_the_master(
    sentinels: RedisSentinels, call: Caller
) -> None:
    """The sentinels had named it, before it stood still in the middle of connecting."""
    url = patient(url_of_sentinels(sentinels))
    with CacheManager(RedisBackend(url)) as foreign, ThreadPoolExecutor(1) as pool:
        foreign.set("k", "old")
        lost = sentinels.pause_master()
        cache = CacheManager(RedisBackend(url))
        try:
            found = pool.submit(call, cache, "get", "k")
            sentinels.wait_for_failover()
            with CacheManager(RedisBackend(url)) as later:
                assert later.set("k", "new")
            lost.resume()
            try:
                assert found.result(PATIENCE) == "new"
            except BackendUnavailableError:
                assert call(cache, "get", "k") == "new"
        finally:
            call(cache, "close")
