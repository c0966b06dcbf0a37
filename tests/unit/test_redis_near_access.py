"""What a near cache needs of a server, and every way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import symphra_cache._redis_tracking as tracking
from near_links import backend_of, entries_of, keep, steady_links, told, until, wait_linked
from processes import run_strictly
from redis_servers import PASSWORD, USER, RedisServer, patient, running_server
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

NAME = "symphra:k"
# The smallest set of rights of docs/en/backends/redis.md, the near cache's left out.
RIGHTS = (
    "on >secret resetkeys ~symphra:* ~symphra/* resetchannels -@all +get +mget +getrange +getdel "
    "+set +unlink +eval +evalsha +scan +info +ping +type +exists +incrby +pttl +pexpire +persist"
)


@pytest.fixture(autouse=True)
def _steady() -> Iterator[None]:
    with steady_links():
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    return running.fresh()


def made(url: str, **options: Any) -> RedisBackend:
    return RedisBackend(patient(url), near_cache=NearCache(max_staleness=3600.0), **options)


# --- rights ---------------------------------------------------------------------------------


def user(server: RedisServer, *rights: str) -> dict[str, str]:
    server.command("ACL", "SETUSER", "app", "reset", *RIGHTS.split(), *rights)
    return {"username": "app", "password": "secret"}


def refused(server: RedisServer) -> int:
    """Return how often the server has refused to tell."""
    statistics = server._direct.info("commandstats")
    found: int = statistics.get("cmdstat_client|tracking", {}).get("rejected_calls", 0)
    return found


def test_a_user_who_may_not_track_has_a_cache_without_a_near_one(
    server: RedisServer, call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    before = refused(server)
    with CacheManager(made(server.url, **user(server))) as cache:
        assert call(cache, "get", "k") is None
        until(lambda: told(caplog))
        for turn in range(100):
            assert call(cache, "set", "k", turn) is True
            assert call(cache, "get", "k") == turn
            assert call(cache, "get_many", ["k"]) == {"k": turn}
        assert call(cache, "delete", "k") is True
        assert not entries_of(backend_of(cache))
        assert cache.stats().errors == 0
    assert refused(server) == before + 1  # and is left in peace
    assert told(caplog) == [False]
    assert "permission" in caplog.text
    assert "secret" not in caplog.text


def test_a_user_who_may_track_after_all_gets_a_near_cache(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_RETRY_REFUSED", 0.01)
    before = refused(server)
    with CacheManager(made(server.url, **user(server))) as cache:
        cache.set("k", 1)
        cache.get("k")
        until(lambda: refused(server) > before + 3)
        server.command("ACL", "SETUSER", "app", "+client|tracking")
        assert keep(cache, server) == 1
        assert told(caplog) == [False, True]


def test_these_rights_are_enough(
    server: RedisServer, call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    # Nobody can be kept from HELLO, and SCRIPT is not used.
    allowed = user(server, "+client|tracking", "-hello", "-script")
    with CacheManager(made(server.url, **allowed)) as cache:
        call(cache, "set", "k", (1, 2))
        assert keep(cache, server) == (1, 2)
        server.command("DEL", NAME)
        until(lambda: call(cache, "get", "k") is None)
        inner = cache.namespace("inner")
        call(inner, "set", "k", 1)
        wait_linked(backend_of(cache), "symphra/inner")
        assert call(inner, "get", "k") == 1
        until(lambda: call(inner, "get", "k") and "symphra/inner:k" in entries_of(cache.backend))
        assert told(caplog) == []


# --- ways to the server ---------------------------------------------------------------------


@pytest.mark.parametrize("way", ["tcp", "tls", "unix"])
@pytest.mark.parametrize("database", [0, 3])
def test_every_way_to_a_server(server: RedisServer, call: Caller, way: str, database: int) -> None:
    url = {"tcp": server.url, "tls": server.tls_url, "unix": server.unix_url}[way]
    options: dict[str, Any] = {"username": USER, "password": PASSWORD, "db": database}
    if way == "tls":
        options["ssl_ca_certs"] = server.ca
    with (
        CacheManager(made(url, **options)) as cache,
        CacheManager(RedisBackend(patient(server.url), db=database)) as other,
    ):
        call(cache, "set", "k", [1])
        assert keep(cache, server) == [1]
        other.set("k", [2])
        until(lambda: call(cache, "get", "k") == [2])
        keep(cache, server)
        # Many names in one piece of news.
        other.set_many({f"k{number}": number for number in range(3_000)})
        other.delete("k")
        until(lambda: call(cache, "get", "k") is None)


def test_a_server_that_wants_a_password(call: Caller) -> None:
    with running_server(requirepass="hunter2") as server:
        url = server.url.replace("redis://", "redis://:hunter2@")
        with CacheManager(made(url)) as cache:
            wait_linked(backend_of(cache))
            call(cache, "set", "k", 1)
            until(lambda: call(cache, "get", "k") == 1 and NAME in entries_of(backend_of(cache)))


def test_without_hiredis(server: RedisServer) -> None:
    script = """
        import sys
        sys.modules["hiredis"] = None
        import asyncio
        from symphra_cache import CacheManager
        from symphra_cache._redis_replies import hiredis
        from symphra_cache.backends import NearCache, RedisBackend

        assert hiredis is None
        url = sys.argv[1]
        other = CacheManager(RedisBackend(url))
        cache = CacheManager(RedisBackend(url, near_cache=NearCache(max_staleness=3600.0)))
        entries = cache.backend._store.near.table.entries
        for turn in range(3):
            other.set("k", [turn])
            while cache.get("k") != [turn] or "symphra:k" not in entries:
                pass
            assert asyncio.run(cache.aget("k")) == [turn]
        other.close()
        cache.close()
        print("done")
    """
    assert run_strictly(script, patient(server.url)) == "done"
