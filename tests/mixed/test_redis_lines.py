"""The asyncio face sends the commands of one turn together: who gets which reply, and when."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from line_server import bulk, line_server
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache._redis_lines import WINDOW
from symphra_cache.backends import RedisBackend

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


# --- together -------------------------------------------------------------------------


async def test_the_commands_of_one_turn_travel_in_one_packet_and_each_gets_its_reply(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    await cache.aset("first", 1)
    for _ in range(3):
        assert await asyncio.gather(*reads(cache, 200)) == list(range(200))
    (client,) = server.clients
    assert [len(packet) for packet in client.packets] == [1, 200, 200, 200]


async def test_all_who_come_while_it_connects_go_together(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    assert await asyncio.gather(*reads(cache, 1_000)) == list(range(1_000))
    (client,) = server.clients
    assert [command[1] for command in client.commands] == [
        b"symphra:k%d" % number for number in range(1_000)
    ]
    assert len(client.packets) <= 3


async def test_calls_of_one_task_reach_the_server_in_their_order(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered

    async def work(task: int) -> None:
        for turn in range(20):
            await cache.aset(f"k{task}", turn)

    await asyncio.gather(*(work(task) for task in range(50)))
    for task in range(50):
        name = b"symphra:k%d" % task
        written = [int(command[2]) for command in server.commands if command[1] == name]
        assert written == list(range(20))


async def test_no_more_is_under_way_than_the_window(
    server: LineServer, cache: CacheManager
) -> None:
    value = b"v" * 8_000
    writes = [asyncio.create_task(cache.aset(f"k{number}", value)) for number in range(200)]
    await server.until(WINDOW // 8_100)
    await asyncio.sleep(0.05)  # for what should not come
    (client,) = server.clients
    came = len(client.commands)
    assert WINDOW // 2 < came * len(value) <= WINDOW
    server.answer = lambda _: OK
    client.say(OK * came)
    await within(asyncio.gather(*writes))
    assert len(server.clients) == 1


async def test_who_waits_for_room_is_told_when_the_server_does_not_answer(
    server: LineServer,
) -> None:
    value = b"v" * 8_000
    async with made(server, socket_timeout=0.5) as cache:
        begun = time.monotonic()
        writes = [cache.aset(f"k{number}", value) for number in range(200)]
        outcomes = await within(asyncio.gather(*writes, return_exceptions=True))
        assert 0.4 < time.monotonic() - begun < 5
        assert {type(one) for one in outcomes} == {BackendUnavailableError}
        assert "waiting for others" in str(outcomes[-1])
        assert len(server.clients) == 1


async def test_a_bulk_call_of_nothing_sends_nothing_and_moves_no_reply(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    for _ in range(3):
        outcomes = await asyncio.gather(cache.aget("k1"), cache.aset_many({}), cache.aget("k2"))
        assert list(outcomes) == [1, [], 2]
    assert len(server.commands) == 6


async def test_small_bulk_calls_travel_with_the_others(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    await cache.aset("first", 1)
    outcomes = await asyncio.gather(
        cache.aget("k1"), cache.aset_many({"k2": 2, "k3": 3}), cache.aget("k4")
    )
    assert list(outcomes) == [1, [], 4]
    (client,) = server.clients
    assert [len(packet) for packet in client.packets] == [1, 4]


def slots(*servers: LineServer) -> bytes:
    """Return the reply to CLUSTER SLOTS of nodes that share the slots in equal parts."""
    share = 16_384 // len(servers)
    ranges = []
    for number, server in enumerate(servers):
        host, _, port = server.url.removeprefix("redis://").partition(":")
        last = 16_383 if server is servers[-1] else (number + 1) * share - 1
        node = b"*2\r\n" + bulk(host.encode()) + b":%d\r\n" % int(port)
        ranges.append(b"*3\r\n:%d\r\n:%d\r\n" % (number * share, last) + node)
    return b"*%d\r\n" % len(ranges) + b"".join(ranges)


async def test_on_a_cluster_each_node_gets_one_packet(server: LineServer) -> None:
    async with line_server() as other:
        told = slots(server, other)

        def answer(command: list[bytes]) -> bytes:
            return told if command[0] == b"CLUSTER" else numbered(command)

        server.answer = other.answer = answer
        url = server.url.replace("redis://", "redis+cluster://")
        async with CacheManager(RedisBackend(url, socket_timeout=10)) as cache:
            for _ in range(2):
                assert await within(asyncio.gather(*reads(cache, 200))) == list(range(200))
    last = [node.clients[0].packets[-1] for node in (server, other)]
    assert sum(len(packet) for packet in last) == 200
    assert [len(node.clients) for node in (server, other)] == [1, 1]


async def test_who_looks_at_a_cluster_first_may_be_cancelled_and_another_looks_for_all(
    server: LineServer,
) -> None:
    url = server.url.replace("redis://", "redis+cluster://")
    async with CacheManager(RedisBackend(url, socket_timeout=10)) as cache:
        tasks = reads(cache, 20)
        await server.until(1)
        await asyncio.sleep(0.05)  # for what should not come
        assert len(server.commands) == 1
        tasks[0].cancel()
        tasks[7].cancel()
        await server.until(2)
        server.answer = numbered
        server.clients[0].say(slots(server) * 2)
        outcomes = await within(asyncio.gather(*tasks, return_exceptions=True))
    for number, outcome in enumerate(outcomes):
        gone = number in (0, 7)
        assert isinstance(outcome, asyncio.CancelledError) if gone else outcome == number
    assert [command[0] for command in server.commands] == [b"CLUSTER"] * 2 + [b"GET"] * 18


# --- cancelled ------------------------------------------------------------------------


async def test_the_reply_for_a_cancelled_caller_is_read_and_reaches_nobody(
    server: LineServer, cache: CacheManager
) -> None:
    tasks = reads(cache, 10)
    await server.until(10)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.sleep(0)
    later = asyncio.create_task(cache.aget("k10"))
    await server.until(11)
    server.clients[0].say(b"".join(bulk(b"%d" % number) for number in range(11)))
    assert await within(later) == 10
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, asyncio.CancelledError) if number % 3 == 0 else outcome == number
    assert len(server.clients) == 1


async def test_a_command_that_is_cancelled_before_its_packet_leaves_is_not_sent(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    await cache.aset("k", 1)
    tasks = reads(cache, 3)
    await asyncio.sleep(0)  # they have asked, the turn is not over
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [False, True, False]
    assert [task.result() for task in tasks[::2]] == [0, 2]
    assert [command[1] for command in server.commands[1:]] == [b"symphra:k0", b"symphra:k2"]


async def test_cancelling_who_came_first_hurts_nobody_while_it_connects(
    server: LineServer, cache: CacheManager
) -> None:
    server.answer = numbered
    tasks = reads(cache, 5)
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await within(asyncio.gather(*tasks[1:])) == [1, 2, 3, 4]
    assert len(server.clients) == 1
