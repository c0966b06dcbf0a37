"""What URLs and arguments for Redis Sentinel and Redis Cluster may say."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache._config_urls import read_url
from symphra_cache._redis_options import ClientOptions
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


# --- the backend ----------------------------------------------------------------------


SENTINELS = "sentinel h1:26379,h2:7/main"
CLUSTER = "cluster h1:6379,h2:7"


@pytest.mark.parametrize(
    ("url", "options", "where"),
    [
        ("redis+sentinel://h1,h2:7/main", {}, SENTINELS),
        ("REDISS+Sentinel://u:hunter2@h1,h2:7/main?db=3", {"socket_timeout": 1}, SENTINELS),
        ("redis+sentinel://h1,h2:7/main", {"db": 3, "ssl": True, "ssl_ca_certs": "/c"}, SENTINELS),
        (
            "redis+sentinel://h1,h2:7/main?sentinel_username=u",
            {"sentinel_password": SECRET},
            SENTINELS,
        ),
        (None, {"sentinels": ["h1", "h2:7"], "service_name": "main"}, SENTINELS),
        (None, {"sentinels": (("H1", 26379), ["h2", 7]), "service_name": "main"}, SENTINELS),
        (None, {"sentinels": [("::1", 7), "[::2]"], "service_name": "a:b"}, "sentinel [::1]:7,"),
        ("redis+cluster://h1,h2:7", {}, CLUSTER),
        ("rediss+cluster://:hunter2@h1,h2:7/0", {"username": "u", "db": 0}, CLUSTER),
        (None, {"startup_nodes": ["h1", ("h2", 7)], "password": SECRET}, CLUSTER),
    ],
)
def test_urls_and_arguments_say_where_the_servers_are(
    url: str | None, options: dict[str, Any], where: str
) -> None:
    shown = repr(RedisBackend(url, **options))
    assert shown.startswith(f"RedisBackend('{where}")
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("url", "arguments", "tls"),
    [
        ("redis+sentinel://h/n", {}, False),
        ("redis+sentinel://h/n?ssl=true", {}, True),
        ("redis+cluster://h", {"ssl": True}, True),
        ("rediss+cluster://h", {}, True),
        (None, {"startup_nodes": ["h"], "ssl": True}, True),
        (None, {"startup_nodes": ["h"], "ssl": False}, False),
    ],
)
def test_tls_is_for_all_servers(url: str | None, arguments: dict[str, Any], tls: bool) -> None:
    topology = ClientOptions(url, arguments).topology
    assert topology is not None
    assert topology.tls is tls


def test_passwords_of_data_servers_and_sentinels_are_secrets() -> None:
    options = ClientOptions(
        "redis+sentinel://u:p1@h/n?sentinel_password=p2", {"sentinel_username": "su"}
    )
    assert sorted(options.secrets) == ["p1", "p2", "su"]


@pytest.mark.parametrize("scheme", TOPOLOGY_SCHEMES)
def test_a_manager_is_made_from_a_url(scheme: str) -> None:
    url = f"{scheme}u:{SECRET}@h1,h2/{'n' if 'sentinel' in scheme else ''}?socket_timeout=2"
    with CacheManager.from_url(url) as cache:
        assert "h1:" in repr(cache.backend)
        assert SECRET not in repr(cache.backend)


def test_a_manager_is_made_from_a_mapping_and_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"sentinels": ["h1", ["h2", 7]], "service_name": "main"}
    with CacheManager.from_config({"backend": "redis", "options": options}) as cache:
        assert repr(cache.backend) == f"RedisBackend({SENTINELS!r})"
    monkeypatch.setenv("T_BACKEND", "redis")
    monkeypatch.setenv("T_OPTIONS__STARTUP_NODES", "h1, h2:7")
    with CacheManager.from_env("T_") as cache:
        assert repr(cache.backend) == f"RedisBackend({CLUSTER!r})"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sentinels": ["h"]}, "sentinels need service_name"),
        ({"service_name": "n"}, "service_name needs sentinels"),
        ({"startup_nodes": ["h"], "service_name": "n"}, "service_name needs sentinels"),
        ({"sentinels": ["h"], "service_name": "a b"}, "service_name must be of printable"),
        ({"sentinels": ["h"], "service_name": ""}, "service_name must not be empty"),
        ({"sentinels": ["h"], "service_name": 1}, "service_name must be a str, got int"),
        ({"sentinels": ["h"], "startup_nodes": ["h"]}, "sentinels can't stand beside startup_"),
        ({"startup_nodes": []}, "startup_nodes must not be empty"),
        ({"startup_nodes": "h1,h2"}, "startup_nodes must be a list of addresses, got str"),
        ({"startup_nodes": {"h": 1}}, "startup_nodes must be a list of addresses, got dict"),
        ({"startup_nodes": ["h", 1]}, "startup_nodes: entry 2 must be an address, got int"),
        ({"startup_nodes": [("h", "1")]}, "entry 1 must be an address, got tuple; an address is"),
        ({"startup_nodes": [("h", True)]}, "entry 1 must be an address, got tuple"),
        ({"startup_nodes": [("h:1", 1)]}, "entry 1 can't be read"),
        ({"startup_nodes": [("", 1)]}, "entry 1 can't be read"),
        ({"startup_nodes": ["h", f"u:{SECRET}@h"]}, "entry 2 can't be read"),
        ({"startup_nodes": [f"redis://:{SECRET}@h"]}, "entry 1 can't be read"),
        ({"startup_nodes": ["h:0"]}, "port of entry 1 must be from 1 to 65535"),
        ({"startup_nodes": [("h", 65_536)]}, "port of entry 1 must be from 1 to 65535"),
        ({"startup_nodes": ["h", ("H", 6379)]}, "entry 2 is entry 1 once more"),
        ({"startup_nodes": ["h"], "host": "h"}, "host can't stand beside startup_nodes"),
        ({"startup_nodes": ["h"], "unix_socket_path": "/s"}, "unix_socket_path can't stand beside"),
        ({"startup_nodes": ["h"], "db": 1}, "db must be 0 in a cluster"),
        ({"sentinels": ["h"], "service_name": "n", "port": 1}, "port can't stand beside sentinels"),
        ({"sentinel_password": SECRET}, "sentinel_password needs sentinels"),
        ({"startup_nodes": ["h"], "sentinel_username": "u"}, "sentinel_username needs sentinels"),
        ({"url": "redis://h", "sentinels": ["h"]}, "sentinels can't stand beside url"),
        ({"url": "redis://h", "service_name": "n"}, "service_name can't stand beside url"),
        ({"url": "redis://h?service_name=n"}, "service_name can't stand beside url"),
        ({"url": "redis+sentinel://h/n", "service_name": "n"}, "service_name can't stand beside"),
        ({"url": "redis+cluster://h", "startup_nodes": ["h"]}, "startup_nodes can't stand beside"),
        ({"url": "redis+cluster://h", "port": 1}, "port can't stand beside a cluster URL"),
        ({"url": "redis+cluster://h?sentinel_password=x"}, "sentinel_password needs sentinels"),
        ({"url": "rediss+cluster://h", "ssl": False}, "ssl stands in the URL and beside it"),
        ({"url": "redis+cluster://h", "ssl_certfile": "/c"}, "ssl_certfile needs TLS"),
        ({"url": "redis+cluster://:a@h", "password": SECRET}, "password stands in the URL and"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisBackend(**options)
    assert says in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_backend_of_servers_connects_with_its_first_use() -> None:
    with CacheManager(RedisBackend("redis+cluster://nowhere.invalid")) as cache:
        cache.namespace("view")
        assert cache.stats().entries is None
