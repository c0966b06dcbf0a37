"""The circuit breaker of the Redis backend, against real servers that die and stand still."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redis_servers import HOST, RedisServer, free_ports, running_server, until
from symphra_cache import BackendUnavailableError, CacheManager, ConfigurationError
from symphra_cache.backends import CircuitBreaker, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

TIMEOUT = 0.2


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_server() as server:
        yield server


def hasty(server: RedisServer, **options: Any) -> CacheManager:
    return CacheManager(RedisBackend(server.url, socket_timeout=TIMEOUT, **options))


def seconds(call: Caller, cache: CacheManager, *words: Any) -> float:
    """Return how long a call took that failed."""
    begun = time.monotonic()
    with pytest.raises(BackendUnavailableError):
        call(cache, *words)
    return time.monotonic() - begun


def test_a_server_that_stands_still_costs_no_more_than_a_few_timeouts(
    server: RedisServer, call: Caller
) -> None:
    with hasty(server, breaker=CircuitBreaker(3, reset_after=60)) as cache:
        call(cache, "set", "k", 1)
        server.pause()
        slow = [seconds(call, cache, "get", "k") for _ in range(3)]
        quick = [seconds(call, cache, "get", "k") for _ in range(20)]
        assert min(slow) > TIMEOUT / 2
        assert sum(quick) < TIMEOUT
        server.resume()


def test_the_first_answer_closes_the_circuit(server: RedisServer, call: Caller) -> None:
    with hasty(server, breaker=CircuitBreaker(1, reset_after=0.3)) as cache:
        call(cache, "set", "k", 1)
        server.pause()
        seconds(call, cache, "get", "k")
        with pytest.raises(BackendUnavailableError, match="circuit open, next try in"):
            call(cache, "get", "k")
        server.resume()
        until(lambda: call(cache, "ping").ok, 5, server.log)
        assert [call(cache, "get", "k") for _ in range(10)] == [1] * 10


def test_one_call_a_period_probes(server: RedisServer, call: Caller) -> None:
    with hasty(server, breaker=CircuitBreaker(1, reset_after=0.5)) as cache:
        call(cache, "set", "k", 1)
        server.pause()
        seconds(call, cache, "get", "k")
        end = time.monotonic() + 2
        slow = 0
        while time.monotonic() < end:
            slow += seconds(call, cache, "get", "k") > TIMEOUT / 2
        assert 1 <= slow <= 5
        server.resume()


def test_a_server_that_is_not_there_is_found_soon_after_it_comes(
    server: RedisServer, call: Caller
) -> None:
    with hasty(server, breaker=CircuitBreaker(2, reset_after=5)) as cache:
        server.kill()
        for _ in range(50):
            seconds(call, cache, "get", "k")
        server.start()
        begun = time.monotonic()
        until(lambda: call(cache, "ping").ok, 10, server.log)
        assert time.monotonic() - begun < 3


def test_callers_that_wait_for_a_connection_do_not_all_wait_for_a_timeout(
    server: RedisServer,
) -> None:
    taken: list[float] = []

    def read() -> None:
        begun = time.monotonic()
        with pytest.raises(BackendUnavailableError):
            cache.get("k")
        taken.append(time.monotonic() - begun)

    with CacheManager(RedisBackend(server.url, socket_timeout=1)) as cache:
        cache.set("k", 1)
        server.pause()
        # Three times as many as there are connections.
        threads = [threading.Thread(target=read) for _ in range(192)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.resume()
    assert len(taken) == 192
    # Else some wait for two time-outs, or for three.
    assert max(taken) < 1.9


def test_answers_are_no_failures(server: RedisServer, call: Caller) -> None:
    server.command("CONFIG", "SET", "maxmemory", "1")
    with hasty(server, breaker=CircuitBreaker(1, reset_after=60)) as cache:
        for _ in range(3):
            with pytest.raises(BackendUnavailableError, match=r"OOM|maxmemory"):
                call(cache, "set", "k", "v")
        assert call(cache, "get", "k") is None


def test_a_wrong_password_is_told_each_time(server: RedisServer, call: Caller) -> None:
    url = f"redis://user:wrong@{HOST}:{server.port}"
    with CacheManager(RedisBackend(url, breaker=CircuitBreaker(1, 60))) as cache:
        for _ in range(3):
            with pytest.raises(BackendUnavailableError, match=r"(?i)invalid username|WRONGPASS"):
                call(cache, "get", "k")


def test_both_faces_share_the_circuit(server: RedisServer) -> None:
    import asyncio

    async def read() -> None:
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            await cache.aget("k")

    with hasty(server, breaker=CircuitBreaker(1, reset_after=60)) as cache:
        server.kill()
        with pytest.raises(BackendUnavailableError):
            cache.get("k")
        # Refused at once, the first probe comes after a tenth of the time: 6 s.
        asyncio.run(read())


def test_injected_clients_have_a_circuit_too(server: RedisServer) -> None:
    client = redis.Redis(port=server.port, socket_timeout=TIMEOUT)
    cache = CacheManager(RedisBackend(client=client, breaker=CircuitBreaker(1, 60)))
    assert cache.set("k", 1)
    server.kill()
    for _ in range(3):
        with pytest.raises(BackendUnavailableError):
            cache.get("k")
    with pytest.raises(BackendUnavailableError, match="circuit open"):
        cache.get("k")
    client.close()


def test_opening_and_closing_are_logged_once_each(
    server: RedisServer, call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "symphra_cache")
    with hasty(server, breaker=CircuitBreaker(2, reset_after=0.1)) as cache:
        server.kill()
        for _ in range(10):
            seconds(call, cache, "get", "k")
        server.start()
        until(lambda: call(cache, "ping").ok, 5, server.log)
        for _ in range(3):
            call(cache, "get", "k")
    opened, closed = (record.getMessage() for record in caplog.records)
    assert "the circuit is open" in opened
    assert "answers again" in closed


def test_a_server_of_which_nothing_is_known_but_its_port(call: Caller) -> None:
    port = free_ports(1)[0]
    with CacheManager(RedisBackend(host=HOST, port=port, breaker=None)) as cache:
        for _ in range(20):
            with pytest.raises(BackendUnavailableError, match=r"(?i)refused|connect"):
                call(cache, "get", "k")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failures": 0}, "failures must be a positive int, got int 0; breaker=None"),
        ({"failures": True}, "got bool True"),
        ({"failures": "5"}, "got str"),
        ({"reset_after": 0}, "reset_after must be seconds, finite and more than 0, got int 0"),
        ({"reset_after": float("nan")}, "got float nan"),
        ({"reset_after": float("inf")}, "got float inf"),
        ({"reset_after": True}, "got bool"),
        ({"reset_after": "1"}, "got str"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CircuitBreaker(**options)


@pytest.mark.parametrize("breaker", [5, "on", CircuitBreaker])
def test_what_is_no_breaker_is_refused(breaker: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"breaker must be a CircuitBreaker or None, got"):
        RedisBackend(breaker=breaker)
