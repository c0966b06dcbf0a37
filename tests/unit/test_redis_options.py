"""Arguments and URLs of `RedisBackend`; nothing here connects."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache.backends import RedisBackend


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://example.org", "example.org:6379/0"),
        ("redis://example.org:7000/5", "example.org:7000/5"),
        ("redis://user:secret@example.org", "example.org:6379/0"),
        ("rediss://:secret@example.org:1/2", "example.org:1/2"),
        ("unix:///run/redis.sock", "unix:/run/redis.sock"),
        ("unix:///run/redis.sock?db=2", "unix:/run/redis.sock"),
    ],
)
def test_a_url_names_the_server_and_repr_shows_no_secret(url: str, where: str) -> None:
    for made in (RedisBackend(url), CacheManager.from_url(url)):
        assert where in repr(made)
        assert "secret" not in repr(made)
        assert "user" not in repr(made)


def test_a_configuration_names_the_options() -> None:
    options = {"host": "example.org", "port": 7000, "db": 1, "password": "0123"}
    cache = CacheManager.from_config({"backend": "redis", "options": options})
    assert "example.org:7000/1" in repr(cache)


def test_the_environment_is_converted_by_the_types_of_the_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_BACKEND", "redis")
    monkeypatch.setenv("APP_OPTIONS__HOST", "example.org")
    monkeypatch.setenv("APP_OPTIONS__DB", "0")
    monkeypatch.setenv("APP_OPTIONS__PASSWORD", "0123")
    monkeypatch.setenv("APP_OPTIONS__SOCKET_TIMEOUT", "0.5")
    cache = CacheManager.from_env("APP_")
    assert "example.org:6379/0" in repr(cache)
    assert "0123" not in repr(cache)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "http://example.org"}, "url must begin with redis://"),
        ({"url": 5}, "url must begin with .* got int"),
        ({"url": "redis://example.org:port"}, "url can't be read"),
        ({"url": "redis://example.org:99999"}, "port must be from 1 to 65535"),
        ({"url": "redis://example.org/x"}, "url can't be read"),
        ({"port": "6379"}, "port must be .* got str"),
        ({"port": True}, "port must be .* got bool"),
        ({"port": 0}, "port"),
        ({"db": -1}, "db"),
        ({"db": 1.5}, "db must be .* got float"),
        ({"host": 5}, "host must be .* got int"),
        ({"password": b"secret"}, "password must be .* got bytes"),
        ({"ssl": "yes"}, "ssl must be .* got str"),
        ({"socket_timeout": 0}, "socket_timeout must be seconds"),
        ({"socket_timeout": "1"}, "socket_timeout must be .* got str"),
        ({"socket_connect_timeout": -1}, "socket_connect_timeout must be seconds"),
        ({"url": "redis://example.org/1", "db": 2}, "db stands in the URL and beside it"),
        ({"client": object()}, "client must be a redis-py client, got object"),
        ({"max_value_bytes": 0}, "max_value_bytes"),
        ({"serializer": "json"}, "serializer"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedisBackend(**arguments)
    assert "secret" not in str(caught.value)


def test_no_password_stands_in_an_error() -> None:
    for url in ("redis://u:s3cret@example.org:port", "redis://u:s3cret@example.org/x"):
        with pytest.raises(ConfigurationError) as caught:
            RedisBackend(url)
        assert "s3cret" not in str(caught.value)


def test_injected_clients_have_to_be_of_their_face_and_return_bytes() -> None:
    blocking, on_loops = redis.Redis(), redis.asyncio.Redis()
    with pytest.raises(ConfigurationError, match=r"client must be a redis\.Redis"):
        RedisBackend(client=on_loops)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"async_client must be a redis\.asyncio\.Redis"):
        RedisBackend(async_client=blocking)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="decode_responses=False"):
        RedisBackend(client=redis.Redis(decode_responses=True))
    with pytest.raises(ConfigurationError, match="host can't stand beside an injected client"):
        RedisBackend(client=blocking, host="example.org")
