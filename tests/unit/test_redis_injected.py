"""Clients of redis-py that a program hands over: those for sentinels and clusters."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.cluster import ClusterNode, LoadBalancingStrategy

from faces import Caller
from redis_cluster import RedisCluster, shared_cluster
from redis_sentinel import NAME, RedisSentinels, shared_sentinels
from redis_servers import HOST
from symphra_cache import BackendUnavailableError, CacheManager, ConfigurationError
from symphra_cache._redis_breaker import CircuitBreaker, NodeBreaker
from symphra_cache._redis_injected import cluster_settings, secrets_of
from symphra_cache._redis_options import ClientOptions
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2"


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


@pytest.fixture
def cluster() -> RedisCluster:
    return shared_cluster().fresh()


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        RedisBackend(**options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


# --- sentinels ------------------------------------------------------------------------


@pytest.fixture
def master_cache(call: Caller, sentinels: RedisSentinels) -> Iterator[CacheManager]:
    """A cache on the client that redis-py's sentinels make, of the face under test."""
    if call.runner is None:
        watchers = redis.Sentinel(sentinels.addresses, socket_timeout=10)
        with watchers.master_for(NAME) as client, CacheManager(RedisBackend(client=client)) as own:
            yield own
        for watcher in watchers.sentinels:
            watcher.close()
        return
    async_watchers = redis.asyncio.Sentinel(sentinels.addresses, socket_timeout=10)
    async_client = async_watchers.master_for(NAME)
    with CacheManager(RedisBackend(async_client=async_client)) as own:
        yield own
    for async_watcher in (*async_watchers.sentinels, async_client):
        call.runner.run(async_watcher.aclose())


def test_a_client_for_the_master_works_and_follows_it(
    call: Caller, sentinels: RedisSentinels, master_cache: CacheManager
) -> None:
    assert call(master_cache, "incr", "n") == 1
    assert call(master_cache, "set_many", {"a": 1, "b": 2}) == []
    assert call.scan(master_cache) == ["a", "b", "n"]
    sentinels.kill_master()
    sentinels.wait_for_failover()
    for _ in range(20):
        try:
            assert call(master_cache, "set", "n", "new")
            break
        except BackendUnavailableError:
            continue
    assert call(master_cache, "get", "n") == "new"


def test_a_client_for_replicas_is_refused(sentinels: RedisSentinels) -> None:
    replica = redis.Sentinel(sentinels.addresses).slave_for(NAME)
    assert "client must write to the master" in refusal(client=replica)
    async_replica = redis.asyncio.Sentinel(sentinels.addresses).slave_for(NAME)
    assert "async_client must write to the master" in refusal(async_client=async_replica)


def test_passwords_of_sentinels_and_providers_are_secrets_too() -> None:
    watchers = redis.Sentinel([(HOST, 1)], sentinel_kwargs={"password": "p1"}, password="p2")
    assert sorted(secrets_of(watchers.master_for(NAME))) == ["p1", "p2"]
    provider = redis.UsernamePasswordCredentialProvider("user", "p3")
    assert secrets_of(redis.Redis(credential_provider=provider)) == ["p3"]


# --- what is no client ----------------------------------------------------------------


def test_pipelines_and_subscriptions_are_refused() -> None:
    client, async_client = redis.Redis(), redis.asyncio.Redis()
    for part in (client.pipeline(), client.pubsub()):
        assert f"got a {type(part).__name__} of one; pass the client itself" in refusal(client=part)
    for part in (async_client.pipeline(), async_client.pubsub()):
        assert "pass the client itself" in refusal(async_client=part)


# --- clusters -------------------------------------------------------------------------


def async_cluster(cluster: RedisCluster, **options: Any) -> redis.asyncio.RedisCluster:
    """Return a client that has connected to nothing yet, so that nobody needs to close it."""
    nodes = [AsyncClusterNode(*address) for address in cluster.addresses]
    return redis.asyncio.RedisCluster(startup_nodes=nodes, **options)


def blocking_cluster(cluster: RedisCluster, **options: Any) -> redis.RedisCluster:
    nodes = [ClusterNode(*address) for address in cluster.addresses]
    return redis.RedisCluster(startup_nodes=nodes, **options)


def test_a_cluster_client_that_would_change_what_is_read_is_refused(cluster: RedisCluster) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"decode_responses": True}, "must return bytes"),
        ({"load_balancing_strategy": LoadBalancingStrategy.ROUND_ROBIN}, "read from primaries"),
        ({"load_balancing_strategy": LoadBalancingStrategy.RANDOM_REPLICA}, "read from primaries"),
        ({"address_remap": lambda address: address}, "address_remap"),
    ]
    for options, says in wrong:
        with blocking_cluster(cluster, **options) as client:
            assert says in refusal(client=client)
        assert says in refusal(async_client=async_cluster(cluster, **options))
    with blocking_cluster(cluster, redis_connect_func=lambda _: None) as client:
        assert "redis_connect_func" in refusal(client=client)


def test_a_cluster_client_of_the_other_face_and_a_pipeline_are_refused(
    cluster: RedisCluster,
) -> None:
    other = async_cluster(cluster)
    assert "client must be a redis.RedisCluster" in refusal(client=other)
    assert "pass the client itself" in refusal(async_client=other.pipeline())
    with blocking_cluster(cluster) as client:
        assert "async_client must be a redis.asyncio.RedisCluster" in refusal(async_client=client)
        assert "pass the client itself" in refusal(client=client.pipeline())


def test_connections_of_ours_reach_the_cluster_of_a_client(
    call: Caller, cluster: RedisCluster
) -> None:
    given: dict[str, Any] = {"socket_timeout": 7.0, "client_name": "theirs"}
    if call.runner is None:
        with blocking_cluster(cluster, **given) as client:
            settings = cluster_settings(client)
    else:
        settings = cluster_settings(async_cluster(cluster, **given))
    assert set(settings.addresses) == set(cluster.addresses)
    assert settings.options.items() >= given.items()
    options = ClientOptions.of_cluster(settings)
    assert options.topology is not None
    assert set(options.topology.hosts) == set(cluster.addresses)
    address = cluster.primaries[0].address
    circuit = NodeBreaker(CircuitBreaker(), "")
    name = "CLIENT", "GETNAME"
    if call.runner is None:
        pool = options.thread_pool(circuit, address)
        connection = pool.get_connection()
        connection.send_command(*name)
        assert connection.read_response() == b"theirs"
        assert (connection.socket_timeout, connection.port) == (7.0, address[1])
        pool.release(connection)
        pool.close()
        return

    async def on_a_loop() -> None:
        pool = options.loop_pool(circuit, address)
        connection = await pool.lend()
        await connection.send_command(*name)
        assert await connection.read_response() == b"theirs"
        assert (connection.socket_timeout, connection.port) == (7.0, address[1])
        await pool.take_back(connection)
        await pool.aclose()

    call.runner.run(on_a_loop())


def test_tls_and_credentials_of_a_cluster_client_are_taken_over() -> None:
    given: dict[str, Any] = {
        "ssl": True,
        "ssl_ca_certs": "/ca.pem",
        "ssl_check_hostname": False,
        "username": "u",
        "password": SECRET,
    }
    client = redis.asyncio.RedisCluster(host="h", port=7000, **given)
    settings = cluster_settings(client)
    assert settings.addresses == [("h", 7000)]
    assert settings.options.items() >= given.items()
    options = ClientOptions.of_cluster(settings)
    assert options.secrets == [SECRET]
    assert options.topology is not None
    assert options.topology.tls
    asyncio.run(client.aclose())


@pytest.fixture
def cluster_cache(call: Caller, cluster: RedisCluster) -> Iterator[CacheManager]:
    """A cache on redis-py's client of a cluster, of the face under test."""
    if call.runner is None:
        with blocking_cluster(cluster) as client, CacheManager(RedisBackend(client=client)) as own:
            yield own
            assert client.ping(target_nodes="primaries")  # it is the program's, and stays open
        return
    with CacheManager(RedisBackend(async_client=async_cluster(cluster))) as own:
        yield own


def test_a_cache_works_on_the_cluster_of_a_client(
    call: Caller, cluster_cache: CacheManager
) -> None:
    values = {f"k{number}": number for number in range(300)}
    assert call(cluster_cache, "set_many", values) == []
    assert call(cluster_cache, "get_many", values) == values
    assert call(cluster_cache, "incr", "k1", 5) == 6
    assert call.scan(cluster_cache) == sorted(values)
    assert call(cluster_cache, "clear") == 300


def test_one_client_of_a_cluster_serves_one_face(call: Caller, cluster_cache: CacheManager) -> None:
    call(cluster_cache, "set", "k", 1)
    if call.runner is None:
        with asyncio.Runner() as runner:
            other = Caller(runner)
            with pytest.raises(ConfigurationError, match="only the other face's was given"):
                other(cluster_cache, "get", "k")
        return
    with pytest.raises(ConfigurationError, match="only the other face's was given"):
        cluster_cache.get("k")


def test_clients_of_both_faces_serve_both(cluster: RedisCluster) -> None:
    with blocking_cluster(cluster) as client:
        backend = RedisBackend(client=client, async_client=async_cluster(cluster))
        with CacheManager(backend) as cache:
            assert cache.set("k", 1)
            assert asyncio.run(cache.aget("k")) == 1


def test_clients_of_a_cluster_and_of_a_server_do_not_mix(cluster: RedisCluster) -> None:
    single = redis.Redis(host=HOST)
    assert "must lead to the same servers" in refusal(
        client=single, async_client=async_cluster(cluster)
    )
    single.close()
