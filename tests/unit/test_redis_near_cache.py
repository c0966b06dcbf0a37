"""The near cache on a real server: whoever writes, however, what is read is what is there."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from near_links import backend_of, entries_of, near_of, steady_links, until, wait_heard, wait_linked
from redis_servers import RedisServer, patient, shared_server
from symphra_cache import MISSING, CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faces import Caller

K = "symphra:k"
GONE = "gone"


@pytest.fixture(autouse=True)
def _steady() -> Iterator[None]:
    with steady_links():
        yield


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    """A manager whose link is up, and who would never look again by himself."""
    with made(server, max_staleness=3600.0) as cache:
        yield cache


@pytest.fixture
def other(server: RedisServer) -> Iterator[CacheManager]:
    """Another process's manager, as far as the server can tell."""
    with CacheManager(RedisBackend(patient(server.url))) as cache:
        yield cache


def made(server: RedisServer, **near: Any) -> CacheManager:
    backend = RedisBackend(patient(server.url), near_cache=NearCache(**near))
    wait_linked(backend)
    return CacheManager(backend)


def is_near(cache: CacheManager, name: str = K) -> bool:
    return name in entries_of(backend_of(cache))


def keep(call: Caller, cache: CacheManager, key: str = "k") -> Any:
    """Read a value so that it is near, and stays so; return it."""
    # What is told of writes so far would take it away.
    wait_heard(backend_of(cache), shared_server().command, cache._path)
    until(lambda: call(cache, "get", key) is not GONE and is_near(cache, f"{cache._path}:{key}"))
    return call(cache, "get", key)


def reads(server: RedisServer) -> int:
    """Return how many reads have reached the server."""
    return server.calls("get")


# --- foreign writers ----------------------------------------------------------------------

FOREIGN: dict[str, tuple[list[tuple[Any, ...]], object]] = {
    "SET": ([("SET", K, 2)], 2),
    "DEL": ([("DEL", K)], GONE),
    "UNLINK": ([("UNLINK", K)], GONE),
    "GETDEL": ([("GETDEL", K)], GONE),
    "PEXPIRE that runs out": ([("PEXPIRE", K, 60)], GONE),
    "EXPIREAT in the past": ([("EXPIREAT", K, 1)], GONE),
    "FLUSHALL": ([("FLUSHALL",)], GONE),
    "FLUSHDB": ([("FLUSHDB",)], GONE),
    "RENAME away": ([("RENAME", K, "elsewhere")], GONE),
    "RENAME to it": ([("SET", "elsewhere", 2), ("RENAME", "elsewhere", K)], 2),
    "COPY": ([("SET", "elsewhere", 2), ("COPY", "elsewhere", K, "REPLACE")], 2),
    "MOVE": ([("MOVE", K, 9)], GONE),
    "INCR": ([("INCR", K)], 2),
    "APPEND": ([("APPEND", K, "2")], 12),
    "SETRANGE": ([("SETRANGE", K, 0, "2")], 2),
    "EVAL": ([("EVAL", "redis.call('SET', KEYS[1], '2')", 1, K)], 2),
    "another type": ([("DEL", K), ("LPUSH", K, "2")], GONE),
    "a transaction": (
        [("EVAL", "redis.call('DEL', KEYS[1]) return redis.call('INCR', KEYS[1])", 1, K)],
        1,
    ),
}


@pytest.mark.parametrize("how", FOREIGN)
def test_a_foreign_write_is_seen(
    server: RedisServer, cache: CacheManager, call: Caller, how: str
) -> None:
    commands, wanted = FOREIGN[how]
    call(cache, "set", "k", 1)
    assert keep(call, cache) == 1
    for command in commands:
        server.command(*command)
    begun = time.monotonic()
    until(lambda: call(cache, "get", "k", GONE) == wanted)
    until(lambda: call(cache, "get_many", ["k"]).get("k", GONE) == wanted)
    assert time.monotonic() - begun < 10


def test_a_transaction_is_seen(server: RedisServer, cache: CacheManager, call: Caller) -> None:
    call(cache, "set", "k", 1)
    keep(call, cache)
    with server._direct.pipeline(transaction=True) as pipe:
        pipe.incr(K).incr(K).execute()
    until(lambda: call(cache, "get", "k") == 3)


def test_what_redis_cli_writes_is_seen(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    tool = shutil.which("redis-cli") or shutil.which("valkey-cli")
    call(cache, "set", "k", 1)
    keep(call, cache)
    if tool is None:  # as it would say it
        server.command("SET", K, "2")
    else:
        subprocess.run([tool, "-s", str(server.socket), "SET", K, "2"], check=True, timeout=20)
    until(lambda: call(cache, "get", "k") == 2)


OTHERS: dict[str, tuple[Callable[[CacheManager], object], object]] = {
    "set": (lambda other: other.set("k", 2), 2),
    "set of a frame": (lambda other: other.set("k", ("a", 2)), ("a", 2)),
    "expired set": (lambda other: other.set("k", 2, ttl=0), GONE),
    "delete": (lambda other: other.delete("k"), GONE),
    "pop": (lambda other: other.pop("k"), GONE),
    "touch": (lambda other: other.touch("k", 0.05), GONE),
    "expired touch": (lambda other: other.touch("k", 0), GONE),
    "incr": (lambda other: other.incr("k"), 2),
    "set_many": (lambda other: other.set_many({"k": 2, "x": 3}), 2),
    "delete_many": (lambda other: other.delete_many(["x", "k"]), GONE),
    "delete_matching": (lambda other: other.delete_matching("k*"), GONE),
    "clear": (lambda other: other.clear(), GONE),
    "delete and add": (lambda other: (other.delete("k"), other.add("k", 2)), 2),
}


@pytest.mark.parametrize("how", OTHERS)
def test_what_another_process_writes_is_seen(
    cache: CacheManager, other: CacheManager, call: Caller, how: str
) -> None:
    write, wanted = OTHERS[how]
    call(cache, "set", "k", 1)
    assert keep(call, cache) == 1
    write(other)
    until(lambda: call(cache, "get", "k", GONE) == wanted)
    until(lambda: call(cache, "get_many", ["k"]).get("k", GONE) == wanted)


def test_a_clear_with_the_namespaces_inside_is_seen(
    cache: CacheManager, other: CacheManager, call: Caller
) -> None:
    inner = cache.namespace("inner")
    call(inner, "set", "k", 1)
    assert keep(call, inner) == 1
    other.clear()
    assert call(inner, "get", "k") == 1
    other.clear(nested=True)
    until(lambda: call(inner, "get", "k", GONE) == GONE)


def test_writes_elsewhere_disturb_nothing(
    server: RedisServer, cache: CacheManager, other: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    keep(call, cache)
    other.set_many({"l": 1, "k2": 2})
    other.namespace("inner").set("k", 2)
    with CacheManager(other.backend, namespace="symphra2") as alike:
        alike.set("k", 2)
        server.command("SET", "k", 2)
        server.command("SET", "prefix-symphra:k", 2)
        other.set("heard", 1)
        until(lambda: cache.get("heard") == 1)
        before = reads(server)
        assert call(cache, "get", "k") == 1
        assert is_near(cache)
        assert reads(server) == before


# --- own writers --------------------------------------------------------------------------


def test_own_writes_are_read_at_once_on_both_faces_and_in_all_views(
    cache: CacheManager, call: Caller, server: RedisServer
) -> None:
    first, second = cache.namespace("a"), cache.namespace("a")
    with CacheManager(cache.backend, namespace="symphra") as beside:
        for turn in range(100):
            call(cache, "set", "k", turn)
            assert (cache.get("k"), call(cache, "get", "k"), beside.get("k")) == (turn,) * 3
            call(first, "set_many", {"k": turn, "l": (turn,)})
            assert second.get_many(["k", "l"]) == {"k": turn, "l": (turn,)}
            assert call(second, "incr", "k") == first.get("k") == turn + 1
            assert call(cache, "delete", "k") is True
            assert beside.get("k", GONE) == GONE
            assert call(second, "pop", "l") == (turn,)
            assert first.get_many(["l"]) == {}


CLEARING: dict[str, tuple[Any, ...]] = {
    "delete_matching": ("delete_matching", "k"),
    "delete_many": ("delete_many", ["k"]),
    "clear": ("clear",),
    "expired": ("set", "k", 2, 0),
    "touched": ("touch", "k", -1),
}


@pytest.mark.parametrize("how", CLEARING)
def test_own_removals_are_seen_at_once(cache: CacheManager, call: Caller, how: str) -> None:
    for _ in range(10):
        call(cache, "set", "k", 1)
        assert keep(call, cache) == 1
        call(cache, *CLEARING[how])
        assert call(cache, "get", "k", GONE) == GONE


# --- bounds -------------------------------------------------------------------------------


def gone_at(call: Caller, cache: CacheManager) -> float:
    """Read until nothing is there; return when the last read began that found something."""
    last = begun = time.monotonic()
    while time.monotonic() - begun < 20:
        now = time.monotonic()
        if call(cache, "get", "k") is None:
            break
        last = now
    return last


@pytest.mark.parametrize("how", ["set", "touch", "foreign"])
def test_an_entry_lives_no_longer_than_its_ttl(
    server: RedisServer, cache: CacheManager, call: Caller, how: str
) -> None:
    call(cache, "set", "k", 1, 0.2 if how == "set" else 60)
    if how == "touch":
        keep(call, cache)
        call(cache, "touch", "k", 0.2)
    if how == "foreign":
        server.command("SET", K, 1, "PX", 200)
    stored = time.monotonic()
    assert gone_at(call, cache) < stored + 0.2 + 0.05
    assert not is_near(cache)


def test_a_ttl_that_was_lengthened_holds(cache: CacheManager, call: Caller) -> None:
    for key, ttl in (("k", 60), ("l", None)):
        call(cache, "set", key, 1, 0.15)
        call(cache, "get", key)
        assert call(cache, "touch", key, ttl)
    time.sleep(0.2)
    assert call(cache, "get_many", ["k", "l"]) == {"k": 1, "l": 1}


def test_an_entry_is_read_again_after_max_staleness(server: RedisServer, call: Caller) -> None:
    with made(server, max_staleness=0.1) as cache:
        call(cache, "set", "k", 1)
        before = reads(server)
        for _ in range(5):
            call(cache, "get", "k")
        until(
            lambda: (
                call(cache, "get", "k") == 1 and not time.sleep(0.01) and reads(server) > before + 2
            )
        )
        assert keep(call, cache) == 1


def test_no_more_entries_than_max_size_and_the_least_used_go(
    server: RedisServer, call: Caller
) -> None:
    with made(server, max_size=5) as cache:
        call(cache, "set_many", {f"k{number}": number for number in range(20)})
        entries = near_of(backend_of(cache)).table.entries
        keep(call, cache, "k0")
        for number in range(1, 20):
            assert call(cache, "get", f"k{number}") == number
            assert call(cache, "get", "k0") == 0
            assert len(entries) <= 5
        assert "symphra:k0" in entries
        assert len(call(cache, "get_many", [f"k{number}" for number in range(20)])) == 20
        assert len(entries) <= 5


def test_large_values_are_read_and_not_kept(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    values = {"small": b"x" * 32_000, "k": b"x" * 33_000, "huge": b"y" * 3_000_000}
    call(cache, "set_many", values)
    keep(call, cache, "small")
    for key, value in values.items():
        assert call(cache, "get", key) == value
        assert call(cache, "get_many", [key, "none"]) == {key: value}
    assert call(cache, "get_many", list(values)) == values
    assert entries_of(backend_of(cache)) == ["symphra:small"]
    assert cache.stats().misses == 3


# --- values -------------------------------------------------------------------------------

VALUES: list[Any] = [
    *(0, -1, 12, 2**63 - 1, 2**80, True, None, 1.5, "", "text", b"bytes", 1 + 2j),
    *((), (1, "a", None), frozenset({1}), datetime(2026, 1, 2, tzinfo=UTC)),
    *([1, 2], {"a": 1}, {1, 2}, bytearray(b"ab"), {"a": [1, {"b": 2}]}, [[1], [2]], ([1],)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_near_is_what_was_stored_and_each_readers_own(
    server: RedisServer, cache: CacheManager, call: Caller, value: Any
) -> None:
    call(cache, "set", "k", value)
    assert keep(call, cache) == value
    before = reads(server)
    for found in (call(cache, "get", "k", MISSING), call(cache, "get_many", ["k"])["k"]):
        assert (found, type(found)) == (value, type(value))
        spoil(found)
    assert call(cache, "get", "k", MISSING) == value
    assert call(cache, "get_many", ["k"]) == {"k": value}
    assert reads(server) == before


def spoil(value: Any) -> None:
    """Change whatever can be changed in a value."""
    match value:
        case list() | bytearray():
            for part in value:
                spoil(part)
            value.append(7)
        case dict():
            for part in value.values():
                spoil(part)
            value["new"] = 7
        case set():
            value.add(7)
        case tuple():
            for part in value:
                spoil(part)


def test_misses_are_not_kept(server: RedisServer, cache: CacheManager, call: Caller) -> None:
    for turn in range(20):
        assert call(cache, "get", "k", GONE) == GONE
        assert call(cache, "get_many", ["k"]) == {}
        server.command("SET", K, turn)
        assert call(cache, "get", "k") == turn
        server.command("DEL", K)
        until(lambda: call(cache, "get", "k", GONE) == GONE)


def test_what_is_near_counts_as_what_is_read(cache: CacheManager, call: Caller) -> None:
    call(cache, "set", "k", 1)
    assert keep(call, cache) == 1
    before = cache.stats()
    for _ in range(10):
        call(cache, "get", "k")
        call(cache, "get", "none")
        call(cache, "get_many", ["k", "none", "nobody"])
    after = cache.stats()
    assert (after.hits - before.hits, after.misses - before.misses) == (20, 30)


def test_threads_loops_and_faces_share_what_is_near(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    keep(call, cache)
    before = reads(server)

    def read(_: int) -> object:
        return cache.get("k"), asyncio.run(cache.aget("k")), cache.get_many(["k"])

    with ThreadPoolExecutor(4) as threads:
        assert set(map(repr, threads.map(read, range(12)))) == {"(1, 1, {'k': 1})"}
    assert reads(server) == before
