"""How threads talk with a Redis server: what is read is theirs, and connections are told apart."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

from processes import in_child
from redis_servers import HOST, RedisServer, running_server, shared_server, until
from scripted_redis import GREETINGS, HELLO, ScriptedRedis, scripted_redis
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache._redis_breaker import NodeBreaker
from symphra_cache._redis_options import ClientOptions
from symphra_cache.backends import CircuitBreaker, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphra_cache._redis_pools import ThreadPool

SEVEN = b"$1\r\n7\r\n"
PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
COMMANDS = [
    (b"SET", b"k", b"v", "PX", b"300000"),
    (b"SET", b"k", b"v"),
    ("SET", b"k", b"v", "PX", b"300000"),
    ("SET", b"k", b"v"),
    ("EVALSHA", "digest", 1, b"k", 2**63),
    ("ASKING",),
]


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@contextmanager
def pool_of(url: str, **options: Any) -> Iterator[ThreadPool]:
    pool = ClientOptions(url, options).thread_pool(NodeBreaker(CircuitBreaker(), ""))
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def scripted() -> Iterator[ScriptedRedis]:
    with scripted_redis() as server:
        yield server


def test_what_a_server_pushes_is_no_reply(scripted: ScriptedRedis) -> None:
    scripted.misbehave(PUSH + PUSH + SEVEN)
    with CacheManager(RedisBackend(scripted.url)) as cache:
        assert [cache.get("k") for _ in range(3)] == [7, 7, 7]
        assert cache.set_many({"a": 1, "b": 2}, ttl=9) == []
        assert cache.get("k") == 7
    assert len(scripted._clients) == 1


def test_what_comes_after_a_reply_is_given_to_nobody(scripted: ScriptedRedis) -> None:
    scripted.misbehave(SEVEN + b"$1\r\n8\r\n")
    with CacheManager(RedisBackend(scripted.url)) as cache:
        assert [cache.get("k") for _ in range(3)] == [7, 7, 7]
    assert len(scripted._clients) == 3


@pytest.mark.parametrize(
    "reply", [b"?what\r\n", b":x\r\n", b"$x\r\n", b"*-7\r\n", b"HTTP/1.1 400\r\n"]
)
def test_what_is_no_reply_is_an_outage(scripted: ScriptedRedis, reply: bytes) -> None:
    scripted.misbehave(reply)
    with CacheManager(RedisBackend(scripted.url, socket_timeout=0.2)) as cache:
        for _ in range(2):
            with pytest.raises(BackendUnavailableError):
                cache.get("k")
        with pytest.raises(BackendUnavailableError) as caught:
            cache.set_many({"a": 1, "b": 2})
        assert caught.value.failed == ["a", "b"]
    assert len(scripted._clients) == 3


@pytest.mark.parametrize(
    ("reply", "is_kept"),
    [(b"-OOM no\r\n", True), (b"-NOPERM no\r\n", True), (b"-LOADING wait\r\n", False)],
)
def test_an_error_is_an_answer_unless_it_refuses_the_connection(
    scripted: ScriptedRedis, reply: bytes, is_kept: bool
) -> None:
    scripted.misbehave(reply)
    with CacheManager(RedisBackend(scripted.url)) as cache:
        for name, *arguments in (("get", "k"), ("set_many", {"a": 1, "b": 2}, 9)) * 2:
            with pytest.raises(BackendUnavailableError):
                getattr(cache, name)(*arguments)
        assert (cache.stats().sets, cache.stats().errors) == (0, 4)
    assert len(scripted._clients) == (1 if is_kept else 4)


@pytest.mark.parametrize("reply", [b"", b"$", b"$5\r\nab", SEVEN[:-1]])
def test_the_end_of_a_connection_is_an_outage(scripted: ScriptedRedis, reply: bytes) -> None:
    scripted.misbehave(reply, ends=True)
    with CacheManager(RedisBackend(scripted.url)) as cache:
        with pytest.raises(BackendUnavailableError, match="closed"):
            cache.get("k")
        with pytest.raises(BackendUnavailableError) as caught:
            cache.set_many({"a": 1, "b": 2})
        assert caught.value.failed == ["a", "b"]
    assert scripted.commands.count("GET") == 1


def test_who_sends_a_bit_in_time_is_not_late() -> None:
    seconds = 0.4
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                while words := client.recv(4_096):
                    greetings = [word for word in GREETINGS if word.encode() in words]
                    if greetings:
                        client.sendall(
                            HELLO
                            if "HELLO" in greetings
                            else b"+OK\r\n" * len(words.split(b"*")[1:])
                        )
                        continue
                    for byte in SEVEN:
                        time.sleep(seconds / 4)
                        client.sendall(bytes((byte,)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"redis://{HOST}:{listener.getsockname()[1]}"
        with CacheManager(RedisBackend(url, socket_timeout=seconds)) as cache:
            begun = time.monotonic()
            assert cache.get("k") == 7
            assert time.monotonic() - begun > 1.5 * seconds
        thread.join(10)


@pytest.mark.parametrize("by", ["url", "unix_url", "tls_url"])
def test_a_connection_that_was_closed_meanwhile_is_not_used(by: str) -> None:
    with running_server() as server:
        options = {"ssl_ca_certs": server.ca} if by == "tls_url" else {}
        with CacheManager(RedisBackend(getattr(server, by), **options)) as cache:
            for turn in range(3):
                cache.set("k", turn)
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                assert cache.get("k") == turn
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                assert cache.set_many({"k": turn, "l": turn}) == []
            assert cache.stats().errors == 0


def test_large_values_by_tls() -> None:
    with running_server() as server:
        backend = RedisBackend(server.tls_url, ssl_ca_certs=server.ca)
        entries = {f"k{size}": "x" * size for size in (0, 1, 16_000, 16_400, 65_536, 300_000)}
        with CacheManager(backend) as cache:
            assert cache.set_many(entries, ttl=300) == []
            assert cache.get_many(entries) == entries
            assert {key: cache.get(key) for key in entries} == entries


def test_commands_are_packed_as_redis_py_packs_them(server: RedisServer) -> None:
    with pool_of(server.url) as pool:
        connection = pool.get_connection()
        packed = b"".join(connection.pack_commands(COMMANDS))
        theirs = redis.Connection(host=HOST).pack_commands(COMMANDS)
        assert packed == b"".join(theirs)
        pool.release(connection)


def test_who_comes_next_is_lent_what_was_given_back_last(server: RedisServer) -> None:
    with pool_of(server.url) as pool:
        lent = [pool.get_connection() for _ in range(3)]
        assert pool.is_lending
        for connection in lent:
            pool.release(connection)
        assert not pool.is_lending
        for _ in range(5):
            connection = pool.get_connection()
            assert connection is lent[-1]
            pool.release(connection)


def test_what_is_lent_stays_open_when_the_pool_is_tidied_and_closes_with_it(
    server: RedisServer,
) -> None:
    with pool_of(server.url) as pool:
        before = server.connections()
        lent, idle = pool.get_connection(), pool.get_connection()
        pool.release(idle)
        assert server.connections() == before + 2
        pool.disconnect_idle()
        assert lent.is_ready
        pool.close()
        assert lent.is_ready
        with pytest.raises(redis.ConnectionError):
            pool.get_connection()
        pool.release(lent)
        until(lambda: server.connections() == before, 5, lambda: "a connection is left")
        assert not pool.is_lending


def test_a_failed_connection_gives_its_turn_back(server: RedisServer) -> None:
    with running_server() as other, pool_of(other.url) as pool:
        assert pool.exchange("PING") == b"PONG"
        other.kill()
        for _ in range(200):  # more than there are turns
            with pytest.raises(redis.RedisError):
                pool.exchange("PING")
        assert not pool.is_lending


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_pool_begins_anew_in_a_child(server: RedisServer) -> None:
    with pool_of(server.url) as pool:
        lent = pool.get_connection()
        mine = pool.exchange("CLIENT", "ID")

        def child() -> None:
            assert pool.exchange("CLIENT", "ID") > mine
            assert not pool.is_lending
            pool.close()

        in_child(child)
        assert pool.exchange("CLIENT", "ID") == mine
        assert lent.is_ready
        pool.release(lent)
