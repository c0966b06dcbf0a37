"""What commands that share a connection do to each other: large ones, late ones, lost ones."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from line_server import bulk, line_server
from processes import in_child
from redis_servers import HOST, free_ports
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache._redis_line_pool import LARGE
from symphra_cache.backends import CircuitBreaker, RedisBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from line_server import LineServer

HUGE = 4_000_000
OK = b"+OK\r\n"


@pytest.fixture
async def server() -> AsyncIterator[LineServer]:
    async with line_server() as found:
        yield found


@pytest.fixture
async def cache(server: LineServer) -> AsyncIterator[CacheManager]:
    async with made(server) as found:
        yield found


def made(server: LineServer, **options: Any) -> CacheManager:
    options = {"socket_timeout": 30.0, "breaker": None, **options}
    return CacheManager(RedisBackend(server.url, **options))


def numbered(command: list[bytes]) -> bytes:
    """Answer a read of ``k7`` with 7, all else with OK."""
    return bulk(command[1].rpartition(b"k")[2]) if command[0] == b"GET" else OK


def reads(cache: CacheManager, count: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(cache.aget(f"k{number}")) for number in range(count)]


async def within(task: Any, seconds: float = 10) -> Any:
    return await asyncio.wait_for(task, seconds)


# --- large ----------------------------------------------------------------------------


async def test_a_large_command_has_a_connection_of_its_own(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = lambda command: None if len(command) > 2 else numbered(command)
    large = asyncio.create_task(cache.aset("large", b"v" * LARGE))
    await server.until(1)
    assert await asyncio.gather(*reads(cache, 20)) == list(range(20))
    assert not large.done()
    line, own = server.clients
    assert (len(line.commands), len(own.commands)) == (20, 1)
    own.say(OK)
    assert await within(large)


async def test_a_large_call_gives_its_connection_back(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    many = {f"k{number}": number for number in range(2_000)}
    for _ in range(3):
        assert await cache.aset("large", b"v" * LARGE)
        assert await cache.aset_many(many) == []
    assert len(server.clients) == 2
    assert len(server.commands) == 3 * 2_001


async def test_a_large_call_that_is_cancelled_is_cut_off_and_hurts_nobody(
    server: LineServer, cache: CacheManager
) -> None:
    large = asyncio.create_task(cache.aset("large", b"v" * LARGE))
    await server.until(1)
    server.answer = numbered
    large.cancel()
    await asyncio.wait([large])
    assert await within(cache.aset("large", b"v" * LARGE))
    assert await asyncio.gather(*reads(cache, 20)) == list(range(20))
    assert [client.is_open for client in server.clients] == [True, False, True]


async def test_a_large_value_has_its_time_to_be_sent_and_then_to_be_answered(
    server: LineServer,
) -> None:
    async with made(server, socket_timeout=1.0) as cache:
        server.answer = numbered
        await cache.aget("k1")
        server.answer = lambda _: None
        large = asyncio.create_task(cache.aset("large", b"v" * 30_000_000))
        async with asyncio.timeout(10):
            while len(server.clients) < 2:  # noqa: ASYNC110 - told by nobody
                await asyncio.sleep(0.001)
        own = server.clients[1]
        own.transport.pause_reading()
        await asyncio.sleep(0.6)
        own.transport.resume_reading()
        await server.until(2)
        await asyncio.sleep(0.6)
        own.say(OK)
        assert await within(large)


async def test_many_large_commands_leave_a_connection_for_small_ones(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = lambda command: None if len(command) > 2 else numbered(command)
    large = [asyncio.create_task(cache.aset(f"k{n}", b"v" * LARGE)) for n in range(100)]
    await server.until(10)
    assert await within(cache.aget("k1")) == 1
    server.clients[0].transport.close()
    await asyncio.sleep(0.05)
    assert await within(cache.aget("k1")) == 1
    for task in large:
        task.cancel()
    await asyncio.wait(large)


async def test_a_line_in_the_middle_of_a_large_reply_gets_no_new_commands(
    server: LineServer, cache: CacheManager
) -> None:
    huge = asyncio.create_task(cache.aget("huge"))
    await server.until(1)
    (line,) = server.clients
    line.say(b"$%d\r\n" % HUGE + b"1" * 1_000_000)
    await asyncio.sleep(0.1)
    server.answer = numbered
    assert await within(asyncio.gather(*reads(cache, 20))) == list(range(20))
    assert not huge.done()
    assert len(line.commands) == 1
    line.say(b"1" * (HUGE - 1_000_000) + b"\r\n")
    assert await within(huge) is None  # no value of ours
    await cache.aget("k1")
    assert len(line.commands) == 2
    assert len(server.clients) == 2


async def test_what_follows_a_cancelled_command_does_not_overtake_it_on_another_line(
    server: LineServer, cache: CacheManager
) -> None:
    huge = asyncio.create_task(cache.aget("huge"))
    write = asyncio.create_task(cache.aset("k", 1))
    await server.until(2)
    (line,) = server.clients
    line.say(b"$%d\r\n" % HUGE + b"1" * 1_000_000)
    await asyncio.sleep(0.1)
    write.cancel()
    await asyncio.wait([write])
    after = asyncio.create_task(cache.aset("k", 2))
    await server.until(3)
    assert [command[0] for command in line.commands] == [b"GET", b"SET", b"SET"]
    line.say(b"1" * (HUGE - 1_000_000) + b"\r\n" + OK * 2)
    await within(asyncio.gather(huge, after))


# --- time and loss --------------------------------------------------------------------


async def test_each_call_has_its_own_time_though_one_timer_watches(server: LineServer) -> None:
    async with made(server, socket_timeout=0.6) as cache:
        began = time.monotonic()
        first = asyncio.create_task(cache.aget("k1"))
        await asyncio.sleep(0.3)
        second = asyncio.create_task(cache.aget("k2"))
        with pytest.raises(BackendUnavailableError, match="Timeout"):
            await first
        assert 0.5 < time.monotonic() - began < 5
        assert not second.done()
        (client,) = server.clients
        client.say(bulk(b"1") + bulk(b"2"))
        assert await within(second) == 2
        # It has answered all; so it may be used on.
        server.answer = numbered
        assert await cache.aget("k3") == 3
        assert len(server.clients) == 1


async def test_a_line_whose_replies_are_late_gets_no_new_commands(server: LineServer) -> None:
    async with made(server, socket_timeout=0.5) as cache:
        first = asyncio.create_task(cache.aget("k1"))
        await asyncio.sleep(0.3)
        second = asyncio.create_task(cache.aget("k2"))
        with pytest.raises(BackendUnavailableError):
            await first
        server.answer = numbered
        assert await within(cache.aget("k3")) == 3
        late, line = server.clients
        assert (len(late.commands), len(line.commands)) == (2, 1)
        with pytest.raises(BackendUnavailableError, match="Timeout"):
            await second
        await asyncio.sleep(0.05)
        assert not late.is_open


@pytest.mark.parametrize("how", ["cut", "nonsense", "one too many"])
async def test_nothing_is_sent_twice_when_the_connection_is_lost(
    server: LineServer, cache: CacheManager, how: str
) -> None:
    tasks = [asyncio.create_task(cache.aincr("n")) for _ in range(20)]
    await server.until(20)
    (client,) = server.clients
    good = b"*2\r\n$1\r\n1\r\n:1\r\n"
    if how == "cut":
        client.say(good * 5)
        client.transport.close()
    elif how == "nonsense":
        client.say(good * 5 + b"?\r\n")
    else:
        client.say(good * 21)
    outcomes = await within(asyncio.gather(*tasks, return_exceptions=True))
    answered = 20 if how == "one too many" else 5
    assert outcomes[:answered] == [1] * answered
    assert {type(one) for one in outcomes[answered:]} <= {BackendUnavailableError}
    server.answer = numbered
    assert await cache.aget("k7") == 7
    assert len(server.commands) == 21
    assert len(server.clients) == 2


async def test_an_idle_line_that_the_server_closes_is_replaced_without_an_error(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    for number in range(1, 4):
        assert await cache.aget("k7") == 7
        assert len(server.clients) == number
        server.clients[-1].transport.close()
        await asyncio.sleep(0.05)


async def test_a_forked_child_sends_nothing_of_what_its_parent_was_about_to_send(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    await cache.aset("first", 1)
    tasks = reads(cache, 3)
    await asyncio.sleep(0)  # they have asked, the turn is not over

    pool = await cache.backend._store.pools.apool()  # type: ignore[attr-defined]

    def child() -> None:
        pool._flush()  # as the copy of the loop would
        assert not pool._lines

    in_child(child)
    assert await within(asyncio.gather(*tasks)) == [0, 1, 2]
    assert len(server.commands) == 4


async def test_an_error_reaches_its_caller_alone(server: LineServer, cache: CacheManager) -> None:
    def answer(command: list[bytes]) -> bytes:
        return b"-OOM full\r\n" if command[0] == b"SET" else numbered(command)

    server.answer = answer
    outcomes = await asyncio.gather(
        cache.aget("k1"), cache.aset("k2", 2), cache.aget("k3"), return_exceptions=True
    )
    assert (outcomes[0], outcomes[2]) == (1, 3)
    assert isinstance(outcomes[1], BackendUnavailableError)
    assert len(server.clients) == 1


async def test_all_who_wait_for_a_server_that_is_not_there_are_told_of_one_attempt() -> None:
    (port,) = free_ports(1)
    breaker = CircuitBreaker(failures=3, reset_after=60)
    async with CacheManager(RedisBackend(f"redis://{HOST}:{port}", breaker=breaker)) as cache:
        for _ in range(3):
            outcomes = await asyncio.gather(*reads(cache, 50), return_exceptions=True)
            assert {type(one) for one in outcomes} == {BackendUnavailableError}
            assert "circuit open" not in str(outcomes)
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            await cache.aget("k")


async def test_each_call_that_the_server_fails_counts_for_the_circuit(server: LineServer) -> None:
    breaker = CircuitBreaker(failures=3, reset_after=60)
    async with made(server, breaker=breaker) as cache:
        server.answer = lambda _: b"-LOADING not yet\r\n"
        outcomes = await asyncio.gather(*reads(cache, 3), return_exceptions=True)
        assert {type(one) for one in outcomes} == {BackendUnavailableError}
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            await cache.aget("k")
        assert len(server.commands) == 3


async def test_a_large_bulk_call_that_finds_no_connection_counts_once_for_the_circuit(
    server: LineServer,
) -> None:
    breaker = CircuitBreaker(failures=2, reset_after=60)
    many = {f"k{number}": b"v" * 1_000 for number in range(30)}
    async with made(server, breaker=breaker) as cache:
        server.answer = numbered
        await cache.aget("k1")
        server.refuse()
        for _ in range(2):
            with pytest.raises(BackendUnavailableError, match="Connect call failed") as caught:
                await cache.aset_many(many)
            assert caught.value.failed == list(many)
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            await cache.aget("k1")
        assert len(server.commands) == 1
