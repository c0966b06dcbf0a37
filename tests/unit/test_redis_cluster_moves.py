"""RedisBackend on a real cluster whose slots move or change hands."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from redis_cluster import RedisCluster, shared_cluster
from redis_servers import until
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller
    from redis_cluster import ClusterNode

# All of one slot, for the braces choose it.
HERE, THERE, NEW = "{m}here", "{m}there", "{m}new"
SLOT = key_slot(b"symphra:{m}")


@pytest.fixture
def cluster() -> RedisCluster:
    return shared_cluster().fresh()


@pytest.fixture
def cache(cluster: RedisCluster) -> Iterator[CacheManager]:
    with CacheManager(RedisBackend(cluster.chosen_url)) as cache:
        yield cache


@contextmanager
def moving(cluster: RedisCluster, cache: CacheManager) -> Iterator[tuple[ClusterNode, ClusterNode]]:
    """Half-way through the move of a slot: a key here, one there; yield its source and target."""
    source = cluster.primary_of("symphra:{m}")
    target = next(node for node in cluster.primaries if node is not source)
    cache.set_many({HERE: 1, THERE: 2})
    target.command("CLUSTER", "SETSLOT", SLOT, "IMPORTING", source.id)
    source.command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", target.id)
    carry(source, target, THERE)
    try:
        yield source, target
    finally:
        for node in (source, target):
            node.command("CLUSTER", "SETSLOT", SLOT, "STABLE")
        # What stands at the target, which does not serve it, would come up some day.
        target.command("FLUSHALL")


def carry(source: ClusterNode, target: ClusterNode, key: str) -> None:
    words = ("MIGRATE", *target.address, f"symphra:{key}", 0, 10_000)
    assert source.command(*words) == b"OK"


def give(cluster: RedisCluster, target: ClusterNode) -> None:
    """Finish the move of the slot."""
    for node in (target, *cluster.primaries):
        node.command("CLUSTER", "SETSLOT", SLOT, "NODE", target.id)


def at(node: ClusterNode) -> set[str]:
    """Return the keys of the slot that stand at a node."""
    names = node.command("CLUSTER", "GETKEYSINSLOT", SLOT, 100)
    return {name.decode().removeprefix("symphra:") for name in names}


def test_each_operation_finds_its_key_while_its_slot_moves(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    with moving(cluster, cache) as (source, target):
        assert (at(source), at(target)) == ({HERE}, {THERE})
        for key, value in ((HERE, 1), (THERE, 2)):
            assert call(cache, "get", key) == value
            assert call(cache, "exists", key)
            assert call(cache, "add", key, 9) is False
            assert call(cache, "incr", key, 10) == value + 10
            assert call(cache, "touch", key, 60)
            assert 0 < call(cache, "ttl", key) <= 60
        keys = [HERE, NEW, THERE, "elsewhere"]
        assert call(cache, "get_many", keys) == {HERE: 11, THERE: 12}
        assert not call(cache, "exists", NEW)
        assert call(cache, "ttl", NEW) == 0.0
        assert call(cache, "pop", NEW) is None
        assert call(cache, "delete", NEW) is False
        assert call(cache, "set_many", dict.fromkeys(keys, 5)) == []
        assert (at(source), at(target)) == ({HERE}, {THERE, NEW})
        assert call(cache, "delete_many", [*keys, "missing"]) == 4
        assert (at(source), at(target)) == (set(), set())
        assert call(cache, "incr", HERE) == 1
        assert call(cache, "add", THERE, 2) is True
        assert call(cache, "pop", HERE) == 1
        assert call(cache, "delete", THERE) is True
        assert call(cache, "set", NEW, 3)
        assert at(target) == {NEW}
    assert cache.stats().errors == 0


def test_each_operation_finds_its_key_once_its_slot_has_moved(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    assert call(cache, "get_many", [HERE, THERE]) == {}  # so the old owner is known
    with moving(cluster, cache) as (source, target):
        carry(source, target, HERE)
        give(cluster, target)
        assert call(cache, "incr", HERE) == 2
        assert call(cache, "get_many", [THERE, HERE, NEW]) == {THERE: 2, HERE: 2}
        served = target.calls("get")
        for _ in range(10):
            assert call(cache, "get", THERE) == 2
        assert target.calls("get") == served + 10
        assert cache.stats().errors == 0
        assert call(cache, "delete_many", [HERE, THERE]) == 2
        cluster.migrate_slots([SLOT], target, source)
        cluster.wait_ok()


def test_a_slot_that_nobody_serves_fails_alone(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    owner = cluster.primary_of("symphra:{m}")
    others = [f"k{number}" for number in range(30)]
    assert call(cache, "set_many", dict.fromkeys(others, 1)) == []
    for node in cluster.nodes:
        node.command("CLUSTER", "DELSLOTS", SLOT)
    try:
        with pytest.raises(BackendUnavailableError):
            call(cache, "set", HERE, 1)
        with pytest.raises(BackendUnavailableError) as caught:
            call(cache, "get_many", [*others, HERE, THERE])
        assert caught.value.failed == [HERE, THERE]
        assert call(cache, "get_many", others) == dict.fromkeys(others, 1)
        time.sleep(0.3)  # by now it is known that nobody does
        with pytest.raises(BackendUnavailableError) as again:
            call(cache, "set_many", dict.fromkeys([HERE, *others], 2))
        assert again.value.failed == [HERE]
        assert call(cache, "count") == len(others)
    finally:
        owner.command("CLUSTER", "ADDSLOTS", SLOT)
        cluster.wait_ok()
    until(lambda: bool(call(cache, "ping")) and served(call, cache), 5, owner.log)


def served(call: Caller, cache: CacheManager) -> bool:
    try:
        return bool(call(cache, "set", HERE, 1))
    except BackendUnavailableError:
        return False


def test_a_scan_sees_keys_that_went_to_and_fro_behind_it(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    """Away from a node before it is scanned, and back when that is over."""
    first, middle, last = sorted(cluster.primaries, key=lambda node: node.id)
    slots = {node: node.slots for node in (first, middle, last)}
    tag = next(
        f"{{t{number}}}"
        for number in range(10_000)
        if key_slot(f"t{number}".encode()) in slots[last][1:-1]
    )
    slot = key_slot(tag.strip("{}").encode())
    moved = {f"{tag}{number}" for number in range(5)}
    keys = moved | {f"k{number}" for number in range(60)}
    assert call(cache, "set_many", dict.fromkeys(keys, 1)) == []
    owners = {key: cluster.primary_of(f"symphra:{key}") for key in keys}
    found: list[str] = []
    for key in call.scanning(cache):
        if owners[key] is middle and not any(owners[one] is middle for one in found):
            cluster.migrate_slots([slot], last, first)
        if owners[key] is last and not any(owners[one] is last for one in found):
            cluster.migrate_slots([slot], first, last)
        found.append(key)
    assert sorted(found) == sorted(keys)


def test_bulk_calls_and_scans_while_slots_move(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    keys = {f"k{number}": number for number in range(2_000)}
    assert call(cache, "set_many", keys) == []
    source, target = cluster.primaries[:2]
    slots = sorted({key_slot(f"symphra:{key}".encode()) for key in keys} & set(source.slots))[:60]
    with ThreadPoolExecutor(1) as pool:
        move = pool.submit(cluster.migrate_slots, slots, source, target)
        rounds = 0
        while not move.done() or rounds < 2:
            rounds += 1
            assert call(cache, "get_many", keys) == keys
            assert Counter(call.scanning(cache)) == Counter(dict.fromkeys(keys, 1))
            assert call(cache, "count") == len(keys)
            doomed = {f"doomed-{number}": 1 for number in range(200)}
            assert call(cache, "set_many", doomed) == []
            assert call(cache, "delete_matching", "doomed*") == 200
        move.result()
    cluster.migrate_slots(slots, target, source)
    assert call(cache, "clear") == len(keys)
    assert cache.stats().errors == 0


def test_a_planned_failover_costs_nothing_but_calls_on_the_way(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    old = cluster.primary_of("symphra:{m}")
    new = cluster.replica_of(old)
    keys = [f"{{m}}{number}" for number in range(20)] + [f"k{number}" for number in range(20)]
    assert call(cache, "set_many", dict.fromkeys(keys, 0)) == []
    end = time.monotonic() + 30
    rounds, again = 0, 0.0
    while new.role != "primary" or rounds < 5:
        assert time.monotonic() < end
        rounds += 1
        if time.monotonic() > again and new.role != "primary":
            # The others may still remember another vote.
            new.command("CLUSTER", "FAILOVER")
            again = time.monotonic() + 1
        with suppress(BackendUnavailableError):
            assert call(cache, "get_many", keys) == dict.fromkeys(keys, 0)
            call(cache, "incr", HERE)
    until(lambda: served(call, cache), 10, new.log)
    assert call(cache, "set_many", dict.fromkeys(keys, 0)) == []
    assert new.command("EXISTS", "symphra:{m}1") == 1
    cluster.wait_ok()
    assert old.role == "replica"


def test_scripts_that_one_node_has_forgotten_are_sent_to_it(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    keys = {f"k{number}": number for number in range(60)}
    assert call(cache, "set_many", keys) == []
    assert call(cache, "incr", "k0", 0) == 0
    assert call(cache, "delete_many", ["missing"]) == 0
    cluster.primaries[1].command("SCRIPT", "FLUSH")
    assert [call(cache, "incr", key, 0) for key in keys] == list(keys.values())
    cluster.primaries[2].command("SCRIPT", "FLUSH")
    assert call(cache, "delete_many", keys) == 60


def test_values_of_another_type_are_misses_on_every_node(
    cluster: RedisCluster, cache: CacheManager, call: Caller
) -> None:
    keys = [f"k{number}" for number in range(12)]
    for key in keys[::2]:
        cluster.command("RPUSH", f"symphra:{key}", "x")
    assert call(cache, "set_many", dict.fromkeys(keys[1::2], 1)) == []
    assert call(cache, "get_many", keys) == dict.fromkeys(keys[1::2], 1)
    assert call(cache, "count") == 6
    assert call.scan(cache) == sorted(keys[1::2])
    assert call(cache, "delete_many", keys) == 6
    assert cluster.command("KEYS", "*") == []
    assert cache.stats().errors == 0


async def test_many_tasks_and_threads_at_once_wait_for_each_other_without_end(
    cluster: RedisCluster, cache: CacheManager
) -> None:
    """Each bulk call holds a connection to every node, of which there are far fewer than calls."""
    keys = {f"k{number}": number for number in range(90)}
    assert await cache.aset_many(keys) == []
    with ThreadPoolExecutor(100) as pool:
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(pool, cache.get_many, keys) for _ in range(200)]
        async with asyncio.timeout(60):
            tasks = [cache.aget_many(list(keys)[number % 7 :]) for number in range(200)]
            found = await asyncio.gather(*tasks, *threads)
    assert all(one == {key: keys[key] for key in one} for one in found)
    assert sum(len(one) for one in found) == sum(90 - number % 7 for number in range(200)) + 18_000


def test_a_large_bulk_call(cluster: RedisCluster, call: Caller) -> None:
    """Its own work takes longer than an answer may."""
    keys = {f"k{number}": number for number in range(20_000)}
    backend = RedisBackend(
        cluster.chosen_url.partition("?")[0],
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        breaker=None,
    )
    with CacheManager(backend) as cache:
        for _ in range(3):  # a busy node may take too long, now and then
            try:
                assert call(cache, "set_many", keys) == []
                assert call(cache, "get_many", keys) == keys
                assert call(cache, "delete_many", keys) == 20_000
                break
            except BackendUnavailableError as error:
                caught = error
        else:
            raise caught
