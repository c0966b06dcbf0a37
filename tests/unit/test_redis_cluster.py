"""RedisBackend on a cluster: what fails when nodes do, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redis_servers import HOST, free_ports, shared_server
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from faces import Caller

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
