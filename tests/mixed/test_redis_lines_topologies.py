"""A shared connection on the ways that lead elsewhere: sentinels, a cluster, TLS, other loops."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from line_server import bulk, line_server
from redis_sentinel import NAME, SentinelServer
from redis_servers import HOST, QUICK_REPLICATION, running_server, shared_server, until
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from line_server import LineServer

OK = b"+OK\r\n"
HUGE = b"v" * 2_000_000
loops = pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def slots(*servers: LineServer) -> bytes:
    """Return the reply to CLUSTER SLOTS of nodes of which the first serves all."""
    host, _, port = servers[0].url.removeprefix("redis://").partition(":")
    node = b"*2\r\n" + bulk(host.encode()) + b":%d\r\n" % int(port)
    return b"*1\r\n*3\r\n:0\r\n:16383\r\n" + node


def number_of(command: list[bytes]) -> bytes:
    return bulk(command[1].rpartition(b"k")[2])


# --- sentinels ------------------------------------------------------------------------


async def test_one_refused_write_has_a_line_answer_what_it_owes_and_end() -> None:
    """A master that was demoted: its line is in doubt, and nobody else on it is hurt."""
    with (
        running_server(**QUICK_REPLICATION) as old,
        running_server(**QUICK_REPLICATION) as new,
    ):
        sentinel = SentinelServer(old.port)
        try:
            url = f"redis+sentinel://{HOST}:{sentinel.port}/{NAME}"
            async with CacheManager(RedisBackend(url, client_name="ours", breaker=None)) as cache:
                assert await cache.aset_many({f"k{number}": number for number in range(50)}) == []
                old.command("REPLICAOF", HOST, new.port)
                new.command("MSET", *[word for n in range(50) for word in (f"symphra:k{n}", n)])
                until(lambda: old.command("ROLE")[3] == b"connected", 20, old.log)
                until(lambda: old.command("DBSIZE") == 50, 20, old.log)
                sentinel.ask("REMOVE")
                sentinel.command("SENTINEL", "MONITOR", NAME, HOST, new.port, 2)
                reads = [cache.aget(f"k{number}") for number in range(50)]
                outcomes = await asyncio.gather(
                    *reads[:25], cache.aset("w", 1), *reads[25:], return_exceptions=True
                )
                refused = outcomes.pop(25)
                assert isinstance(refused, BackendUnavailableError)
                assert "read only" in str(refused)
                assert outcomes == list(range(50))
                # One refusal is enough: all that comes now goes to the new master.
                assert (
                    await asyncio.gather(
                        *(cache.aset(f"w{number}", number) for number in range(50))
                    )
                    == [True] * 50
                )
                assert new.command("EXISTS", "symphra:w49") == 1
                assert old.command("CLIENT", "LIST").count(b" name=ours ") == 0
        finally:
            sentinel.close()


# --- a cluster ------------------------------------------------------------------------


async def test_nothing_comes_between_asking_and_its_command_however_many_share_the_line() -> None:
    """Each call of a moving slot, of one key or of many, beside calls of the node's own."""
    async with line_server() as source, line_server() as target:
        host, _, port = target.url.removeprefix("redis://").partition(":")

        def redirect(command: list[bytes]) -> bytes:
            if command[0] == b"CLUSTER":
                return slots(source)
            return f"-ASK 1 {host}:{port}\r\n".encode()

        def answer(command: list[bytes]) -> bytes:
            return OK if command[0] == b"ASKING" else number_of(command)

        source.answer, target.answer = redirect, answer
        url = source.url.replace("redis://", "redis+cluster://")
        async with CacheManager(RedisBackend(url, socket_timeout=10, breaker=None)) as cache:
            singles = [cache.aget(f"k{number}") for number in range(100)]
            bulks = [cache.aget_many([f"k{n}", f"k{n + 1}"]) for n in range(100, 120, 2)]
            async with asyncio.timeout(20):
                found = await asyncio.gather(*singles, *bulks)
            assert found[:100] == list(range(100))
            assert found[100:] == [{f"k{n}": n, f"k{n + 1}": n + 1} for n in range(100, 120, 2)]
            heard = [command[0] for command in target.commands]
            assert heard == [b"ASKING", b"GET"] * 120
            assert len(target.clients) == 1
            before = len(heard)
            # Of those that are cancelled before their packet leaves both parts go, or neither.
            tasks = [asyncio.create_task(cache.aget(f"k{number}")) for number in range(60)]
            await source.until(1 + 120 + 60)
            for turn in range(8):
                for task in tasks[turn::20]:
                    task.cancel()
                await asyncio.sleep(0)
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for number, outcome in enumerate(outcomes):
            assert isinstance(outcome, asyncio.CancelledError) or outcome == number
        heard = [command[0] for command in target.commands[before:]]
        assert heard == [b"ASKING", b"GET"] * (len(heard) // 2)


# --- other transports -----------------------------------------------------------------


def run(work: Any, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(work)


@loops
@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_a_line_over_tls_and_on_other_loops(way: str, make_loop: Any) -> None:
    """Many tasks, large values beside them, a connection that is cut, and the way back."""
    server = shared_server().fresh()
    url = {"tcp": server.url, "tls": server.tls_url}[way]
    options = {"ssl_ca_certs": server.ca} if way == "tls" else {}
    values = {f"k{number}": number for number in range(200)}

    async def work() -> None:
        backend = RedisBackend(url, client_name="ours", breaker=None, **options)
        async with CacheManager(backend) as cache:
            await asyncio.gather(*(cache.aset(key, value) for key, value in values.items()))
            await cache.aset("huge", HUGE)
            for turn in range(4):
                reads = asyncio.gather(*map(cache.aget, values), cache.aget("huge"))
                assert await asyncio.wait_for(reads, 20) == [*values.values(), HUGE]
                if turn == 0:  # a line, and one for what is large
                    assert server.command("CLIENT", "LIST").count(b" name=ours ") <= 3
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await asyncio.sleep(0.05)
            tasks = [asyncio.create_task(cache.aget(key)) for key in values]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert outcomes[1::2] == list(values.values())[1::2]
            assert await asyncio.gather(*map(cache.aget, values)) == [*values.values()]

    run(work(), make_loop)
    assert server.command("CLIENT", "LIST").count(b" name=ours ") == 0


# --- at random ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_is_cancelled_and_however_replies_are_cut_each_gets_his_own(
    seed: int,
) -> None:
    dice = random.Random(seed)
    async with line_server() as server:
        waiting = bytearray()

        def answer(command: list[bytes]) -> None:
            if command[0] == b"GET":
                waiting.extend(number_of(command))
            elif command[0] == b"MGET":
                waiting.extend(b"*%d\r\n" % (len(command) - 1))
                waiting.extend(b"".join(number_of([b"", name]) for name in command[1:]))
            else:
                waiting.extend(OK)

        server.answer = answer
        async with CacheManager(RedisBackend(server.url, socket_timeout=20)) as cache:

            async def call(number: int) -> bool:
                kind = number % 4
                if kind == 0:
                    return await cache.aget_many([f"k{number}", "k5"]) == {
                        f"k{number}": number,
                        "k5": 5,
                    }
                if kind == 1:
                    return await cache.aset_many({f"k{number}": 1, "k2": 2}) == []
                return bool(await cache.aget(f"k{number}") == number)

            tasks: list[asyncio.Task[bool]] = []
            left: set[int] = set()
            while len(tasks) < 400 or waiting or not all(task.done() for task in tasks):
                for _ in range(dice.randrange(30) if len(tasks) < 400 else 0):
                    tasks.append(asyncio.create_task(call(len(tasks) + 10)))
                if tasks and dice.random() < 0.5:
                    number = dice.randrange(len(tasks))
                    if tasks[number].cancel():
                        left.add(number)
                if server.clients and waiting:
                    size = dice.randrange(1, len(waiting) + 1)
                    server.clients[0].say(bytes(waiting[:size]))
                    del waiting[:size]
                await asyncio.sleep(0 if dice.random() < 0.7 else 0.001)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert len(server.clients) == 1
    for number, outcome in enumerate(outcomes):
        assert outcome is True or (number in left and isinstance(outcome, asyncio.CancelledError))
    assert outcomes.count(True) > 200
