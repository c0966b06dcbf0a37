"""The near cache: faults that a review found. Real servers, both faces where it matters."""

from __future__ import annotations

import gc
import os
import resource
import socket
import threading
import time
import warnings
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import redis

from faces import Caller
from near_links import entries_of, until, wait_heard, wait_linked
from redis_sentinel import running_sentinels
from redis_servers import running_server, shared_server
from symphra_cache import CacheManager, _redis_tracking
from symphra_cache._redis_near import Epoch
from symphra_cache.backends import NearCache, RedisBackend
from symphra_cache.serializers import PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from redis_servers import RedisServer


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    with linked(server.chosen_url) as made:
        yield made


def linked(url: str, **options: Any) -> CacheManager:
    """Return a cache whose server tells of its names."""
    backend = RedisBackend(url, near_cache=NearCache())
    wait_linked(backend)
    return CacheManager(backend, **options)


def backend_of(cache: CacheManager) -> RedisBackend:
    found = cache.backend
    assert isinstance(found, RedisBackend)
    return found


def keep(
    call: Caller,
    cache: CacheManager,
    key: str,
    value: object,
    command: Callable[..., Any] | None = None,
) -> None:
    """Write and read, so that it is kept and no news of the write is to come.

    Args:
        call: the face.
        cache: where.
        key: under which.
        value: what.
        command: sends a command past the cache, ``None``: to the shared server.
    """
    call(cache, "set", key, value)
    wait_heard(backend_of(cache), command or shared_server().command)
    assert call(cache, "get", key) == value
    assert entries_of(backend_of(cache)) == [f"symphra:{key}"]


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave the process not a single one."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        taken.append(os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 8, limits[1]))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


def descriptors() -> int:
    """Return how many the process has open."""
    gc.collect()
    found = 0
    for number in range(512):
        with suppress(OSError):
            os.fstat(number)
            found += 1
    return found


def is_done(server: RedisServer, *words: Any) -> bool:
    """Run a command; tell whether the server took it."""
    with suppress(redis.ResponseError):
        server.command(*words)
        return True
    return False


@contextmanager
def one_more_connection(backend: RedisBackend) -> Iterator[None]:
    """Lend what the pool of threads has, so that who comes now connects anew."""
    pool = backend._store.pools.pool()
    lent = pool.get_connection()
    try:
        yield
    finally:
        pool.release(lent)


def links() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "near cache" in thread.name]


@pytest.mark.parametrize("value", ["flat", {"a": [1]}], ids=["shared", "decoded"])
def test_a_backend_that_nobody_holds_is_let_go_with_all_that_is_kept(
    server: RedisServer, call: Caller, value: object
) -> None:
    cache = linked(server.chosen_url)
    before = links()
    keep(call, cache, "key", value)
    mine = weakref.ref(backend_of(cache))
    near = weakref.ref(backend_of(cache)._store.near)
    del cache
    gc.collect()
    assert mine() is None
    assert near() is None
    until(lambda: len(links()) < len(before))


def test_nothing_is_served_while_a_stuck_script_keeps_the_news_back(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    keep(call, cache, "key", "old")
    server.command("CONFIG", "SET", "lua-time-limit", 50)
    with (
        socket.create_connection(server.address, 20) as writer,
        socket.create_connection(server.address, 20) as scripter,
    ):
        # Both within one turn of the server: what is written is told at the end of it.
        server.pause()
        writer.sendall(b"*3\r\n$3\r\nSET\r\n$11\r\nsymphra:key\r\n$1\r\n7\r\n")
        time.sleep(0.05)
        scripter.sendall(b"EVAL 'while true do end' 0\r\n")
        time.sleep(0.05)
        server.resume()
        try:
            assert writer.recv(100) == b"+OK\r\n"
            until(lambda: not entries_of(backend_of(cache)), 4)
        finally:
            until(lambda: is_done(server, "SCRIPT", "KILL"))
            until(lambda: is_done(server, "CONFIG", "SET", "lua-time-limit", 5000))
    # It does not take a refusal for one that lasts.
    wait_linked(backend_of(cache))
    assert call(cache, "get", "key") == 7


def test_a_process_without_descriptors_to_spare_reads_without_a_link(
    server: RedisServer, call: Caller
) -> None:
    with CacheManager(RedisBackend(server.chosen_url, near_cache=NearCache())) as cache:
        call(cache, "set", "key", "value")
        with no_descriptors():
            assert call(cache, "get", "key") == "value"
            assert call(cache, "get_many", ["key"]) == {"key": "value"}
        wait_linked(backend_of(cache))


def test_a_process_without_threads_to_spare_reads_without_a_link(
    server: RedisServer, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with CacheManager(RedisBackend(server.chosen_url, near_cache=NearCache())) as cache:
        call(cache, "set", "key", "value")
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error")  # of a socket that nobody closed
            patch.setattr(threading.Thread, "start", refuse)
            assert call(cache, "get", "key") == "value"
            gc.collect()
        wait_linked(backend_of(cache))


def test_with_another_master_nothing_is_served_that_the_old_one_vouches_for(call: Caller) -> None:
    with running_sentinels() as sentinels, linked(sentinels.url) as cache:
        old, new = sentinels.master_server, sentinels.replica_server
        keep(call, cache, "key", "old", old.command)
        # The old one lives on, and nobody tells its connections.
        until(lambda: new.command("GET", "symphra:key"))
        new.command("REPLICAOF", "NO", "ONE")
        for sentinel in sentinels.sentinels:
            sentinel.command("SENTINEL", "REMOVE", "main")
            sentinel.command("SENTINEL", "MONITOR", "main", *new.address, 1)
        with one_more_connection(backend_of(cache)):
            assert cache.get("another") is None
            assert cache.get("key") == "old"
        new.command("SET", "symphra:key", 7)
        until(lambda: call(cache, "get", "key") == 7, 3)
        wait_linked(backend_of(cache))
        new.command("SET", "symphra:key", 8)
        until(lambda: call(cache, "get", "key") == 8, 3)


class Fickle:
    """A value that can be read only as long as ``is_sound``."""

    is_sound = True

    def __setstate__(self, state: object) -> None:
        if not self.is_sound:
            raise ValueError("no more")


def test_what_can_not_be_decoded_any_more_is_a_miss_as_without(
    server: RedisServer, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = Fickle()
    value.__dict__["a"] = 1
    serializer = PickleSerializer(secret="s" * 32)
    backend = RedisBackend(server.chosen_url, near_cache=NearCache(), serializer=serializer)
    with CacheManager(backend) as cache:
        wait_linked(backend)
        call(cache, "set", "key", value)
        wait_heard(backend, server.command)
        assert isinstance(call(cache, "get", "key"), Fickle)
        assert entries_of(backend) == ["symphra:key"]
        monkeypatch.setattr(Fickle, "is_sound", False)
        before = cache.stats()
        assert call(cache, "get_many", ["key"]) == {}
        assert call(cache, "get", "key") is None
        after = cache.stats()
        assert (after.corrupt, after.misses) == (before.corrupt + 2, before.misses + 2)
        assert after.hits == before.hits


def test_what_is_kept_does_not_tell_that_an_outage_is_over(
    call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    hasty = "?socket_timeout=0.2"
    with running_server() as server, linked(server.url + hasty, on_outage="degrade") as cache:
        keep(call, cache, "key", "value", server.command)
        server.pause()
        assert call(cache, "get", "other") is None
        # As without a near cache: the outage is known by now.
        assert [call(cache, "get", "key") for _ in range(3)] == [None] * 3
        assert call(cache, "get_many", ["key"]) == {}
        assert call(cache, "get", "other") is None
        told = [record.message for record in caplog.records]
        assert [text for text in told if "outage" in text and "over" in text[:30]] == []
        assert len([text for text in told if text.startswith("outage")]) == 1
        server.resume()
        until(lambda: call(cache, "set", "key", 7) and call(cache, "get", "key") == 7)
        wait_linked(backend_of(cache))
        keep(call, cache, "key", "value", server.command)


class Holder:
    """Holds itself and a cache, so that only the collector of cycles lets go of them."""

    def __init__(self, cache: CacheManager) -> None:
        self.held = self, cache


def test_a_link_may_be_ended_by_the_collector_in_the_middle_of_its_own_steps(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Collecting(Epoch):
        """The collector may run wherever something is made."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if threading.current_thread() in mine:
                gc.collect()

    mine: list[threading.Thread] = []
    before = links()
    gc.disable()
    try:
        Holder(linked(server.chosen_url))
        mine += [thread for thread in links() if thread not in before]
        assert len(mine) == 1
        monkeypatch.setattr(_redis_tracking, "Epoch", Collecting)
        server.command("FLUSHALL")
        mine[0].join(10)
        assert not mine[0].is_alive()
    finally:
        gc.enable()


def test_a_forked_child_inherits_no_descriptor_of_a_link(server: RedisServer) -> None:
    before = descriptors()
    with linked(server.chosen_url) as cache:
        keep(Caller(None), cache, "key", "value")
        assert descriptors() > before
        child = os.fork()
        if child == 0:
            try:
                os._exit(max(0, descriptors() - before))
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_server_has_few_prefixes_to_go_through_however_many_namespaces(
    call: Caller,
) -> None:
    with running_server() as server, linked(server.url) as cache:
        tenants = [cache.namespace(f"tenant{number}") for number in range(200)]
        for tenant in tenants:
            call(tenant, "set", "key", "value")
            call(tenant.namespace("inner"), "set", "key", "inner")
        paths = ["symphra/tenant0", "symphra/tenant199/inner"]
        for path in ["symphra", *paths]:
            wait_linked(backend_of(cache), path)
            wait_heard(backend_of(cache), server.command, path)
        for tenant in tenants:
            assert call(tenant, "get", "key") == "value"
            assert call(tenant.namespace("inner"), "get", "key") == "inner"
        assert len(entries_of(backend_of(cache))) == 400
        assert server._direct.info("stats")["tracking_total_prefixes"] == 2
        server.command("DEL", "symphra/tenant7:key", "symphra/tenant7/inner:key")
        until(lambda: call(tenants[7], "get", "key") is None)
        until(lambda: call(tenants[7].namespace("inner"), "get", "key") is None)
        assert call(tenants[8], "get", "key") == "value"
