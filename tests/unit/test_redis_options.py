"""What `RedisBackend` may be made of, what it refuses, and that it tells nobody the password."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from typing import Any

import pytest
import redis
import redis.asyncio

from redis_servers import HOST, PASSWORD, USER, RedisServer, running_server, shared_server
from symphra_cache import (
    BackendUnavailableError,
    CacheClosedError,
    CacheManager,
    ConfigurationError,
)
from symphra_cache.backends import RedisBackend
from symphra_cache.serializers import JSONSerializer

SECRET = "hunter2"


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        RedisBackend(*arguments, **options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options", "where"),
    [
        (None, {}, "localhost:6379/0"),
        (None, {"host": "h", "port": 1, "db": 2}, "h:1/2"),
        (None, {"host": "::1"}, "[::1]:6379/0"),
        (None, {"unix_socket_path": "/run/redis.sock"}, "unix:/run/redis.sock"),
        ("redis://", {}, "localhost:6379/0"),
        ("redis://h", {}, "h:6379/0"),
        ("REDIS://h/", {}, "h:6379/0"),
        ("redis://h:7/3", {}, "h:7/3"),
        ("redis://h:7?db=3", {}, "h:7/3"),
        ("redis://[::1]:7/3", {}, "[::1]:7/3"),
        ("redis://h:7", {"db": 3}, "h:7/3"),
        ("redis://h:7/3", {"db": 3, "host": "h", "port": 7}, "h:7/3"),
        ("redis://user:hunter2@h", {}, "h:6379/0"),
        ("redis://:hunter2@h", {}, "h:6379/0"),
        ("redis://h", {"username": "user", "password": SECRET}, "h:6379/0"),
        ("redis://h?ssl=true&ssl_ca_certs=/ca.pem", {}, "h:6379/0"),
        ("rediss://h", {"ssl": True, "ssl_check_hostname": False}, "h:6379/0"),
        ("unix:///run/redis.sock", {}, "unix:/run/redis.sock"),
        ("unix:///run/redis.sock?db=2&password=hunter2", {}, "unix:/run/redis.sock"),
        ("unix://user:hunter2@/run/with%20space", {"ssl": False}, "unix:/run/with space"),
    ],
)
def test_urls_and_arguments_say_where_the_server_is(
    url: str | None, options: dict[str, Any], where: str
) -> None:
    assert repr(RedisBackend(url, **options)) == f"RedisBackend({where!r})"


def test_making_one_connects_to_nothing_and_looks_up_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the constructor went to the network")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(socket.socket, "connect", never)
    for url in ("redis://nowhere.invalid", "rediss://nowhere.invalid", "unix:///nowhere"):
        cache = CacheManager(RedisBackend(url))
        cache.namespace("view")
        assert cache.stats().entries is None
        assert "nowhere" in repr(cache)
        cache.close()
    asyncio.run(CacheManager(RedisBackend("redis://nowhere.invalid")).aclose())


def test_options_reach_the_server(server: RedisServer) -> None:
    backend = RedisBackend(server.url, db=3, client_name="my-cache")
    with CacheManager(backend) as cache:
        cache.set("k", 1)
        asyncio.run(cache.aset("loop", 2))
        assert server.command("SELECT", 3)
        assert sorted(server.command("KEYS", "*")) == [b"symphra:k", b"symphra:loop"]
        server.command("SELECT", 0)
        assert b"name=my-cache" in server.command("CLIENT", "LIST")


def test_a_serializer_and_a_limit_are_options_too(server: RedisServer) -> None:
    backend = RedisBackend(server.url, serializer=JSONSerializer(), max_value_bytes=10)
    with CacheManager(backend) as cache:
        cache.set("k", [1])
        assert b"[1]" in server.command("GET", "symphra:k")
        with pytest.raises(ValueError, match="max_value_bytes"):
            cache.set("k", "x" * 20)


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": 1}, "host must be a str, got int"),
        ({"host": b"h"}, "host must be a str, got bytes"),
        ({"host": ""}, "host must not be empty"),
        ({"port": "6379"}, "port must be an int, got str"),
        ({"port": True}, "port must be an int, got bool"),
        ({"port": 0}, "port must be from 1 to 65535, got 0"),
        ({"port": 65_536}, "port must be from 1 to 65535, got 65536"),
        ({"db": -1}, "db must be from 0"),
        ({"db": 1.0}, "db must be an int, got float"),
        ({"username": 1}, "username must be a str, got int"),
        ({"password": SECRET.encode()}, "password must be a str, got bytes"),
        ({"password": [SECRET]}, "password must be a str, got list"),
        ({"password": SECRET + "\ud800"}, "password must be text"),
        ({"ssl": 1}, "ssl must be true or false, got int"),
        ({"ssl": "yes"}, "ssl must be true or false, got str"),
        ({"ssl": True, "ssl_check_hostname": 0}, "ssl_check_hostname must be true or false"),
        ({"ssl": True, "ssl_ca_certs": b"x"}, "ssl_ca_certs must be a str, got bytes"),
        ({"client_name": "with space"}, "client_name must be of printable ASCII"),
        ({"socket_timeout": "1"}, "socket_timeout must be a number, got str"),
        ({"socket_timeout": True}, "socket_timeout must be a number, got bool"),
        ({"socket_timeout": 0}, "socket_timeout must be seconds, more than 0"),
        ({"socket_timeout": float("nan")}, "socket_timeout must be seconds, more than 0"),
        ({"socket_connect_timeout": -1}, "socket_connect_timeout must be seconds"),
        ({"socket_connect_timeout": float("inf")}, "socket_connect_timeout must be seconds"),
        ({"max_value_bytes": 0}, "max_value_bytes must be"),
        ({"max_value_bytes": "1"}, "max_value_bytes must be"),
        ({"serializer": object()}, "serializer must be"),
    ],
)
def test_a_wrong_argument_is_named_and_never_shown_if_secret(
    options: dict[str, Any], says: str
) -> None:
    assert says in refusal(**options)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (6379, "url must begin with redis://, rediss://, unix://, redis+sentinel://, "),
        (6379, "rediss+cluster://, got int"),
        (b"redis://", "got bytes"),
        ("", "got another scheme"),
        ("localhost:6379", "got another scheme"),
        ("http://user:hunter2@h", "got another scheme"),
        ("redis:hunter2@h", "got another scheme"),
        ("redis://h:port", "url can't be read"),
        ("redis://h:65536", "port must be from 1 to 65535, got 65536"),
        ("redis://h:0", "port must be from 1 to 65535, got 0"),
        ("redis://h:hunter2", "url can't be read"),
        ("redis://h/hunter2", "url can't be read"),
        ("redis://h/-1", "url can't be read"),
        ("redis://h/1/2", "url can't be read"),
        ("redis://h/1_0", "url can't be read"),
        ("redis://:hunter2/x@h", "url can't be read"),
        ("redis://:12/34@h", "url can't be read"),
        ("redis://[::1", "url can't be read"),
        ("redis://a:1:2", "url can't be read"),
        ("redis://user:%ff@h", "url can't be read"),
        ("redis://user:hunter2#@h", "'#'"),
        ("redis://user:hunter2\n@h", "control characters"),
        ("unix://run/redis.sock", "after three slashes"),
        ("unix://", "after three slashes"),
        ("unix:///", "after three slashes"),
        ("redis://h?sockettimeout=1", "did you mean socket_timeout?"),
        ("redis://h?decode_responses=true", "'decode_responses' is unknown"),
        ("redis://h?max_connections=3", "'max_connections' is unknown"),
        ("redis://h?socket_timeout=hunter2@h", "socket_timeout must be a number, got a str of"),
        ("redis://h?password=hunter2&db=x", "db must be an int, got 'x'"),
        ("redis://h?password=a&password=b", "password stands there twice"),
        ("redis://h?ssl_check_hostname=maybe", "ssl_check_hostname must be true or false"),
        ("redis://user:a?hunter2@h", "query must be made of name=value"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: Any, says: str) -> None:
    assert says in refusal(url)


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("redis://h", {"host": "other"}, "host stands in the URL and beside it"),
        ("redis://h:1", {"port": 2}, "port stands in the URL and beside it"),
        ("redis://h/1", {"db": 2}, "db stands in the URL and beside it"),
        ("redis://h/1?db=2", {}, "db stands in the URL twice, with different values"),
        ("redis://:hunter2@h", {"password": "other"}, "password stands in the URL and beside it"),
        ("rediss://h", {"ssl": False}, "ssl stands in the URL and beside it"),
        ("redis://h", {"ssl_ca_certs": "/ca.pem"}, "ssl_ca_certs needs TLS"),
        (None, {"ssl_check_hostname": True}, "ssl_check_hostname needs TLS"),
        (None, {"ssl": False, "ssl_certfile": "/c"}, "ssl_certfile needs TLS"),
        (None, {"ssl": True, "ssl_keyfile": "/k"}, "ssl_keyfile needs ssl_certfile"),
        ("unix:///s", {"host": "h"}, "host can't stand beside a unix socket"),
        ("unix:///s", {"ssl": True}, "ssl can't stand beside a unix socket"),
        ("unix:///s?ssl_ca_certs=x", {}, "ssl_ca_certs can't stand beside a unix socket"),
        ("redis://h", {"unix_socket_path": "/s"}, "host can't stand beside a unix socket"),
        (None, {"unix_socket_path": "/s", "port": 1}, "port can't stand beside a unix socket"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    url: str | None, options: dict[str, Any], says: str
) -> None:
    assert says in refusal(url, **options)


# --- clients of the program's own -----------------------------------------------------


def test_an_injected_client_serves_its_face_and_names_what_the_other_needs(
    server: RedisServer,
) -> None:
    with (
        redis.Redis.from_url(server.url) as client,
        CacheManager(RedisBackend(client=client)) as cache,
    ):
        cache.set("k", 1)
        assert cache.get("k") == 1
        with pytest.raises(ConfigurationError, match="async_client is needed for the asyncio"):
            asyncio.run(cache.aget("k"))
        assert repr(cache.backend) == "RedisBackend('an injected client')"

    async def other_face() -> None:
        client = redis.asyncio.Redis.from_url(server.url)
        async with CacheManager(RedisBackend(async_client=client)) as cache:
            await cache.aset("k", 2)
            assert await cache.aget("k") == 2
            with pytest.raises(ConfigurationError, match=r"\bclient is needed for the blocking"):
                cache.get("k")
        await client.aclose()

    asyncio.run(other_face())


async def test_closing_closes_only_what_is_ours(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    async_client = redis.asyncio.Redis.from_url(server.url)
    cache = CacheManager(RedisBackend(client=client, async_client=async_client))
    cache.set("k", 1)
    assert await cache.aget("k") == 1
    await cache.aclose()
    for _ in range(2):
        with pytest.raises(CacheClosedError):
            cache.get("k")
        with pytest.raises(CacheClosedError):
            await cache.aget("k")
        cache.close()
    # Not only alive: these are the very connections.
    assert server.connections() == 2
    assert client.ping()
    assert await async_client.ping()
    assert server.connections() == 2
    client.close()
    await async_client.aclose()
    assert server.connections() == 0


@pytest.mark.parametrize("name", ["client", "async_client"])
def test_an_injected_client_of_the_wrong_kind_is_refused(name: str) -> None:
    right, wrong = redis.Redis, redis.asyncio.Redis
    if name == "async_client":
        right, wrong = wrong, right  # type: ignore[misc, assignment]
    assert f"{name} must be a {right.__module__.removesuffix('.client')}.Redis" in refusal(
        **{name: wrong()}
    )
    assert "decode_responses=False" in refusal(**{name: right(decode_responses=True)})
    for other in ("redis://", object(), redis.ConnectionPool(), right):
        kind = type(other).__name__
        assert f"{name} must be a redis-py client, got {kind}" in refusal(**{name: other})


@pytest.mark.parametrize(
    "beside", [{"url": "redis://h"}, {"host": "h"}, {"password": SECRET}, {"socket_timeout": 1}]
)
def test_nothing_stands_beside_an_injected_client(beside: dict[str, Any]) -> None:
    said = refusal(client=redis.Redis(), **beside)
    assert f"{next(iter(beside))} can't stand beside an injected client" in said


# --- secrets --------------------------------------------------------------------------


def test_a_password_with_every_special_character_works_and_is_never_shown(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    escaped = "p%40ss%2Fw%3Ard%251"
    for backend in (
        RedisBackend(server.url.replace("redis://", f"redis://{USER}:{escaped}@")),
        RedisBackend(server.unix_url.replace("unix://", f"unix://{USER}:{escaped}@")),
        RedisBackend(server.url, username=USER, password=PASSWORD),
    ):
        with CacheManager(backend) as cache:
            cache.set("k", 1)
            assert asyncio.run(cache.aget("k")) == 1
            shown = [repr(cache), repr(backend), repr(cache.ping()), repr(cache.stats())]
            shown += [caplog.text]
            assert not any(PASSWORD in text or escaped in text for text in shown)


def everything_said(error: BaseException) -> str:
    """Return all that a traceback, a log or a debugger would show of an error's chain."""
    texts = traceback.format_exception(error)
    one: BaseException | None = error
    while one is not None:
        texts += [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", ""))]
        one = one.__cause__ or one.__context__
    return "".join(texts)


@pytest.mark.parametrize("user", [USER, "nobody", None])
def test_a_refused_password_is_not_in_the_error(
    server: RedisServer, user: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server(requirepass="another") as strict:
        backend = RedisBackend(strict.url, username=user, password=SECRET)
        with CacheManager(backend) as cache:
            for call in (lambda: cache.get("k"), lambda: asyncio.run(cache.aget("k"))):
                with pytest.raises(BackendUnavailableError) as caught:
                    call()
                assert isinstance(caught.value.__cause__, redis.AuthenticationError)
                assert SECRET not in everything_said(caught.value)
            assert not cache.ping()
            assert SECRET not in repr(cache.ping()) + caplog.text


def test_a_server_that_quotes_the_command_with_the_password_is_not_quoted() -> None:
    # As one does that is older than HELLO, or a proxy that does not know it.
    with running_server(rename_command="HELLO GREETINGS") as old:
        with CacheManager(RedisBackend(old.url, password=SECRET)) as cache:
            for call in (lambda: cache.get("k"), lambda: asyncio.run(cache.aget("k"))):
                with pytest.raises(BackendUnavailableError, match="HELLO") as caught:
                    call()
                assert SECRET not in everything_said(caught.value)
            assert SECRET not in repr(cache.ping())
        with (
            redis.Redis(HOST, old.port, password=SECRET) as client,
            CacheManager(RedisBackend(client=client)) as cache,
            pytest.raises(BackendUnavailableError) as caught,
        ):
            cache.get("k")
        assert SECRET not in everything_said(caught.value)
