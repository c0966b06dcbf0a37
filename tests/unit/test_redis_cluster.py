"""RedisBackend on a cluster: what fails when nodes do, and what does not."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fake_nodes import bulk, running_fakes
from redis_cluster import RedisCluster, shared_cluster
from redis_servers import HOST, PASSWORD, USER, free_ports, shared_server, until
from symphra_cache import BackendUnavailableError, CacheClosedError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from faces import Caller
    from fake_nodes import Words

A_LITTLE = 3.0  # seconds that a busy machine may add
KEYS = [f"k{number}" for number in range(1_100)]


def url_of(*ports: int) -> str:
    return "redis+cluster://" + ",".join(f"{HOST}:{port}" for port in ports)


def assert_all_fails(call: Caller, cache: CacheManager) -> str:
    """Each call fails with our error, which names all keys; return what it says."""
    with pytest.raises(BackendUnavailableError) as caught:
        call(cache, "get", "k")
    assert caught.value.__cause__ is not None
    values = dict.fromkeys(KEYS, 1)
    for name, *arguments in (
        ("set_many", values),
        ("set_many", values, 0),
        ("get_many", KEYS),
        ("delete_many", KEYS),
    ):
        with pytest.raises(BackendUnavailableError) as bulk:
            call(cache, name, *arguments)
        assert bulk.value.failed == KEYS
    for name, *arguments in (("count",), ("clear",), ("delete_matching", "*"), ("incr", "n")):
        with pytest.raises(BackendUnavailableError):
            call(cache, name, *arguments)
    assert call(cache, "ping").ok is False
    assert cache.stats().errors == 9  # a ping is no operation
    return str(caught.value)


def test_a_cluster_that_is_not_there_fails_every_call(call: Caller) -> None:
    with CacheManager(RedisBackend(url_of(*free_ports(3)))) as cache:
        assert "connecting to" in assert_all_fails(call, cache)


def test_a_server_that_is_no_cluster_is_told(call: Caller) -> None:
    with CacheManager(RedisBackend(url_of(shared_server().fresh().port))) as cache:
        assert "cluster support disabled" in assert_all_fails(call, cache)


@pytest.fixture
def cluster() -> RedisCluster:
    return shared_cluster().fresh()


def spread(count: int = 30) -> dict[str, int]:
    """Return keys of all nodes."""
    return {f"k{number}": number for number in range(count)}


def test_one_node_that_answers_is_enough_to_find_all(cluster: RedisCluster, call: Caller) -> None:
    with running_fakes(2) as silent:
        for node in silent.nodes:
            node.is_silent = True
        ports = [free_ports(1)[0], silent.nodes[0].port, cluster.nodes[0].port]
        backend = RedisBackend(url_of(*ports), socket_timeout=5, socket_connect_timeout=0.5)
        with CacheManager(backend) as cache:
            assert call(cache, "set_many", spread()) == []
            assert call(cache, "get_many", spread()) == spread()
            assert cache.stats().errors == 0


def test_silent_servers_cost_a_call_no_more_than_its_time(call: Caller) -> None:
    with running_fakes(16) as fakes:
        for node in fakes.nodes:
            node.is_silent = True
        backend = RedisBackend(
            fakes.url, socket_timeout=0.4, socket_connect_timeout=0.4, breaker=None
        )
        with CacheManager(backend) as cache:
            for name, *arguments in (("get", "k"), ("set_many", spread()), ("count",)):
                begun = time.monotonic()
                with pytest.raises(BackendUnavailableError):
                    call(cache, name, *arguments)
                assert time.monotonic() - begun < 3 * 0.4 + A_LITTLE


def test_by_user_and_password(cluster: RedisCluster, call: Caller) -> None:
    with CacheManager(RedisBackend(cluster.chosen_url, username=USER, password=PASSWORD)) as cache:
        assert call(cache, "set_many", spread()) == []
        assert call(cache, "get_many", spread()) == spread()
        assert call(cache, "count") == 30
        assert call(cache, "ping").ok


def test_a_cluster_that_wants_a_password(cluster: RedisCluster, call: Caller) -> None:
    def set_password(word: str) -> None:
        for node in cluster.nodes:
            node.command("CONFIG", "SET", "masterauth", word)
            node.command("CONFIG", "SET", "requirepass", word)

    set_password(PASSWORD)
    try:
        with CacheManager(RedisBackend(cluster.chosen_url, password=PASSWORD)) as cache:
            assert call(cache, "set_many", spread()) == []
            assert call(cache, "get_many", spread()) == spread()
        for wrong in ("wr0ng:p@ss/word", None):
            with CacheManager(RedisBackend(cluster.chosen_url, password=wrong)) as cache:
                with pytest.raises(BackendUnavailableError) as caught:
                    call(cache, "get_many", spread())
                assert caught.value.failed == list(spread())
                shown = f"{caught.value} {caught.value.__cause__} {cache} {call(cache, 'ping')}"
                assert "wr0ng" not in shown
    finally:
        set_password("")


def test_a_stopped_primary_fails_its_own_keys_until_it_goes_on(
    cluster: RedisCluster, call: Caller
) -> None:
    keys = list(spread())
    victim = cluster.primary_of("symphra:k0")
    its = [key for key in keys if cluster.primary_of(f"symphra:{key}") is victim]
    others = [key for key in keys if key not in its]
    backend = RedisBackend(
        cluster.chosen_url.partition("?")[0], socket_timeout=0.2, socket_connect_timeout=0.2
    )
    with CacheManager(backend) as cache:
        until(lambda: done(call, cache, "set_many", spread()), 10, victim.log)
        victim.pause()
        try:
            begun = time.monotonic()
            with pytest.raises(BackendUnavailableError) as caught:
                call(cache, "get_many", keys)
            assert caught.value.failed == its
            for key in its[:5]:
                with pytest.raises(BackendUnavailableError):
                    call(cache, "get", key)
            assert time.monotonic() - begun < 6 * 0.4 + A_LITTLE
            begun = time.monotonic()
            with pytest.raises(BackendUnavailableError, match="circuit open"):
                call(cache, "get", its[0])
            assert call(cache, "get_many", others) == {key: int(key[1:]) for key in others}
            assert time.monotonic() - begun < A_LITTLE
            assert cache.stats().errors >= 7
        finally:
            victim.resume()
        until(lambda: done(call, cache, "get_many", its), 20, victim.log)


def done(call: Caller, cache: CacheManager, *words: Any) -> bool:
    try:
        call(cache, *words)
    except BackendUnavailableError:
        return False
    return True


def test_calls_under_way_at_a_close_finish_or_say_so() -> None:
    """On threads, and on a loop of another thread."""
    outcomes: list[object] = []
    begun = threading.Semaphore(0)

    def slowly(words: Words) -> bytes:
        begun.release()
        time.sleep(0.01)
        return bulk(b"7")

    def read(cache: CacheManager) -> None:
        while True:
            try:
                outcomes.append(set(cache.get_many(spread()).values()))
            except Exception as error:
                outcomes.append(type(error))
                break

    async def aread(cache: CacheManager) -> None:
        while True:
            try:
                outcomes.append(set((await cache.aget_many(spread())).values()))
            except Exception as error:
                outcomes.append(type(error))
                break

    async def tasks(cache: CacheManager) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(aread(cache))

    with running_fakes(3) as fakes:
        for node in fakes.nodes:
            node.answer = slowly
        cache = CacheManager(RedisBackend(fakes.url, socket_timeout=20, socket_connect_timeout=20))
        threads = [threading.Thread(target=read, args=(cache,)) for _ in range(10)]
        threads.append(threading.Thread(target=lambda: asyncio.run(tasks(cache))))
        for thread in threads:
            thread.start()
        for _ in range(300):
            assert begun.acquire(timeout=20)
        cache.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        until(lambda: not any(node.open for node in fakes.nodes), 5, lambda: "open connections")
    assert outcomes.count(CacheClosedError) == 40
    assert all(one in ({7}, CacheClosedError) for one in outcomes)


async def test_a_close_from_elsewhere_closes_the_connections_of_a_loop_that_goes_on() -> None:
    with running_fakes(3) as fakes:
        for node in fakes.nodes:
            node.answer = lambda words: bulk(b"7")
        cache = CacheManager(RedisBackend(fakes.url, socket_timeout=20))
        assert await cache.aget_many(spread()) == dict.fromkeys(spread(), 7)
        assert cache.get("k") == 7
        await asyncio.to_thread(cache.close)
        await asyncio.to_thread(
            until, lambda: not any(node.open for node in fakes.nodes), 10, lambda: "still open"
        )
        with pytest.raises(CacheClosedError):
            await cache.aget_many(spread())
