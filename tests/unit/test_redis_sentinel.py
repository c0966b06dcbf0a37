"""Redis Sentinel: the master is found, followed when it changes, and nobody else is written to."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redis_sentinel import NAME, RedisSentinels, SentinelServer, shared_sentinels
from redis_servers import HOST, QUICK_REPLICATION, RedisServer, free_ports, running_server, until
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache._redis_breaker import NodeBreaker
from symphra_cache._redis_line_pool import LARGE
from symphra_cache._redis_options import ClientOptions
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

    Address = tuple[str, int]

SECONDS = 0.5
PATIENCE = 10 * SECONDS  # for a machine that is busy
SECRET = "s3cret-0f-sentinels"


def url_of(addresses: list[Address], **query: object) -> str:
    hosts = ",".join(f"{host}:{port}" for host, port in addresses)
    options = "&".join(f"{name}={value}" for name, value in query.items())
    return f"redis+sentinel://{hosts}/{NAME}?{options}"


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


@contextmanager
def watching(*masters: int, **config: object) -> Iterator[list[SentinelServer]]:
    """Run sentinels that don't know each other, so that none ever decides anything."""
    with ExitStack() as stack:
        servers = [SentinelServer(master, **config) for master in masters]
        for server in servers:
            stack.callback(server.close)
        yield servers


def point_at(sentinel: SentinelServer, server: RedisServer) -> None:
    """Have a sentinel name another master."""
    sentinel.ask("REMOVE")
    sentinel.command("SENTINEL", "MONITOR", NAME, HOST, server.port, 2)


def demote(server: RedisServer, master: RedisServer) -> None:
    """Make a replica of a server, whose clients stay connected."""
    server.command("REPLICAOF", HOST, master.port)
    until(lambda: server.command("ROLE")[3] == b"connected", 20, server.log)


@contextmanager
def silent_address() -> Iterator[Address]:
    """Hold an address where somebody listens who never says anything."""
    with socket.create_server((HOST, 0)) as listening:
        yield listening.getsockname()


def outage(call: Caller, cache: CacheManager, *arguments: Any) -> BackendUnavailableError:
    with pytest.raises(BackendUnavailableError) as caught:
        call(cache, *(arguments or ("get", "k")))
    assert isinstance(caught.value.__cause__, redis.RedisError)
    return caught.value


# --- what works -----------------------------------------------------------------------


def test_by_url_and_by_arguments(call: Caller, sentinels: RedisSentinels) -> None:
    arguments: dict[str, Any] = {"sentinels": sentinels.addresses, "service_name": NAME}
    for number, backend in enumerate(
        [
            RedisBackend(url_of(sentinels.addresses, db=3)),
            RedisBackend(**arguments, db=3, client_name="ours"),
            RedisBackend(url_of(sentinels.addresses[:1]), db=3),
        ],
        1,
    ):
        with CacheManager(backend) as cache:
            assert call(cache, "incr", "n") == number
            assert call(cache, "set_many", {"a": [1], "b": None}) == []
            assert call(cache, "get_many", ["a", "b"]) == {"a": [1], "b": None}
            assert call.scan(cache) == ["a", "b", "n"]
            assert call(cache, "ping").ok
    assert sentinels.master_server.command("SELECT", 3)
    assert sentinels.master_server.command("GET", "symphra:n") == b"3"
    sentinels.master_server.command("SELECT", 0)


def test_a_dead_sentinel_costs_nothing_but_its_turn(
    call: Caller, sentinels: RedisSentinels
) -> None:
    dead = (HOST, free_ports(1)[0])
    with CacheManager(RedisBackend(url_of([dead, *sentinels.addresses]))) as cache:
        assert call(cache, "incr", "n") == 1


def test_a_sentinel_that_hangs_takes_its_share_once(
    call: Caller, sentinels: RedisSentinels
) -> None:
    with silent_address() as silent:
        backend = RedisBackend(url_of([silent, sentinels.addresses[0]]), socket_connect_timeout=3)
        with CacheManager(backend) as cache:
            begun = time.monotonic()
            call(cache, "incr", "n")
            assert 0.9 < time.monotonic() - begun < 3
            sentinels.master_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            call.wait()
            begun = time.monotonic()
            assert call(cache, "incr", "n") == 2
            assert time.monotonic() - begun < 0.9


def test_sentinels_are_asked_once_for_a_connection_and_left_alone(
    call: Caller, sentinels: RedisSentinels
) -> None:
    asked = sentinels.sentinels[0]
    with CacheManager(RedisBackend(url_of([asked.address]))) as cache:
        call(cache, "set", "k", 1)
        before = asked.connections(), asked.calls("sentinel|get-master-addr-by-name")
        for _ in range(20):
            assert call(cache, "get", "k") == 1
        assert asked.calls("sentinel|get-master-addr-by-name") == before[1]
    # Those that are there are the sentinels' own.
    names = asked.command("CLIENT", "LIST").decode()
    assert names.count("cmd=sentinel|get-master-addr-by-name") == 0


def test_by_tls(call: Caller) -> None:
    with running_server() as master, watching(master.tls_port) as (sentinel,):
        backend = RedisBackend(
            f"rediss+sentinel://localhost:{sentinel.tls_port}/{NAME}",
            ssl_ca_certs=master.ca,
            ssl_check_hostname=False,  # the sentinel names an address
        )
        with CacheManager(backend) as cache:
            assert call(cache, "incr", "n") == 1
        # Neither is trusted without its certificate.
        url = f"rediss+sentinel://localhost:{sentinel.tls_port}/{NAME}"
        for strict in (
            RedisBackend(url, ssl_ca_certs=master.other_ca, ssl_check_hostname=False),
            RedisBackend(url, ssl_ca_certs=master.ca),
        ):
            with CacheManager(strict) as cache:
                assert "CERTIFICATE_VERIFY_FAILED" in str(outage(call, cache))


# --- credentials ----------------------------------------------------------------------


def test_sentinels_have_their_own_password_and_are_sent_no_other(
    call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server() as master, watching(master.port) as (sentinel,):
        master.command("CONFIG", "SET", "requirepass", "of-the-data")
        url = url_of([sentinel.address])
        with CacheManager(RedisBackend(url, password="of-the-data")) as cache:
            assert call(cache, "incr", "n") == 1
        assert sentinel.calls("auth") == sentinel.calls("hello") == 0
        sentinel.command("ACL", "SETUSER", "watcher", "on", f">{SECRET}", "+@all")
        sentinel.command("ACL", "SETUSER", "default", "resetpass", f">{SECRET}2")
        for options in (
            {"sentinel_password": f"{SECRET}2"},
            {"sentinel_username": "watcher", "sentinel_password": SECRET},
        ):
            with CacheManager(RedisBackend(url, password="of-the-data", **options)) as cache:
                assert call(cache, "get", "n") == 1
                assert SECRET not in repr(cache) + repr(cache.ping())
        for options in ({}, {"sentinel_password": f"{SECRET}3"}):
            with CacheManager(RedisBackend(url, password="of-the-data", **options)) as cache:
                error = outage(call, cache)
                assert "no sentinel" in str(error)
                assert SECRET not in f"{error}{error.__cause__}{cache.ping()}{caplog.text}"


# --- outages --------------------------------------------------------------------------


def test_no_sentinel_in_reach_is_an_outage_that_takes_one_time_out(call: Caller) -> None:
    with silent_address() as one, silent_address() as two, silent_address() as three:
        backend = RedisBackend(
            url_of([one, two, three]), socket_timeout=30, socket_connect_timeout=SECONDS
        )
        with CacheManager(backend) as cache:
            begun = time.monotonic()
            error = outage(call, cache, "get_many", ["a", "b"])
            assert time.monotonic() - begun < PATIENCE
            assert f"/{NAME} can't be used: no sentinel names '{NAME}'" in str(error)
            assert error.failed == ["a", "b"]
            assert not call(cache, "ping").ok


def test_a_service_that_nobody_knows_is_named(call: Caller, sentinels: RedisSentinels) -> None:
    with watching(sentinels.master[1]) as (asked,):
        backend = RedisBackend(sentinels=[asked.address], service_name="nobody")
        with CacheManager(backend) as cache:
            error = outage(call, cache)
            call.wait()
            assert asked.connections() == 0  # even while the error, and all it holds, lives
            assert "no sentinel knows 'nobody'" in str(error)


def test_a_server_that_is_no_sentinel_is_an_outage(call: Caller) -> None:
    with (
        running_server() as server,
        CacheManager(RedisBackend(url_of([server.address]))) as cache,
    ):
        assert "unknown command" in str(outage(call, cache))


@contextmanager
def two_servers() -> Iterator[tuple[RedisServer, RedisServer, SentinelServer]]:
    """Run two servers and a sentinel that names the first one."""
    with (
        running_server(**QUICK_REPLICATION) as one,
        running_server(**QUICK_REPLICATION) as two,
        watching(one.port) as (sentinel,),
    ):
        yield one, two, sentinel


def test_a_replica_that_is_named_gets_no_write(call: Caller) -> None:
    with two_servers() as (named, master, sentinel):
        demote(named, master)
        named.command("CONFIG", "SET", "replica-read-only", "no")
        with CacheManager(RedisBackend(url_of([sentinel.address]))) as cache:
            for name, *arguments in (("set", "k", 1), ("get", "k"), ("incr", "n")):
                assert "replica" in str(outage(call, cache, name, *arguments))
            assert named.command("DBSIZE") == 0
            named.command("REPLICAOF", "NO", "ONE")
            assert call(cache, "incr", "n") == 1


def test_a_sentinel_that_names_a_dead_server_is_asked_last(call: Caller) -> None:
    dead = free_ports(1)[0]
    with (
        running_server() as master,
        watching(dead, master.port) as asked,
        CacheManager(RedisBackend(url_of([one.address for one in asked]))) as cache,
    ):
        outage(call, cache)
        assert call(cache, "incr", "n") == 1


def test_a_master_that_was_demoted_is_left_after_one_refused_write(call: Caller) -> None:
    with (
        two_servers() as (old, new, sentinel),
        CacheManager(RedisBackend(url_of([sentinel.address]))) as cache,
    ):
        assert call(cache, "incr", "n") == 1
        demote(old, new)
        point_at(sentinel, new)
        assert "read only" in str(outage(call, cache, "incr", "n"))
        assert call(cache, "incr", "n") == 1
        assert new.command("GET", "symphra:n") == b"1"


def test_a_master_that_lacks_its_replicas_is_looked_up_anew(call: Caller) -> None:
    with (
        two_servers() as (old, new, sentinel),
        CacheManager(RedisBackend(url_of([sentinel.address]))) as cache,
    ):
        assert call(cache, "set", "k", 1)
        old.command("CONFIG", "SET", "min-replicas-to-write", 1)
        point_at(sentinel, new)
        assert "NOREPLICAS" in str(outage(call, cache, "set", "k", 2))
        assert call(cache, "set", "k", 2)
        assert new.command("GET", "symphra:k") == b"2"


@pytest.mark.parametrize(
    ("said", "is_doubt"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("ERR Error running script: @user_script: 1: -READONLY You can't write", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("OOM command not allowed", False),
        ("WRONGTYPE", False),
    ],
)
def test_answers_of_replicas_raise_doubts(call: Caller, said: str, is_doubt: bool) -> None:
    # Other versions' answers, from the mouth of this one.
    command = "EVAL", f'return redis.error_reply("{said}")', 0
    with running_server() as server, watching(server.port) as (sentinel,):
        options = ClientOptions(url_of([sentinel.address]), {})
        if call.runner is None:
            pool = options.thread_pool(NodeBreaker(None, ""))
            connection = pool.get_connection()
            connection.send_command(*command)
            with pytest.raises(redis.ResponseError):
                connection.read_response()
            assert connection.is_suspect is is_doubt
            pool.release(connection)
            pool.close()
            return

        async def on_a_loop() -> None:
            pool = options.loop_pool(NodeBreaker(None, ""))
            connection = await pool.lend()
            await connection.send_command(*command)
            with pytest.raises(redis.ResponseError):
                await connection.read_response()
            assert connection.is_suspect is is_doubt
            await pool.take_back(connection)
            await pool.aclose()

        call.runner.run(on_a_loop())


AT_ONCE = 8


def hasty(sentinel: SentinelServer) -> RedisBackend:
    return RedisBackend(url_of([sentinel.address]), socket_timeout=SECONDS, client_name="ours")


def ours(server: RedisServer) -> int:
    """Return how many connections of a `hasty` backend a server has."""
    return int(server.command("CLIENT", "LIST").count(b" name=ours "))


def test_one_failure_has_all_idle_connections_look_up_the_master() -> None:
    with (
        two_servers() as (old, new, sentinel),
        CacheManager(hasty(sentinel)) as cache,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        together = threading.Barrier(AT_ONCE)

        def read(_: int) -> Any:
            together.wait(30)
            return cache.get("k", "nothing")

        # Paused for a moment, so that none is given back before all are lent.
        old.command("CLIENT", "PAUSE", 300, "ALL")
        assert list(threads.map(read, range(AT_ONCE))) == ["nothing"] * AT_ONCE
        assert ours(old) == AT_ONCE
        old.pause()
        point_at(sentinel, new)
        with pytest.raises(BackendUnavailableError):
            cache.get("k")
        new.command("CLIENT", "PAUSE", 300, "ALL")
        assert list(threads.map(read, range(AT_ONCE))) == ["nothing"] * AT_ONCE
        assert ours(new) == AT_ONCE
        old.resume()


async def test_one_failure_has_all_idle_connections_of_a_loop_look_up_the_master() -> None:
    with two_servers() as (old, new, sentinel):
        async with CacheManager(hasty(sentinel)) as cache:
            # Too large for the line, which is one more connection.
            value = b"v" * LARGE
            writes = [cache.aset(f"k{number}", value) for number in range(AT_ONCE)]
            assert await asyncio.gather(*writes) == [True] * AT_ONCE
            assert ours(old) == AT_ONCE + 1
            old.pause()
            point_at(sentinel, new)
            with pytest.raises(BackendUnavailableError):
                await cache.aget("k")
            writes = [cache.aset(f"k{number}", value) for number in range(AT_ONCE)]
            assert await asyncio.gather(*writes) == [True] * AT_ONCE
            assert ours(new) == AT_ONCE + 1
            old.resume()
