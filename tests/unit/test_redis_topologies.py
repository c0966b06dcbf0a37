"""The tests' own Redis Cluster and Sentinels: that they are what they say, and that they end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot
from redis.sentinel import Sentinel

from redis_cluster import SLOTS, RedisCluster, shared_cluster
from redis_sentinel import RedisSentinels, shared_sentinels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECONDS_TO_FAIL_OVER = 20  # a machine at rest needs three
SECONDS_TO_END = 10


@pytest.fixture
def cluster() -> RedisCluster:
    return shared_cluster().fresh()


@pytest.fixture
def client(cluster: RedisCluster) -> Iterator[redis.RedisCluster]:
    with redis.RedisCluster.from_url(cluster.url, socket_timeout=10) as client:
        yield client


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


@pytest.fixture
def watchers(sentinels: RedisSentinels) -> Iterator[Sentinel]:
    found = Sentinel(sentinels.addresses, socket_timeout=10)
    yield found
    for watcher in found.sentinels:
        watcher.close()


def keys_of(slots: Iterable[int], each: int) -> list[str]:
    """Return so many keys of each of these slots."""
    wanted = dict.fromkeys(slots, each)
    found: list[str] = []
    for number in count():
        key = f"key{number}"
        if wanted.get(slot := key_slot(key.encode())):
            wanted[slot] -= 1
            found.append(key)
        if not any(wanted.values()):
            break
    return found


def test_a_cluster_has_three_primaries_with_a_replica_each(cluster: RedisCluster) -> None:
    assert Counter(node.role for node in cluster.nodes) == {"primary": 3, "replica": 3}
    assert {cluster.replica_of(node) for node in cluster.primaries} == set(cluster.replicas)
    assert sorted(slot for node in cluster.nodes for slot in node.slots) == list(range(SLOTS))
    assert len({node.pid for node in cluster.nodes}) == len(set(cluster.addresses)) == 6


def test_a_cluster_is_spread_and_emptied(cluster: RedisCluster, client: redis.RedisCluster) -> None:
    keys = [f"key{number}" for number in range(100)]
    for key in keys:
        client.set(key, "x")
    assert all(cluster.primary_of(key).command("GET", key) == b"x" for key in keys)
    sizes = [node.command("DBSIZE") for node in cluster.primaries]
    assert all(sizes)
    assert sum(sizes) == len(keys)
    cluster.fresh()
    assert client.dbsize() == 0


async def test_a_cluster_serves_asyncio_too(cluster: RedisCluster) -> None:
    async with redis.asyncio.RedisCluster.from_url(cluster.url, socket_timeout=10) as client:
        await client.set("key", "x")
    assert cluster.primary_of("key").command("GET", "key") == b"x"


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(
    cluster: RedisCluster, client: redis.RedisCluster
) -> None:
    lost = cluster.primary_of("key")
    heir = cluster.replica_of(lost)
    lost.command("SET", "key", "x")
    assert lost.command("WAIT", 1, 10_000) == 1
    served = lost.slots
    cluster.kill(lost)
    assert (lost.role, lost.slots) == ("down", [])
    cluster.wait_ok(SECONDS_TO_FAIL_OVER)
    assert cluster.primary_of("key") is heir
    assert heir.slots == served
    assert client.get("key") == b"x"
    cluster.restart(lost)
    cluster.wait_ok(SECONDS_TO_FAIL_OVER)
    assert lost.role == "replica"
    assert cluster.replica_of(heir) is lost


def test_slots_move_with_their_keys(cluster: RedisCluster, client: redis.RedisCluster) -> None:
    source, target, _ = cluster.primaries
    slots = source.slots[:10]
    keys = keys_of(slots, 20)
    for key in keys:
        client.set(key, key)
    cluster.migrate_slots(slots, source, target)
    assert not set(slots) & set(source.slots)
    assert set(slots) <= set(target.slots)
    assert {cluster.primary_of(key) for key in keys} == {target}
    assert [client.get(key) for key in keys] == [key.encode() for key in keys]
    assert source.command("DBSIZE") == 0
    assert target.command("DBSIZE") == len(keys)
    cluster.wait_ok(SECONDS_TO_FAIL_OVER)


def test_fresh_mends_a_cluster(cluster: RedisCluster) -> None:
    paused, killed, _ = cluster.replicas
    cluster.pause(paused)
    cluster.kill(killed)
    assert (paused.role, killed.role) == ("down", "down")
    cluster.fresh()
    assert {paused, killed} < set(cluster.replicas)


def test_sentinels_name_the_master_and_its_replica(
    sentinels: RedisSentinels, watchers: Sentinel
) -> None:
    assert watchers.discover_master(sentinels.name) == sentinels.master
    assert watchers.discover_slaves(sentinels.name) == [sentinels.replica_server.address]
    with watchers.master_for(sentinels.name) as master:
        master.set("key", "x")
        assert master.wait(1, 10_000) == 1
    with watchers.slave_for(sentinels.name) as replica:
        assert replica.get("key") == b"x"
    assert sentinels.fresh().master_server.command("DBSIZE") == 0


async def test_sentinels_serve_asyncio_too(sentinels: RedisSentinels) -> None:
    watchers = redis.asyncio.Sentinel(sentinels.addresses, socket_timeout=10)
    async with watchers.master_for(sentinels.name) as master:
        await master.set("key", "x")
    for watcher in watchers.sentinels:
        await watcher.aclose()
    assert sentinels.master_server.command("GET", "key") == b"x"


def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(
    sentinels: RedisSentinels, watchers: Sentinel
) -> None:
    heir = sentinels.replica_server
    sentinels.master_server.command("SET", "key", "x")
    assert sentinels.master_server.command("WAIT", 1, 10_000) == 1
    lost = sentinels.kill_master()
    assert not lost.running
    assert sentinels.wait_for_failover(SECONDS_TO_FAIL_OVER) == sentinels.master == heir.address
    with watchers.master_for(sentinels.name) as master:
        assert master.get("key") == b"x"
        sentinels.restart()
        assert sentinels.replica_server is lost
        master.set("key", "y")
        assert master.wait(1, 10_000) == 1
    assert lost.command("GET", "key") == b"y"


def test_fresh_mends_sentinels(sentinels: RedisSentinels) -> None:
    sentinels.replica_server.pause()
    sentinels.sentinels[0].kill()
    sentinels.fresh()
    assert all(server.answers for server in (*sentinels.servers, *sentinels.sentinels))


OWNER = """
    import json
    import time
    from redis_cluster import RedisCluster
    from redis_sentinel import RedisSentinels

    cluster, sentinels = RedisCluster(), RedisSentinels()
    servers = [*cluster.nodes, *sentinels.servers, *sentinels.sentinels]
    told = [[str(server.folder), *server.processes] for server in servers]
    print(json.dumps(told), flush=True)
    time.sleep(600)
"""


def lives(process: int) -> bool:
    """Tell whether a process lives, not counting one whose end nobody has asked for."""
    try:
        os.kill(process, 0)
        status = Path(f"/proc/{process}/stat")
        return sys.platform != "linux" or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_nothing_is_left_of_an_owner_that_was_killed() -> None:
    tests = str(Path(__file__).parents[1])
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": tests},
    )
    with owner:
        try:
            assert owner.stdout is not None
            told = json.loads(owner.stdout.readline())
        finally:
            owner.kill()
    processes: list[int] = [process for _, *found in told for process in found]
    assert len(set(processes)) == 2 * (6 + 5)  # servers and guards
    end = time.monotonic() + SECONDS_TO_END
    while left := [process for process in processes if lives(process)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)
    for folder, *_ in told:
        shutil.rmtree(folder)
