"""Another server takes the place of the one that tells a near cache what is written."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from memory_checks import LONG
from near_board import TRUSTED
from near_links import entries_of, until, wait_linked
from near_load import (
    LINKED,
    REGISTERS,
    NearLoad,
    clients_of,
    foreign_writer,
    has_written,
    links_of,
    share_of_hits,
)
from redis_cluster import shared_cluster
from redis_load import key_of, threads_left
from redis_sentinel import shared_sentinels
from redis_servers import patient
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import NearCache, RedisBackend
from topologies import url_of_cluster, url_of_sentinels

if TYPE_CHECKING:
    from pathlib import Path

    from redis_cluster import ClusterNode, RedisCluster
    from redis_sentinel import RedisSentinels
    from redis_servers import RedisServer

ROUNDS = 5 if LONG else 1
SLOTS = 500 if LONG else 100
HALF_MOVED = 20  # of them stay between two nodes for a while; all that are in use are among them
SECONDS = 0.7
PATIENCE = 60

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


@pytest.fixture
def cluster() -> RedisCluster:
    return shared_cluster().fresh()


def told(what: str, load: NearLoad, hits: list[float]) -> str:
    """Describe what was found."""
    phases = ", ".join(f"{phase} {seen.worst:.3f} s" for phase, seen in load.seen.items())
    return (
        f"\n{len(hits)} × {what}: {load.reads} reads, {sum(load.board.begun)} foreign writes; late "
        f"by at most: {phases}; near hits after each: at least {min(hits):.1%}"
    )


def near(url: str) -> tuple[CacheManager, RedisBackend]:
    """Return a cache with a near cache, and its backend, of which all links are up."""
    backend = RedisBackend(url, near_cache=NearCache())
    cache = CacheManager(backend)
    wait_linked(backend)
    return cache, backend


def is_linked(backend: RedisBackend) -> bool:
    """Tell whether all links are confirmed."""
    return all(epoch.until > time.monotonic() for epoch in links_of(backend).values())


@pytest.mark.parametrize("loss", ["kill", "pause"])
def test_what_sentinels_replace_leaves_nothing_old(
    sentinels: RedisSentinels, tmp_path: Path, loss: str
) -> None:
    hits: list[float] = []
    url = url_of_sentinels(sentinels)
    cache, backend = near(url)
    with cache, foreign_writer(url, tmp_path / "board") as board, NearLoad(cache, board) as load:
        for _ in range(ROUNDS):
            load.run(SECONDS)
            load.phase = loss
            lost = sentinels.kill_master() if loss == "kill" else sentinels.pause_master()
            # What the replica has not been told yet is lost, though it was acknowledged.
            board.next_life()
            sentinels.wait_for_failover()
            load.wait(board.is_written, PATIENCE)
            if loss == "pause":
                lost.resume()
                load.run(SECONDS)  # of two masters
            sentinels.restart()
            load.wait(lambda: cache.ping() and is_linked(backend), PATIENCE)
            load.phase = LINKED
            load.wait(has_written(board))
            hits.append(share_of_hits(load, [sentinels.master_server], SECONDS))
    print(told(f"master {loss}", load, hits))
    assert min(hits) > 0.5
    assert not threads_left()


def write(cache: CacheManager, key: str, value: str) -> None:
    """Write once there is somebody to take it."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            assert cache.set(key, value)
            return
        except BackendUnavailableError:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_connections_from_before_a_failover_fill_no_near_cache(sentinels: RedisSentinels) -> None:
    """Nobody used them meanwhile; of all that is there, the link alone has noticed."""
    url = url_of_sentinels(sentinels)
    cache, backend = near(url)
    with CacheManager(RedisBackend(url)) as foreign, asyncio.Runner() as runner, cache:
        write(foreign, "k", "old")
        write(foreign, "l", "old")
        assert cache.get("k") == runner.run(cache.aget("l")) == "old"
        before = links_of(backend)[None]
        lost = sentinels.pause_master()
        sentinels.wait_for_failover()
        write(foreign, "k", "new")
        write(foreign, "l", "new")
        end = time.monotonic() + PATIENCE
        while links_of(backend)[None] is before or not is_linked(backend):
            assert time.monotonic() < end
            time.sleep(0.01)
        lost.resume()
        assert (cache.get("k"), runner.run(cache.aget("l"))) == ("new", "new")


def users_of(server: RedisServer) -> tuple[set[str], set[str]]:
    """Return the connections of links to a server, and those on which it is read and written."""
    found = clients_of(server)
    links = {each["id"] for each in found if "B" in each["flags"]}
    plain = {each["id"] for each in found if each["flags"] == "N" and each["addr"][0] != "/"}
    return links, plain


def test_a_broken_link_has_the_master_looked_up_anew(sentinels: RedisSentinels) -> None:
    """Who was idle would not notice that there is another one, and fill the near cache of it."""
    cache, backend = near(patient(url_of_sentinels(sentinels)))
    with asyncio.Runner() as runner, cache:
        assert cache.get("k") is runner.run(cache.aget("k")) is None
        master = sentinels.master_server
        links, before = users_of(master)
        for link in links:
            master.command("CLIENT", "KILL", "ID", link)
        until(lambda: not links & users_of(master)[0] and is_linked(backend))
        assert cache.get("k") is runner.run(cache.aget("k")) is None
        reads = {"get", "pttl", "evalsha"}
        ours = {each["id"] for each in clients_of(master) if each["cmd"] in reads}
        assert ours
        assert not ours & before


def slot_of(key: str) -> int:
    return int(key_slot(f"symphra:{key}".encode()))


@pytest.mark.parametrize("loss", ["kill", "pause"])
def test_a_lost_primary_leaves_nothing_old(
    cluster: RedisCluster, tmp_path: Path, loss: str
) -> None:
    hits: list[float] = []
    url = url_of_cluster(cluster)
    cache, backend = near(url)
    with cache, foreign_writer(url, tmp_path / "board") as board, NearLoad(cache, board) as load:
        for _ in range(ROUNDS):
            load.run(SECONDS)
            lost = cluster.primary_of(f"symphra:{key_of(0)}")
            load.phase = loss
            lose(cluster, lost, loss)
            board.next_life()
            cluster.wait_ok()
            load.wait(board.is_written, PATIENCE)
            lost.resume() if loss == "pause" else lost.start()
            load.run(SECONDS)
            cluster.wait_ok()
            load.wait(lambda: cache.ping() and is_linked(backend), PATIENCE)
            load.phase = LINKED
            load.wait(has_written(board))
            hits.append(share_of_hits(load, cluster.primaries, SECONDS))
    print(told(f"primary {loss}", load, hits))
    assert min(hits) > 0.5
    assert not threads_left()


def slots_to_move(source: ClusterNode) -> list[int]:
    """Return slots of a primary, those of the registers first, never all."""
    used = {slot_of(key) for key in map(key_of, range(REGISTERS))}
    return sorted(source.slots, key=lambda slot: (slot not in used, slot))[:SLOTS]


def move_keys(slots: list[int], source: ClusterNode, target: ClusterNode) -> None:
    """Begin to move slots, and leave them in between: the keys are there, the slots not yet."""
    for slot in slots:
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.command("MIGRATE", *target.address, "", 0, 10_000, "KEYS", *keys)


def test_slots_that_move_leave_nothing_old(cluster: RedisCluster, tmp_path: Path) -> None:
    hits: list[float] = []
    url = patient(url_of_cluster(cluster))
    cache, backend = near(url)
    with cache, foreign_writer(url, tmp_path / "board") as board, NearLoad(cache, board) as load:
        for _ in range(ROUNDS):
            load.run(SECONDS)
            source = cluster.primary_of(f"symphra:{key_of(0)}")
            target = next(node for node in cluster.primaries if node is not source)
            slots = slots_to_move(source)
            load.phase = "half moved"
            move_keys(slots[:HALF_MOVED], source, target)
            load.run(TRUSTED + 1)
            load.phase = "moving"
            cluster.migrate_slots(slots, source, target)
            load.run(SECONDS)
            cluster.wait_ok()
            load.wait(lambda: is_linked(backend))
            load.phase = LINKED
            load.wait(has_written(board))
            hits.append(share_of_hits(load, cluster.primaries, SECONDS))
    print(told(f"{SLOTS} slots moved", load, hits))
    assert min(hits) > 0.5
    assert not load.errors
    assert not threads_left()


def test_what_another_node_has_answered_is_not_kept(cluster: RedisCluster) -> None:
    """The link to the owner of a slot tells nothing of what another node serves meanwhile."""
    url, slot = url_of_cluster(cluster), slot_of("k")
    source = cluster.primary_of("symphra:k")
    target = next(node for node in cluster.primaries if node is not source)
    target.command("ACL", "SETUSER", "default", "-client")  # nor does the other's: it has none
    try:
        with CacheManager(RedisBackend(url)) as foreign, asyncio.Runner() as runner:
            backend = RedisBackend(url, near_cache=NearCache())
            with CacheManager(backend) as cache:
                numbers = count()

                def write_and_read() -> None:
                    number = next(numbers)
                    assert foreign.set("k", number)
                    until(lambda: cache.get("k") == number)  # a moment, while it is told of
                    assert cache.get("k") == runner.run(cache.aget("k")) == number

                write_and_read()
                until(lambda: cache.get("k") == 0 and entries_of(backend))
                move_keys([slot], source, target)
                for _ in range(50):
                    write_and_read()
                cluster.migrate_slots([slot], source, target)
                for _ in range(50):
                    write_and_read()
    finally:
        target.command("ACL", "SETUSER", "default", "+client")


def lose(cluster: RedisCluster, node: ClusterNode, loss: str) -> None:
    if loss == "kill":
        cluster.kill(node)
    else:
        cluster.pause(node)
