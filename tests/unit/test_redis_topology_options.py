"""What URLs for Redis Sentinel and Redis Cluster may say; that they are not served yet."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache._config_urls import read_url
from symphra_cache._redis_topology import (
    TOPOLOGY_SCHEMES,
    Topology,
    check_topology_options,
    topology_of,
)
from symphra_cache.backends import RedisBackend

SECRET = "hunter2"


def parsed(url: str) -> Topology:
    topology = topology_of(read_url("", url))
    assert topology is not None
    return topology


def refusal(url: str, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check_topology_options(parsed(url), options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "topology"),
    [
        (
            "redis+sentinel://h1,h2:1/name",
            Topology("sentinel", (("h1", 26379), ("h2", 1)), "name", tls=False),
        ),
        (
            "rediss+sentinel://user:hunter2@h1/my.master-1?db=2",
            Topology("sentinel", (("h1", 26379),), "my.master-1", tls=True),
        ),
        (
            "REDIS+SENTINEL://:hunter2,hunter2@Host.Example,[::1]:7,[::2]/a:b",
            Topology(
                "sentinel", (("host.example", 26379), ("::1", 7), ("::2", 26379)), "a:b", tls=False
            ),
        ),
        (
            "redis+cluster://h1:7000,h2",
            Topology("cluster", (("h1", 7000), ("h2", 6379)), None, tls=False),
        ),
        (
            "rediss+cluster://u:p@127.0.0.1:1,127.0.0.1:2/?socket_timeout=1",
            Topology("cluster", (("127.0.0.1", 1), ("127.0.0.1", 2)), None, tls=True),
        ),
        ("redis+cluster://h/0", Topology("cluster", (("h", 6379),), None, tls=False)),
    ],
)
def test_urls_name_servers_and_service(url: str, topology: Topology) -> None:
    assert parsed(url) == topology


@pytest.mark.parametrize("url", ["redis://h", "rediss://h", "unix:///s", "redis+other://h"])
def test_other_urls_are_for_one_server(url: str) -> None:
    assert topology_of(read_url("", url)) is None


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis+sentinel://u:hunter2@h1,[::1]/name", "sentinel h1:26379,[::1]:26379/name"),
        ("rediss+cluster://:hunter2@h1:7,h2", "cluster h1:7,h2:6379"),
    ],
)
def test_what_is_shown_holds_no_secret(url: str, where: str) -> None:
    topology = parsed(url)
    assert topology.where == where
    assert SECRET not in repr(topology)


def test_a_database_is_welcome_with_sentinels_and_0_in_a_cluster() -> None:
    check_topology_options(parsed("redis+sentinel://h/name"), {"db": 3, "ssl": False})
    check_topology_options(parsed("redis+cluster://h"), {"db": 0, "socket_timeout": 1})


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://h1,h2", "the name of the service is missing"),
        ("redis+sentinel://h1,h2/", "the name of the service is missing"),
        ("redis+sentinel://h1,h2/?db=0", "the name of the service is missing"),
        ("redis+sentinel://h/na%20me", "the name of the service can't be read"),
        ("redis+sentinel://h/name/0", "the name of the service can't be read"),
        ("redis+sentinel://h/n%C3%A4me", "the name of the service can't be read"),
        ("redis+sentinel://user:12/hunter2@h/name", "the name of the service can't be read"),
        ("redis+sentinel:///name", "host 1 is empty"),
        ("redis+sentinel://user:hunter2@/name", "host 1 is empty"),
        ("redis+sentinel://h1,,h2/name", "host 2 is empty"),
        ("redis+cluster://h1,h2,", "host 3 is empty"),
        ("redis+cluster://", "host 1 is empty"),
        ("redis+cluster://:7000", "host 1 can't be read"),
        ("redis+cluster://h1,h2:port", "host 2 can't be read"),
        ("redis+cluster://h1:hunter2,h2", "host 1 can't be read"),
        ("redis+cluster://h:", "host 1 can't be read"),
        ("redis+cluster://h:1:2", "host 1 can't be read"),
        ("redis+cluster://h:123456", "host 1 can't be read"),
        ("redis+cluster://h1, h2", "host 2 can't be read"),
        ("redis+cluster://[::1", "host 1 can't be read"),
        ("redis+cluster://::1", "host 1 can't be read"),
        ("redis+cluster://%ff", "host 1 can't be read"),
        ("redis+cluster://[::1%ff]", "host 1 can't be read"),
        ("redis+cluster://h1,h2:0", "port of host 2 must be from 1 to 65535"),
        ("redis+cluster://h:65536", "port of host 1 must be from 1 to 65535"),
        ("redis+cluster://h,g,h", "host 3 is host 1 once more"),
        ("redis+cluster://h,h:6379", "host 2 is host 1 once more"),
        ("redis+sentinel://h:26379,H/name", "host 2 is host 1 once more"),
        ("redis+cluster://h/1", "db must be 0 in a cluster"),
        ("redis+cluster://h/name", "what follows the hosts can't be read"),
        ("redis+cluster://h/hunter2@g", "what follows the hosts can't be read"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str) -> None:
    assert says in refusal(url)


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("redis+cluster://h", {"db": 1}, "db must be 0 in a cluster"),
        ("redis+cluster://h", {"host": "h"}, "host can't stand beside a cluster URL"),
        ("redis+sentinel://h/n", {"port": 1}, "port can't stand beside a sentinel URL"),
        ("redis+sentinel://h/n", {"unix_socket_path": "/s"}, "unix_socket_path can't stand"),
    ],
)
def test_options_without_a_meaning_are_refused(
    url: str, options: dict[str, Any], says: str
) -> None:
    assert says in refusal(url, **options)


@pytest.mark.parametrize("scheme", TOPOLOGY_SCHEMES)
def test_a_backend_takes_no_url_that_it_can_not_serve_yet(scheme: str) -> None:
    url = f"{scheme}user:{SECRET}@h1,h2/name"
    with pytest.raises(ConfigurationError, match="url must begin with redis://") as caught:
        RedisBackend(url)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigurationError, match="unknown"):
        CacheManager.from_url(url)
