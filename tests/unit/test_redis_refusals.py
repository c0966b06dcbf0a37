"""What each operation makes of each way in which a server can fail it, in both modes.

A fake server plays them all, those too that a real one shows in passing only; it counts what it
gets. The second half has real servers: busy, forbidden, alone in a cluster, without a master.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from faulty import on_a_slow_machine, outages_of
from redis_servers import HOST, RedisServer, free_ports, running_server, until
from scripted_redis import RESET, SILENCE, ScriptedRedis, scripted_redis
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

# How a server fails: what it answers, and whether it hangs up after that.
FAULTS: dict[str, tuple[bytes | None, bool]] = {
    "reset": (RESET, False),
    "timed out": (SILENCE, False),
    "hung up": (b"", True),
    "cut off": (b"$100\r\nabc", True),
    "garbage": (b"?what\r\n", True),
    "LOADING": (b"-LOADING Redis is loading the dataset in memory\r\n", False),
    "READONLY": (b"-READONLY You can't write against a read only replica.\r\n", False),
    "OOM": (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", False),
    "MISCONF": (b"-MISCONF Redis is configured to save RDB snapshots\r\n", False),
    "NOREPLICAS": (b"-NOREPLICAS Not enough good replicas to write.\r\n", False),
    "NOAUTH": (b"-NOAUTH Authentication required.\r\n", False),
    "WRONGPASS": (b"-WRONGPASS invalid username-password pair\r\n", False),
    "NOPERM": (b"-NOPERM this user has no permissions to run the command\r\n", False),
    "MOVED": (b"-MOVED 3999 127.0.0.1:1\r\n", False),
    "ASK": (b"-ASK 3999 127.0.0.1:1\r\n", False),
    "TRYAGAIN": (b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", False),
    "CLUSTERDOWN": (b"-CLUSTERDOWN The cluster is down\r\n", False),
    "MASTERDOWN": (b"-MASTERDOWN Link with MASTER is down\r\n", False),
    "BUSY": (b"-BUSY Redis is busy running a script.\r\n", False),
    "ERR": (b"-ERR something else\r\n", False),
}

# Each operation: what it sends at the most, the keys it tells of, its answer when it degrades.
RAISES = object()
CALLS: list[tuple[str, tuple[Any, ...], dict[str, int], list[str], Any]] = [
    ("get", ("k", "default"), {"GET": 1}, [], "default"),
    ("set", ("k", "v"), {"SET": 1}, [], True),
    ("set", ("k", "v", 60), {"SET": 1}, [], True),
    ("set", ("k", "v", 0), {"UNLINK": 1}, [], True),
    ("add", ("k", "v"), {"SET": 1}, [], RAISES),
    ("incr", ("k",), {"EVALSHA": 1}, [], RAISES),
    ("decr", ("k", 5), {"EVALSHA": 1}, [], RAISES),
    ("pop", ("k", "default"), {"GETDEL": 1}, [], "default"),
    ("delete", ("k",), {"EVALSHA": 1}, [], False),
    ("exists", ("k",), {"GETRANGE": 1}, [], False),
    ("touch", ("k", 60), {"EVALSHA": 1}, [], False),
    ("touch", ("k", 0), {"EVALSHA": 1}, [], False),
    ("ttl", ("k",), {"EVALSHA": 1}, [], 0.0),
    ("get_many", (["a", "b"],), {"MGET": 1}, ["a", "b"], {}),
    ("set_many", ({"a": 1, "b": 2},), {"SET": 2}, ["a", "b"], ["a", "b"]),
    ("set_many", ({"a": 1, "b": 2}, 0), {"EVALSHA": 1}, ["a", "b"], ["a", "b"]),
    ("delete_many", (["a", "b"],), {"EVALSHA": 1}, ["a", "b"], 0),
    ("delete_matching", ("*",), {"SCAN": 1, "INFO": 1}, [], 0),
    ("count", (), {"SCAN": 1, "INFO": 1}, [], 0),
    ("clear", (), {"SCAN": 1, "INFO": 1}, [], 0),
    ("scan", (), {"SCAN": 1, "INFO": 1}, [], []),
]
calls = pytest.mark.parametrize(
    ("name", "arguments", "sends", "failed", "answer"),
    CALLS,
    ids=[f"{name}-{len(arguments)}" for name, arguments, *_ in CALLS],
)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedRedis]:
    with scripted_redis() as server:
        yield server


def ask(call: Caller, cache: CacheManager, name: str, arguments: tuple[Any, ...]) -> Any:
    return call.scan(cache) if name == "scan" else call(cache, name, *arguments)


def assert_refused(
    call: Caller, cache: CacheManager, name: str, arguments: tuple[Any, ...], failed: list[str]
) -> BackendUnavailableError:
    """The call must raise, and tell why and of which keys."""
    with pytest.raises(BackendUnavailableError) as caught:
        ask(call, cache, name, arguments)
    assert isinstance(caught.value.__cause__, (redis.RedisError, OSError))
    assert caught.value.failed == failed
    assert cache.stats()[:6] == (0, 0, 0, 0, 0, 1)  # one error, and above all no miss
    return caught.value


def assert_degraded(
    call: Caller, cache: CacheManager, name: str, arguments: tuple[Any, ...], answer: Any
) -> None:
    """The call must answer as the contract lists it, or raise if it has no answer."""
    if answer is RAISES:
        assert_refused(call, cache, name, arguments, [])
        return
    found = ask(call, cache, name, arguments)
    assert (found, type(found)) == (answer, type(answer))
    assert cache.stats()[:6] == (0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("fault", FAULTS)
@calls
def test_a_server_that_fails(
    scripted: ScriptedRedis,
    call: Caller,
    fault: str,
    name: str,
    arguments: tuple[Any, ...],
    sends: dict[str, int],
    failed: list[str],
    answer: Any,
) -> None:
    is_slow = fault == "timed out"

    def backend() -> RedisBackend:
        scripted.misbehave(*FAULTS[fault])
        return RedisBackend(scripted.url, socket_timeout=0.1 if is_slow else 10)

    def assert_sent_once() -> None:
        sent = Counter(scripted.commands)
        assert sent or is_slow  # on a busy machine even the greeting may take too long
        assert sent <= Counter(sends)

    with CacheManager(backend()) as cache:
        assert_refused(call, cache, name, arguments, failed)
        assert_sent_once()
    with CacheManager(backend(), on_outage="degrade") as cache:
        assert_degraded(call, cache, name, arguments, answer)
        assert_sent_once()


@calls
def test_a_server_that_is_not_there(
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    sends: dict[str, int],
    failed: list[str],
    answer: Any,
) -> None:
    url = f"redis://{HOST}:{free_ports(1)[0]}"
    with CacheManager(RedisBackend(url)) as cache:
        assert_refused(call, cache, name, arguments, failed)
    with CacheManager(RedisBackend(url), on_outage="degrade") as cache:
        assert_degraded(call, cache, name, arguments, answer)


# --- real servers -----------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_server() as server:
        yield server


def refuses(
    call: Caller, url: str, code: str, names: set[str] | None = None, **options: Any
) -> None:
    """Every operation, or those named, must be refused with this code, in both modes."""
    for name, arguments, _, failed, answer in CALLS:
        if names is not None and name not in names:
            continue
        with CacheManager(RedisBackend(url, **options)) as cache:
            error = assert_refused(call, cache, name, arguments, failed)
            assert re.search(code, str(error))
        with CacheManager(RedisBackend(url, **options), on_outage="degrade") as cache:
            assert_degraded(call, cache, name, arguments, answer)


def test_a_server_busy_with_a_script(server: RedisServer, call: Caller) -> None:
    server.command("CONFIG", "SET", "lua-time-limit", 1)
    endless = redis.Redis(unix_socket_path=str(server.socket), retry=None)

    def run() -> None:
        with suppress(redis.RedisError):
            endless.eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: is_busy(server), 10, server.log)
        refuses(call, server.url, "busy", socket_timeout=10)
    finally:
        server.command("SCRIPT", "KILL")
        thread.join(20)
        endless.close()
    with CacheManager(RedisBackend(server.url)) as cache:
        assert call(cache, "get", "k", "free again") == "free again"


def is_busy(server: RedisServer) -> bool:
    try:
        server.command("PING")
    except redis.ResponseError as error:
        return str(error).startswith("BUSY") or "busy" in str(error)
    return False


def test_a_user_who_may_do_nothing(server: RedisServer, call: Caller) -> None:
    server.command("ACL", "SETUSER", "nobody", "on", ">secret", "~*", "-@all", "+hello")
    refuses(call, server.url, "permissions", username="nobody", password="secret")


def test_a_node_that_is_alone_in_its_cluster(call: Caller) -> None:
    with running_server(cluster_enabled="yes") as server:
        scanning = {"scan", "count", "clear", "delete_matching"}
        keyed = {name for name, *_ in CALLS} - scanning - {"get_many", "delete_many", "set_many"}
        refuses(call, server.url, "Hash slot not served", keyed)


def test_a_replica_without_its_master(call: Caller) -> None:
    with running_server(replica_serve_stale_data="no") as server:
        server.command("REPLICAOF", HOST, free_ports(1)[0])
        refuses(call, server.url, "MASTER is down", {"get", "get_many", "exists", "count", "scan"})
        refuses(call, server.url, "(?i)master is down|read only", {"set", "set_many", "pop"})


# --- degrading on real servers ------------------------------------------------------------


@pytest.fixture
def hasty(server: RedisServer) -> Iterator[CacheManager]:
    backend = RedisBackend(server.url, socket_timeout=0.2)
    with CacheManager(backend, on_outage="degrade") as cache:
        yield cache


REPLACED: list[tuple[Any, ...]] = [
    ("set", "k", "new"),
    ("set_many", {"k": "new"}),
    ("delete", "k"),
    ("pop", "k"),
    ("touch", "k", 60),
    ("clear",),
]


@pytest.mark.parametrize("arguments", REPLACED, ids=lambda words: words[0])
def test_a_paused_server_never_shows_what_was_there_before(
    server: RedisServer, hasty: CacheManager, call: Caller, arguments: tuple[Any, ...]
) -> None:
    call(hasty, "set_many", {"k": "old", "other": "old"})
    server.pause()
    begun = time.monotonic()
    call(hasty, *arguments)
    assert call(hasty, "get", "other", "out") == "out"  # the removal is tried, and nothing else
    assert time.monotonic() - begun < 2
    server.resume()
    until(lambda: call(hasty, "get", "k", "gone") == "gone", 10, server.log)
    until(lambda: not outages_of(hasty).owes("symphra", "k"), 10, server.log)
    assert call(hasty, "get", "k", "gone") == "gone"
    assert server.command("EXISTS", "symphra:k") == 0
    assert call(hasty, "get", "other", "gone") == ("gone" if arguments == ("clear",) else "old")
    assert call(hasty, "set", "k", "newest") is True
    assert call(hasty, "get", "k") == "newest"


def test_a_server_that_was_killed_is_used_again(server: RedisServer, call: Caller) -> None:
    with CacheManager(RedisBackend(server.url), on_outage="degrade") as cache:
        assert call(cache, "set", "k", 1) is True
        server.kill()
        assert call(cache, "set", "k", 2) is True
        assert call(cache, "get", "k", "out") == "out"
        server.start()
        until(lambda: call(cache, "set", "k", 3) and call(cache, "get", "k") == 3, 10, server.log)


def test_a_full_server_goes_on_with_what_it_has(
    server: RedisServer, hasty: CacheManager, call: Caller
) -> None:
    call(hasty, "set_many", {"k": "old", "other": "old"})
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", 1)
    for _ in range(3):
        assert call(hasty, "set", "k", "new") is True
        assert call(hasty, "get", "k", "gone") == "gone"
        assert call(hasty, "get", "other") == "old"
    assert server.command("EXISTS", "symphra:k") == 0


def test_a_replica_that_became_read_only_goes_on_with_what_is_right(
    server: RedisServer, hasty: CacheManager, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_slow_machine(monkeypatch)
    call(hasty, "set_many", {"k": "old", "other": "old"})
    server.command("REPLICAOF", HOST, free_ports(1)[0])
    for _ in range(3):
        assert call(hasty, "set", "k", "new") is True
        assert call(hasty, "get", "k", "gone") == "gone"
        assert call(hasty, "get_many", ["k", "other"]) == {"other": "old"}
    assert server.command("EXISTS", "symphra:k") == 1
    server.command("REPLICAOF", "NO", "ONE")
    assert call(hasty, "get", "other") == "old"
    assert server.command("EXISTS", "symphra:k") == 0
