"""A master or primary is killed under load, slots move to another: what a program sees of it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from lives import Lives
from memory_checks import LONG
from redis_cluster import running_cluster
from redis_load import FACES, Load, longest, threads_left
from redis_sentinel import running_sentinels
from redis_servers import patient
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend
from topologies import url_of_cluster, url_of_sentinels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from redis_cluster import ClusterNode, RedisCluster
KILLS = 5 if LONG else 1
MOVES = 3 if LONG else 1
SLOTS = 500 if LONG else 100
STATIC = 3_000 if LONG else 1_500  # keys that live through every move
SECONDS = 2.0 if LONG else 0.7  # of load between two faults
PATIENCE = 60  # seconds until a success; five or six are the goal

pytestmark = pytest.mark.timeout(600)


def told(what: str, took: list[float], load: Load) -> str:
    """Describe what was found."""
    return (
        f"\n{len(took)} {what}, {len(load.outcomes)} calls, {len(load.failures())} failed, longest "
        f"{longest(load.outcomes):.3f} s; both faces again after {max(took):.3f} s at the latest"
    )


def test_a_killed_master_of_sentinels_is_replaced_and_nothing_is_wrong(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "lives", Load.registers_of())
    took: list[float] = []
    with running_sentinels() as sentinels:
        backend = RedisBackend(url_of_sentinels(sentinels))
        with CacheManager(backend) as cache, Load(cache, lambda _: lives) as load:
            for _ in range(KILLS):
                load.run(SECONDS)
                sentinels.kill_master()
                # What the replica has not been told yet is lost, though it was acknowledged.
                lives.next(kept=True)
                killed = time.monotonic()
                took.append(max(load.wait_for_success(killed, PATIENCE).values()) - killed)
                load.run(SECONDS)
                sentinels.wait_for_failover()
                sentinels.restart()
    print(told("masters killed", took, load) + " (goal 5)")
    assert load.failures()
    assert not threads_left()


class Slots:
    """Which primary serves a key, and the lives of each."""

    def __init__(self, cluster: RedisCluster, folder: Path) -> None:
        self._owners = {slot: node for node in cluster.primaries for slot in node.slots}
        registers = Load.registers_of()
        folder.mkdir()
        self._lives = {
            node: Lives(folder / str(node.port), registers) for node in cluster.primaries
        }

    def owner(self, key: str) -> ClusterNode:
        return self._owners[slot_of(key)]

    def lives_of(self, key: str) -> Lives:
        return self._lives[self.owner(key)]

    def replace(self, lost: ClusterNode, found: ClusterNode) -> None:
        """Note that another node serves what was a lost one's."""
        self._owners = {
            slot: found if node is lost else node for slot, node in self._owners.items()
        }
        self._lives[found] = self._lives[lost]


def slot_of(key: str) -> int:
    return int(key_slot(f"symphra:{key}".encode()))


def test_a_killed_primary_of_a_cluster_harms_its_own_slots_only(tmp_path: Path) -> None:
    took: list[float] = []
    with running_cluster() as cluster:
        slots = Slots(cluster, tmp_path / "lives")
        # Patient: that a busy machine takes its time is no harm to the other slots.
        backend = RedisBackend(patient(url_of_cluster(cluster)))
        with CacheManager(backend) as cache, Load(cache, slots.lives_of) as load:
            for _ in range(KILLS):
                load.run(SECONDS)
                took.append(kill_primary(cluster, slots, load))
                load.run(SECONDS)
    print(told("primaries killed", took, load) + " (goal 6)")
    assert not threads_left()


def kill_primary(cluster: RedisCluster, slots: Slots, load: Load) -> float:
    """Kill a primary, look at what fails, and start it again; return how long it took."""
    victim = slots.owner(load.keys[0])
    replica = cluster.replica_of(victim)
    about = {key for key in load.keys if slots.owner(key) is victim}
    others = set(load.keys) - about
    before = time.monotonic()
    cluster.kill(victim)
    slots.lives_of(load.keys[0]).next(kept=True)
    killed = time.monotonic()
    took = max(load.wait_for_success(killed, PATIENCE, about).values()) - killed
    load.wait_for_success(killed, PATIENCE, others)
    cluster.wait_ok()
    slots.replace(victim, replica)
    cluster.restart(victim)
    cluster.wait_ok()
    since = [outcome for outcome in list(load.outcomes) if outcome.began > before - 1]
    assert any(outcome.failed for outcome in since)
    for outcome in since:
        assert outcome.failed <= about, list(load.errors)
    unharmed = [outcome for outcome in since if outcome.keys <= others]
    slowest = longest(unharmed)
    print(f"\nmeanwhile {len(unharmed)} calls on the other slots, longest {slowest:.3f} s")
    assert {outcome.face for outcome in unharmed} == set(FACES)
    assert slowest < PATIENCE / 10
    return took


def scan_until(over: threading.Event, scan: Callable[[], Collection[str]]) -> int:
    """Scan again and again, and check that each sees every key, none twice."""
    wanted = {static(number) for number in range(STATIC)}
    scans = 0
    while not over.is_set() or not scans:
        found = scan()
        assert len(found) == len(set(found))
        assert wanted <= set(found), f"{len(wanted - set(found))} keys missing"
        scans += 1
    return scans


def static(number: int) -> str:
    return f"static-{number}"


async def scanned(cache: CacheManager) -> list[str]:
    return [key async for key in cache.ascan("*")]


def moving(slots: Collection[int], load: Load) -> list[int]:
    """Return the slots to move, those that are in use first, never the last of a primary."""
    used = {slot_of(key) for key in load.keys}
    return sorted(slots, key=lambda slot: (slot not in used, slot))[:SLOTS]


def test_slots_that_move_under_load_cost_no_client_an_error(tmp_path: Path) -> None:
    lives, over = Lives(tmp_path / "lives", Load.registers_of()), threading.Event()
    with running_cluster() as cluster, ThreadPoolExecutor(2, "scan") as pool:
        # Patient here, too.
        cache = CacheManager(RedisBackend(patient(url_of_cluster(cluster))))
        assert cache.set_many({static(number): number for number in range(STATIC)}) == []
        with Load(cache, lambda _: lives) as load:
            load.run(SECONDS)
            scans = [
                pool.submit(scan_until, over, lambda: list(cache.scan())),
                pool.submit(scan_until, over, lambda: asyncio.run(scanned(cache))),
            ]
            began = time.monotonic()
            try:
                for turn in range(MOVES):
                    source, target = (cluster.primaries * 2)[turn % 3 : turn % 3 + 2]
                    cluster.migrate_slots(moving(source.slots, load), source, target)
                    load.check()
            finally:
                took = time.monotonic() - began
                over.set()
            counts = [scan.result() for scan in scans]
            load.run(SECONDS)
        cache.close()
    print(
        f"\n{MOVES} × {SLOTS} slots moved in {took:.1f} s: {len(load.outcomes)} calls, "
        f"{len(load.failures())} failed, longest {longest(load.outcomes):.3f} s; {sum(counts)} "
        f"scans of {STATIC} keys and more, all complete"
    )
    assert not load.errors
    assert not threads_left()
