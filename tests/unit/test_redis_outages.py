"""The Redis backend when something goes wrong: dead, paused, full, read-only, locked servers."""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis

from redis_servers import HOST, RedisServer, free_ports, running_server, until
from symphra_cache import BackendUnavailableError, CacheError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

WRONG = "wr0ng:p@ss/word"
RIGHT = "r1ght#p@ss word"
WRITES: list[tuple[Any, ...]] = [
    ("set", "new", "x"),
    ("add", "new", "x"),
    ("add", "corrupt", "x"),
    ("incr", "n"),
    ("incr", "new"),
]
REMOVALS: list[tuple[Any, ...]] = [
    ("delete", "k"),
    ("delete_many", ["k", "n"]),
    ("pop", "k"),
    ("touch", "k", 60),
    ("touch", "k", None),
    ("set", "k", 1, 0),
    ("clear",),
    ("delete_matching", "*"),
]
READS: list[tuple[Any, ...]] = [
    ("get", "k"),
    ("get_many", ["k", "n"]),
    ("exists", "k"),
    ("ttl", "k"),
    ("count",),
]


def failure(
    call: Caller, cache: CacheManager, name: str, *arguments: Any
) -> BackendUnavailableError:
    """Return the error of a call that must fail."""
    with pytest.raises(BackendUnavailableError) as caught:
        call(cache, name, *arguments)
    error = caught.value
    assert isinstance(error, ConnectionError)
    assert isinstance(error, CacheError)
    assert error.__cause__ is not None
    return error


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    with CacheManager(RedisBackend(server.url)) as cache:
        yield cache


@pytest.fixture
def hasty(server: RedisServer) -> Iterator[CacheManager]:
    """A cache that does not wait long for a paused server, but asks again with each call."""
    with CacheManager(RedisBackend(server.url, socket_timeout=0.2, breaker=None)) as cache:
        yield cache


@pytest.fixture
def dead() -> Iterator[CacheManager]:
    """A cache whose server is not there."""
    url = f"redis://user:{quote(WRONG, safe='')}@{HOST}:{free_ports(1)[0]}/3"
    with CacheManager(RedisBackend(url)) as cache:
        yield cache


def assert_hidden(error: BaseException, *secrets: str) -> None:
    """No password may stand in an error, its causes or their traceback, in any form."""
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None:
        chain.append(found)
        found = found.__cause__ or found.__context__
    told = [f"{one!s} {one!r} {one.args!r}" for one in chain]
    told.append("".join(traceback.format_exception(error)))
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), quote(secret)):
            assert form not in "\n".join(told)


def fill(call: Caller, cache: CacheManager, server: RedisServer) -> None:
    call(cache, "set", "k", "value")
    call(cache, "set", "n", 1)
    server.command("SET", "symphra:corrupt", "garbage")


@pytest.mark.parametrize(
    "arguments", [*WRITES, *REMOVALS, *READS, ("set_many", {"k": 1})], ids=lambda words: words[0]
)
def test_a_refused_connection_is_no_miss(
    dead: CacheManager, call: Caller, arguments: tuple[Any, ...]
) -> None:
    error = failure(call, dead, *arguments)
    assert f"{HOST}:" in str(error)
    assert_hidden(error, WRONG)
    assert WRONG not in repr(dead)
    assert dead.stats().errors == 1
    assert dead.stats().misses == 0


def test_a_scan_of_a_dead_server_fails(dead: CacheManager, call: Caller) -> None:
    async def scanned() -> list[str]:
        return [key async for key in dead.ascan()]

    with pytest.raises(BackendUnavailableError):
        list(dead.scan()) if call.runner is None else call.runner.run(scanned())


def test_bulk_calls_tell_what_could_not_be_done(dead: CacheManager, call: Caller) -> None:
    keys = [f"k{number}" for number in range(1_100)]
    values: dict[str, Any] = dict.fromkeys(keys, 1)
    assert failure(call, dead, "set_many", values).failed == keys
    assert failure(call, dead, "set_many", values, 0).failed == keys
    assert failure(call, dead, "get_many", keys).failed == keys
    assert failure(call, dead, "delete_many", keys).failed == keys
    assert failure(call, dead, "set", "k", 1).failed == []


def test_bulk_calls_to_a_cluster_that_was_never_there_fail_as_a_whole(call: Caller) -> None:
    with CacheManager(RedisBackend(f"redis+cluster://{HOST}:{free_ports(1)[0]}")) as cache:
        assert failure(call, cache, "set_many", {"a": 1, "b": 2}).failed == ["a", "b"]
        assert failure(call, cache, "get_many", ["a", "b"]).failed == ["a", "b"]
        assert failure(call, cache, "delete_many", ["a"]).failed == ["a"]
        assert failure(call, cache, "delete", "a").failed == []


def test_ping_tells_of_an_outage_and_never_raises(dead: CacheManager, call: Caller) -> None:
    health = call(dead, "ping")
    assert (health.ok, health.backend) == (False, "redis")
    assert f"{HOST}:" in health.detail
    assert WRONG not in repr(health)
    dead.close()
    health = call(dead, "ping")
    assert health.ok is False
    assert health.detail


def test_a_server_that_was_started_again_is_used_again(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    assert call(cache, "incr", "n") == 1
    server.kill()
    for _ in range(2):
        failure(call, cache, "get", "n")
        failure(call, cache, "incr", "n")
    assert call(cache, "ping").ok is False
    server.start()
    until(lambda: call(cache, "ping").ok, 5, server.log)
    assert call(cache, "get", "n", "default") == "default"
    assert call(cache, "incr", "n") == 1  # its script is unknown to the new server
    assert call(cache, "set_many", {"a": 1, "b": 2}) == []
    assert call(cache, "get_many", ["a", "b"]) == {"a": 1, "b": 2}


def test_a_restart_that_nobody_saw_costs_one_call_at_most(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    server.kill()
    server.start()
    try:
        call(cache, "set", "k", 2)
    except BackendUnavailableError:
        call(cache, "set", "k", 2)
    assert call(cache, "get", "k") == 2


@pytest.mark.parametrize("arguments", [*READS, *REMOVALS, *WRITES], ids=lambda words: words[0])
def test_an_idle_connection_that_was_cut_is_not_used(
    server: RedisServer, cache: CacheManager, call: Caller, arguments: tuple[Any, ...]
) -> None:
    fill(call, cache, server)
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert server.connections() == 0
    call.wait()
    call(cache, *arguments)
    assert cache.stats().errors == 0


def test_a_connection_cut_while_the_loop_stood_still_costs_one_call_at_most(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    try:
        call(cache, "set", "k", 2)
    except BackendUnavailableError:
        call(cache, "set", "k", 2)
    assert call(cache, "get", "k") == 2


def test_a_flushed_script_is_sent_again(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    assert call(cache, "incr", "n") == 1
    server.command("SCRIPT", "FLUSH")
    assert call(cache, "incr", "n") == 2
    assert server.calls("incrby") == 2


def test_no_answer_of_a_call_that_timed_out_is_given_to_another(
    server: RedisServer, hasty: CacheManager, call: Caller
) -> None:
    call(hasty, "set_many", {f"k{number}": f"v{number}" for number in range(20)})
    server.pause()
    for number in range(3):
        begun = time.monotonic()
        failure(call, hasty, "get", f"k{number}")
        failure(call, hasty, "get_many", [f"k{number}"])
        assert time.monotonic() - begun < 2
    server.resume()
    for number in range(3, 20):
        assert call(hasty, "get", f"k{number}") == f"v{number}"
        assert call(hasty, "get_many", [f"k{number}"]) == {f"k{number}": f"v{number}"}
        assert call(hasty, "exists", f"k{number}") is True


async def test_tasks_in_flight_at_a_pause_leave_no_wrong_answer(server: RedisServer) -> None:
    backend = RedisBackend(server.url, socket_timeout=0.2, breaker=None)
    async with CacheManager(backend) as cache:
        await cache.aset_many({f"k{number}": number for number in range(50)})
        server.pause()
        reads = [cache.aget(f"k{number}") for number in range(10)]
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BackendUnavailableError}
        server.resume()
        for _ in range(3):
            again = [cache.aget(f"k{number}") for number in range(50)]
            assert await asyncio.gather(*again) == list(range(50))


def applied(server: RedisServer, command: str) -> int:
    """Return how often a command was called, once all that stood in sockets is done."""
    for _ in range(20):
        server.command("PING")
        time.sleep(0.005)
    return server.calls(command)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("incr", "n"), "incrby"),
        (("pop", "k"), "getdel"),
        (("add", "new", "x"), "set"),
        (("set", "k", "x"), "set"),
        (("delete", "k"), "unlink"),
        (("get", "k"), "get"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_nothing_is_sent_twice(
    server: RedisServer,
    hasty: CacheManager,
    call: Caller,
    arguments: tuple[Any, ...],
    command: str,
) -> None:
    fill(call, hasty, server)
    call(hasty, "incr", "n")
    call(hasty, "delete", "missing")
    before = {name: server.calls(name) for name in (command, "evalsha", "eval")}
    server.pause()
    failure(call, hasty, *arguments)
    server.resume()
    sent = applied(server, command) - before[command]
    assert sent <= 1
    assert server.calls("evalsha") - before["evalsha"] <= 1
    assert server.calls("eval") == before["eval"]
    assert hasty.stats().errors == 1
    if command == "incrby":
        assert call(hasty, "get", "n") == 2 + sent


def test_a_full_server_fails_writes_and_answers_reads(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache, server)
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", 1)
    for count, arguments in enumerate(WRITES, 1):
        assert "memory" in str(failure(call, cache, *arguments))
        assert cache.stats().errors == count
    error = failure(call, cache, "set_many", {"k": 1, "new": 2})
    assert error.failed == ["k", "new"]
    assert call(cache, "get", "k") == "value"
    assert call(cache, "get_many", ["k", "n", "new"]) == {"k": "value", "n": 1}
    assert (call(cache, "exists", "k"), call(cache, "ttl", "k")) == (True, None)
    assert call(cache, "count") == 2
    assert call(cache, "delete", "k") is True
    server.command("CONFIG", "SET", "maxmemory", 0)
    assert call(cache, "incr", "n") == 2


def test_set_many_tells_exactly_which_keys_are_not_stored(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    used = int(server.command("INFO", "memory")["used_memory"])
    server.command("CONFIG", "SET", "maxmemory", used + 4_000_000)
    values = {f"k{number}": bytes(500_000) for number in range(20)}
    error = failure(call, cache, "set_many", values)
    server.command("CONFIG", "SET", "maxmemory", 0)
    stored = call(cache, "get_many", values)
    assert 0 < len(stored) < 20
    assert error.failed == [key for key in values if key not in stored]
    assert cache.stats().errors == 1
    assert call(cache, "set_many", {key: values[key] for key in error.failed}) == []
    assert call(cache, "get_many", values) == values


def test_a_read_only_replica_fails_writes_and_answers_reads(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache, server)
    server.command("CONFIG", "SET", "replica-read-only", "yes")
    server.command("REPLICAOF", HOST, free_ports(1)[0])
    for arguments in [*WRITES, *REMOVALS]:
        assert "read only" in str(failure(call, cache, *arguments)).lower()
    assert failure(call, cache, "set_many", {"k": 1, "new": 2}).failed == ["k", "new"]
    assert failure(call, cache, "delete_many", ["k", "new"]).failed == ["k", "new"]
    assert call(cache, "get", "k") == "value"
    assert call(cache, "get_many", ["k", "n", "new"]) == {"k": "value", "n": 1}
    assert (call(cache, "exists", "k"), call(cache, "ttl", "k")) == (True, None)
    assert call(cache, "count") == 2
    server.command("REPLICAOF", "NO", "ONE")
    assert call(cache, "incr", "n") == 2


def test_a_server_that_lacks_replicas_fails_writes(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache, server)
    server.command("CONFIG", "SET", "min-replicas-to-write", 1)
    for arguments in WRITES:
        assert "replicas" in str(failure(call, cache, *arguments))
    server.command("CONFIG", "SET", "min-replicas-to-write", 0)
    assert call(cache, "incr", "n") == 2


@pytest.mark.parametrize("given", [WRONG, None], ids=["wrong", "missing"])
@pytest.mark.parametrize("user", ["", "nobody"])
def test_a_password_that_is_refused_stands_in_no_error(
    server: RedisServer, call: Caller, given: str | None, user: str
) -> None:
    server.command("CONFIG", "SET", "requirepass", RIGHT)
    login = "" if given is None else f"{user}:{quote(given, safe='')}@"
    with CacheManager(RedisBackend(f"redis://{login}{HOST}:{server.port}")) as cache:
        for arguments in [*READS, *WRITES, ("set_many", {"k": 1}), ("delete_many", ["k"])]:
            error = failure(call, cache, *arguments)
            assert f"{HOST}:{server.port}" in str(error)
            assert_hidden(error, WRONG, RIGHT)
        health = call(cache, "ping")
        assert health.ok is False
        assert WRONG not in repr(health)
        assert WRONG not in repr(cache)


def test_the_right_password_is_accepted(server: RedisServer, call: Caller) -> None:
    server.command("CONFIG", "SET", "requirepass", RIGHT)
    with CacheManager(RedisBackend(server.url, password=RIGHT)) as cache:
        assert call(cache, "incr", "k") == 1
        assert RIGHT not in repr(cache)


def test_a_password_that_is_taken_away_later_is_an_outage(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "k", 1)
    server.command("CONFIG", "SET", "requirepass", RIGHT)
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    error = failure(call, cache, "get", "k")
    assert isinstance(error.__cause__, redis.RedisError)
    assert_hidden(error, RIGHT)


def test_a_scan_over_a_quick_restart_sees_all(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    keys = {f"k{number}" for number in range(5_000)}
    call(cache, "set_many", dict.fromkeys(keys, 1))
    found: list[str] = []
    for key in call.scanning(cache):
        found.append(key)
        if len(found) == 1_000:
            server.command("SAVE")
            server.kill()
            server.start()
            call.wait()
    assert sorted(found) == sorted(keys)
