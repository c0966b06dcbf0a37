"""Every way to a Redis server, in both faces, and what must not be let in."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from redis_servers import RedisServer, shared_server
from symphra_cache import (
    BackendUnavailableError,
    CacheClosedError,
    CacheManager,
    ConfigurationError,
)
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "cache-user", "p@ss:w/rd%"


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def user(server: RedisServer) -> Iterator[tuple[str, str]]:
    server.command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~symphra*", "+@all")
    yield USER, PASSWORD
    server.command("ACL", "DELUSER", USER)


def use_both_faces(backend: RedisBackend) -> None:
    async def on_a_loop() -> None:
        assert await cache.aget("blocking") == {"who": "张三"}
        assert await cache.aset("loop", [1])
        assert await cache.aincr("n") == 2

    with CacheManager(backend) as cache:
        cache.set("blocking", {"who": "张三"})
        assert cache.incr("n") == 1
        asyncio.run(on_a_loop())
        assert cache.get("loop") == [1]
        assert cache.ping()
        assert cache.clear() == 3


def refused(backend: RedisBackend) -> str:
    """Return why, having seen that either face refuses."""
    with CacheManager(backend) as cache:
        with pytest.raises(BackendUnavailableError) as blocking:
            cache.get("k")
        with pytest.raises(BackendUnavailableError) as on_a_loop:
            asyncio.run(cache.aget("k"))
        assert blocking.value.__cause__ is not None
        assert on_a_loop.value.__cause__ is not None
        assert cache.stats().errors == 2
        return f"{blocking.value} {on_a_loop.value} {cache.ping()}"


def test_by_url(server: RedisServer) -> None:
    use_both_faces(RedisBackend(server.url))


def test_by_arguments(server: RedisServer) -> None:
    use_both_faces(RedisBackend(host="127.0.0.1", port=server.port, db=3))
    assert server.command("DBSIZE") == 0


def test_by_unix_socket(server: RedisServer) -> None:
    use_both_faces(RedisBackend(server.unix_url))
    use_both_faces(RedisBackend(unix_socket_path=str(server.socket), db=1))


def test_by_tls_with_a_certificate_that_can_be_verified(server: RedisServer) -> None:
    use_both_faces(RedisBackend(server.tls_url, ssl_ca_certs=server.ca))
    use_both_faces(
        RedisBackend(host="localhost", port=server.tls_port, ssl=True, ssl_ca_certs=server.ca)
    )


def test_tls_refuses_a_certificate_that_nobody_vouches_for(server: RedisServer) -> None:
    refused(RedisBackend(server.tls_url))
    refused(RedisBackend(server.tls_url, ssl_ca_certs=server.other_ca))


def test_tls_refuses_the_certificate_of_another_host(server: RedisServer) -> None:
    elsewhere = {"host": "127.0.0.1", "port": server.tls_port, "ssl": True}
    refused(RedisBackend(**elsewhere, ssl_ca_certs=server.ca))  # type: ignore[arg-type]


def test_by_user_and_password(server: RedisServer, user: tuple[str, str]) -> None:
    name, password = user
    use_both_faces(RedisBackend(server.url, username=name, password=password))
    quoted = "p%40ss%3Aw%2Frd%25"
    use_both_faces(RedisBackend(f"redis://{name}:{quoted}@127.0.0.1:{server.port}"))


def test_a_wrong_password_is_an_outage_and_is_shown_nowhere(
    server: RedisServer, user: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    backend = RedisBackend(server.url, username=user[0], password="s3cret-and-wrong")
    assert "s3cret" not in repr(backend)
    assert "s3cret" not in refused(backend)
    assert "s3cret" not in caplog.text


def test_a_user_without_the_right_to_a_key_meets_an_outage(
    server: RedisServer, user: tuple[str, str]
) -> None:
    backend = RedisBackend(server.url, username=user[0], password=user[1])
    with CacheManager(backend, namespace="forbidden") as cache:
        with pytest.raises(BackendUnavailableError):
            cache.get("k")
        with pytest.raises(BackendUnavailableError):
            asyncio.run(cache.aset("k", 1))


def test_nothing_is_connected_before_the_first_use(server: RedisServer) -> None:
    before = server.connections()
    with CacheManager(RedisBackend(server.url)) as cache:
        assert server.connections() == before
        cache.set("k", 1)
        assert server.connections() == before + 1


def test_injected_clients_are_used_and_left_open(server: RedisServer) -> None:
    async def main() -> None:
        client = redis.Redis(port=server.port)
        async_client = redis.asyncio.Redis(port=server.port)
        cache = CacheManager(RedisBackend(client=client, async_client=async_client))
        cache.set("k", 1)
        assert await cache.aget("k") == 1
        await cache.aclose()
        with pytest.raises(CacheClosedError):
            cache.get("k")
        assert client.get("symphra:k") == b"1"
        assert await async_client.get("symphra:k") == b"1"
        await async_client.aclose()
        client.close()

    asyncio.run(main())


def test_an_injected_client_of_one_face_has_the_other_refuse(server: RedisServer) -> None:
    client = redis.Redis(port=server.port)
    cache = CacheManager(RedisBackend(client=client))
    cache.set("k", 1)
    with pytest.raises(ConfigurationError, match="async_client"):
        asyncio.run(cache.aget("k"))
    client.close()

    async def main() -> None:
        async_client = redis.asyncio.Redis(port=server.port)
        cache = CacheManager(RedisBackend(async_client=async_client))
        assert await cache.aget("k") == 1
        with pytest.raises(ConfigurationError, match="client"):
            cache.get("k")
        await async_client.aclose()

    asyncio.run(main())


def test_threads_share_few_connections_and_none_gets_an_error(server: RedisServer) -> None:
    failures: list[BaseException] = []

    def work(who: int) -> None:
        try:
            for turn in range(20):
                cache.set(f"k{who}", [who, turn])
                assert cache.get(f"k{who}") == [who, turn]
        except BaseException as error:
            failures.append(error)

    with CacheManager(RedisBackend(server.url)) as cache:
        threads = [threading.Thread(target=work, args=(who,)) for who in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_closing_leaves_no_descriptor(server: RedisServer) -> None:
    with CacheManager(RedisBackend(server.url)) as cache:
        cache.get("k")
    before = len(os.listdir("/dev/fd"))
    for _ in range(10):
        with CacheManager(RedisBackend(server.url)) as cache:
            cache.set("k", 1)
            asyncio.run(cache.aget("k"))
    assert len(os.listdir("/dev/fd")) == before
