"""The links of a near cache: how they begin, break and end."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

import symphra_cache._redis_tracking as tracking
from near_links import backend_of, entries_of, keep, near_of, steady_links, told, until
from processes import descriptors, in_child, run_strictly
from redis_servers import RedisServer, patient, running_server
from symphra_cache import CacheClosedError, CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

NAME = "symphra:k"


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tracking, "_RETRY", 0.05)
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


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    """A manager with a value near."""
    with CacheManager(made(server.url)) as cache:
        cache.set("k", 1)
        keep(cache, server)
        yield cache


def threads() -> int:
    return sum(thread.name == "symphra_cache near cache" for thread in threading.enumerate())


def links(server: RedisServer) -> list[str]:
    """Return the ids of the connections that the server tells on."""
    lines = server.command("CLIENT", "LIST").decode().splitlines()
    return [re.findall(r"\bid=(\d+)", line)[0] for line in lines if re.search(r"flags=\w*B", line)]


# --- the end --------------------------------------------------------------------------------


def test_closing_leaves_no_thread_and_no_connection(server: RedisServer, call: Caller) -> None:
    before = threads(), server.connections(), descriptors()
    cache = CacheManager(made(server.url))
    call(cache, "set", "k", 1)
    keep(cache, server)
    assert (threads(), len(links(server))) == (before[0] + 1, 1)
    call(cache, "close")
    for read in (lambda: cache.get("k"), lambda: cache.get_many(["k"])):
        with pytest.raises(CacheClosedError):
            read()
    for name, argument in (("aget", "k"), ("aget_many", ["k"])):
        with pytest.raises(CacheClosedError):
            asyncio.run(getattr(cache, name)(argument))
    assert entries_of(backend_of(cache)) == []
    until(lambda: (threads(), server.connections()) == before[:2])
    if call.runner is not None:
        call.runner.close()
    assert descriptors() <= before[2]


def test_a_backend_that_nobody_has_any_more_leaves_no_thread(
    server: RedisServer, call: Caller
) -> None:
    before = threads(), server.connections()
    cache = CacheManager(made(server.url))
    call(cache, "set", "k", 1)
    keep(cache, server)
    del cache
    if call.runner is not None:
        call.runner.close()
    gc.collect()
    until(lambda: threads() == before[0] and not links(server))


def test_making_one_begins_nothing(server: RedisServer) -> None:
    before = threads(), server.connections()
    backend = made(server.url)
    assert (threads(), server.connections()) == before
    backend.close()


def test_the_end_of_a_program_waits_for_no_link(server: RedisServer) -> None:
    script = """
        import sys
        from symphra_cache import CacheManager
        from symphra_cache.backends import NearCache, RedisBackend

        cache = CacheManager(RedisBackend(sys.argv[1], near_cache=NearCache()))
        cache.set("k", 1)
        while "symphra:k" not in cache.backend._store.near.table.entries:
            cache.get("k")
        print(cache.get("k"))
    """
    assert run_strictly(script, patient(server.url)) == "1"
    until(lambda: not links(server))


# --- forks and loops ------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_begins_its_own_link_and_leaves_its_parents_alone(
    server: RedisServer, cache: CacheManager
) -> None:
    mine = links(server)
    link = near_of(backend_of(cache))._tracking._links[None]
    ends = [end.fileno() for end in (link._connection._sock, link._bell, link._button)]

    def child() -> None:
        for end in ends:
            with pytest.raises(OSError, match="descriptor"):
                os.fstat(end)
        assert not near_of(backend_of(cache)).table.entries
        assert cache.get("k") == 1
        assert keep(cache, server) == 1
        assert len(links(server)) == 2
        server.command("SET", NAME, 2)
        until(lambda: cache.get("k") == 2)
        cache.close()

    in_child(child)
    until(lambda: cache.get("k") == 2)
    keep(cache, server)
    assert links(server) == mine
    server.command("SET", NAME, 3)
    until(lambda: cache.get("k") == 3)


def test_one_loop_after_another_shares_what_is_near(
    server: RedisServer, cache: CacheManager
) -> None:
    mine, before = links(server), server.calls("get")
    for _ in range(3):
        assert asyncio.run(cache.aget("k")) == 1
    assert server.calls("get") == before
    server.command("SET", NAME, 2)
    until(lambda: asyncio.run(cache.aget("k")) == 2)
    assert links(server) == mine


# --- breaks ---------------------------------------------------------------------------------


def test_a_link_that_was_cut_serves_nothing_stale_and_comes_back(
    server: RedisServer, cache: CacheManager, call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    for turn in range(2, 5):
        (old,) = links(server)
        # In one step, so that nobody is told of the write.
        with server._direct.pipeline(transaction=True) as pipe:
            pipe.execute_command("CLIENT", "KILL", "ID", old)
            pipe.set(NAME, turn)
            pipe.execute()
        until(lambda turn=turn: call(cache, "get", "k") == turn)  # type: ignore[misc]
        assert keep(cache, server) == turn
        assert links(server) != [old]
    assert told(caplog) == [False, True] * 3


def test_a_server_that_was_started_again_is_listened_to_again(
    call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server() as server, CacheManager(made(server.url)) as cache:
        call(cache, "set", "k", 1)
        keep(cache, server)
        server.kill()
        until(lambda: told(caplog))
        assert not entries_of(backend_of(cache))
        server.start()
        assert call(cache, "set", "k", 2) is True
        assert call(cache, "get", "k") == 2
        assert keep(cache, server) == 2
        server.command("SET", NAME, 3)
        until(lambda: call(cache, "get", "k") == 3)
        assert told(caplog) == [False, True]


def test_a_manager_that_degrades_is_served_for_a_moment_and_then_goes_without(
    call: Caller,
) -> None:
    with (
        running_server() as server,
        CacheManager(made(server.url), on_outage="degrade") as cache,
    ):
        call(cache, "set", "k", 1)
        keep(cache, server)
        before = server.calls("get")
        assert call(cache, "get", "k") == 1
        assert server.calls("get") == before
        server.kill()
        until(lambda: call(cache, "get", "k", "out") == "out")
        assert call(cache, "get_many", ["k"]) == {}
        server.start()
        until(lambda: call(cache, "set", "k", 2) and call(cache, "get", "k") == 2)
        assert keep(cache, server) == 2


# --- subclasses -----------------------------------------------------------------------------


def test_what_a_subclass_of_the_backend_says_counts(server: RedisServer, call: Caller) -> None:
    class Mine(RedisBackend):
        def get(self, key: str, default: Any = None) -> Any:
            return "mine", super().get(key, default)

        async def aget(self, key: str, default: Any = None) -> Any:
            return "mine", await super().aget(key, default)

    backend: Any = Mine(patient(server.url), near_cache=NearCache())
    for _ in range(3):
        assert call(backend, "get", "k", 1) == ("mine", 1)
        assert call(backend, "get_many", ["k"]) == {}
    backend.close()


def test_what_a_subclass_of_a_keyspace_says_counts(server: RedisServer, call: Caller) -> None:
    from symphra_cache.backends.redis import RedisKeyspace

    class Loud(RedisKeyspace):
        def get(self, key: str, default: Any = None) -> Any:
            return "mine", super().get(key, default)

        async def aget(self, key: str, default: Any = None) -> Any:
            return "mine", await super().aget(key, default)

        def get_many(self, keys: Any) -> dict[str, Any]:
            return dict.fromkeys(keys, "mine")

        async def aget_many(self, keys: Any) -> dict[str, Any]:
            return dict.fromkeys(keys, "mine")

    class LoudBackend(RedisBackend):
        def keyspace(self, path: str, counters: Any) -> RedisKeyspace:
            return Loud(self._store, path, counters)

    backend = LoudBackend(patient(server.url), near_cache=NearCache())
    with CacheManager(backend) as cache:
        call(cache, "set", "k", 1)
        for _ in range(3):
            assert call(cache, "get", "k") == ("mine", 1)
            assert call(cache, "get_many", ["k"]) == {"k": "mine"}


def test_a_socket_pair_is_all_that_a_link_holds_besides_its_connection(
    server: RedisServer,
) -> None:
    gc.collect()
    before = descriptors()
    with CacheManager(made(server.url)) as cache:
        cache.set("k", 1)
        own = descriptors()
        keep(cache, server)
        assert descriptors() - own <= 4  # the connection, the bell, the selector
    until(lambda: descriptors() <= before)
