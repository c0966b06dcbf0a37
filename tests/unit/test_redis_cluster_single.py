"""RedisBackend on a cluster: single calls, which know their node, and the first of all calls."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fake_nodes import FakeCluster, FakeNode, bulk, running_fakes
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache._redis_line_pool import LARGE
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller
    from fake_nodes import Words

QUICK = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
PATIENT = {"socket_timeout": 30.0, "socket_connect_timeout": 30.0}
A_LITTLE = 3.0  # seconds that a busy machine may add
OK = b"+OK\r\n"
SCRIPTED = {
    "incr": b"*2\r\n" + bulk(b"7") + b":1\r\n",
    "touch": bulk(b"7"),
    "get": bulk(b"7"),
    "set": OK,
}
ANSWERS: dict[str, Any] = {"incr": 7, "touch": True, "get": 7, "set": True}
singles = pytest.mark.parametrize("name", list(ANSWERS))


@pytest.fixture
def fakes() -> Iterator[FakeCluster]:
    with running_fakes() as cluster:
        yield cluster


def opened(fakes: FakeCluster, **options: Any) -> CacheManager:
    return CacheManager(RedisBackend(fakes.url, **{**QUICK, **options}))


def done(call: Caller, cache: CacheManager, name: str, key: str) -> Any:
    return call(cache, name, key, *([1] if name == "set" else []))


def answer(nodes: list[FakeNode], name: str) -> None:
    for node in nodes:
        node.answer = lambda _: SCRIPTED[name]


def version_of(cache: CacheManager) -> int:
    found: int = cache.backend._store.routes._cluster.version  # type: ignore[attr-defined]
    return found


def looks(fakes: FakeCluster) -> int:
    return sum(words[0] == b"CLUSTER" for node in fakes.nodes for _, words in list(node.heard))


# --- single calls ---------------------------------------------------------------------


@singles
def test_a_single_call_whose_node_is_gone_is_done_by_who_serves_its_key_now(
    fakes: FakeCluster, call: Caller, name: str
) -> None:
    gone, heir, _ = fakes.nodes
    keys = fakes.keys(0, 2)
    with opened(fakes, **PATIENT) as cache:
        answer(fakes.nodes, name)
        assert done(call, cache, name, keys[0]) == ANSWERS[name]
        fakes.tell([heir, *fakes.nodes[1:]])
        gone.close()
        call.wait()
        time.sleep(0.3)  # the cluster is not looked at all the time
        heard = len(heir.commands)
        assert done(call, cache, name, keys[1]) == ANSWERS[name]
        assert len(heir.commands) == heard + 1
        assert cache.stats().errors == 0


def test_a_single_call_that_its_node_s_open_circuit_refuses_is_done_by_its_heir(
    fakes: FakeCluster, call: Caller
) -> None:
    gone, heir, _ = fakes.nodes
    (key,) = fakes.keys(0, 1)
    answer(fakes.nodes, "get")
    with opened(fakes) as cache:
        assert call(cache, "get", key) == 7
        gone.close()
        call.wait()
        for _ in range(6):
            with pytest.raises(BackendUnavailableError):
                call(cache, "get", key)
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            call(cache, "get", key)
        fakes.tell([heir, *fakes.nodes[1:]])
        time.sleep(0.3)  # the cluster is not looked at all the time
        assert call(cache, "get", key) == 7


def test_a_single_call_counts_a_failure_of_its_node_once(fakes: FakeCluster, call: Caller) -> None:
    (key,) = fakes.keys(0, 1)
    with opened(fakes) as cache:
        answer(fakes.nodes, "get")
        assert call(cache, "get", key) == 7
        fakes.nodes[0].answer = lambda _: b"-LOADING not yet\r\n"
        for _ in range(5):
            with pytest.raises(BackendUnavailableError, match="not yet"):
                call(cache, "get", key)
        with pytest.raises(BackendUnavailableError, match="circuit open"):
            call(cache, "get", key)


def test_an_answer_to_a_single_call_has_its_node_s_failures_counted_anew(
    fakes: FakeCluster, call: Caller
) -> None:
    (key,), (other,) = fakes.keys(0, 1), fakes.keys(1, 1)
    fakes.nodes[1].answer = lambda _: bulk(b"7")
    with opened(fakes) as cache:
        for _ in range(3):
            fakes.nodes[0].answer = lambda _: b"-LOADING not yet\r\n"
            for _ in range(4):
                with pytest.raises(BackendUnavailableError, match="not yet"):
                    call(cache, "get", key)
            fakes.nodes[0].answer = lambda _: bulk(b"7")
            time.sleep(0.3)  # so that the other call looks at the map, and finds it right
            assert [call(cache, "get", one) for one in (other, key)] == [7, 7]


def test_a_script_that_its_node_does_not_know_is_sent_to_it_once(
    fakes: FakeCluster, call: Caller
) -> None:
    (key,) = fakes.keys(0, 1)
    node = fakes.nodes[0]

    def forgetful(words: Words) -> bytes:
        return SCRIPTED["incr"] if words[0] == b"EVAL" else b"-NOSCRIPT No matching script.\r\n"

    node.answer = forgetful
    with opened(fakes, **PATIENT) as cache:
        assert call(cache, "incr", key) == 7
        assert [words[0] for words in node.commands] == [b"EVALSHA", b"EVAL"]


@singles
@pytest.mark.parametrize("kind", ["MOVED", "ASK"])
def test_a_single_call_that_is_sent_on_goes_there_once_and_is_noted(
    fakes: FakeCluster, call: Caller, name: str, kind: str
) -> None:
    here, there, _ = fakes.nodes
    (key,) = fakes.keys(0, 1)
    answer(fakes.nodes, name)
    with opened(fakes, **PATIENT) as cache:
        assert done(call, cache, name, key) == ANSWERS[name]
        noted = version_of(cache)
        assert done(call, cache, name, key) == ANSWERS[name]
        assert version_of(cache) == noted
        here.answer = lambda _: fakes.redirect(kind, key, there)
        assert done(call, cache, name, key) == ANSWERS[name]
        assert version_of(cache) == noted + 1
        asking = [b"ASKING"] if kind == "ASK" else []
        assert [words[0] for words in there.commands] == [*asking, here.commands[-1][0]]


def test_the_version_is_higher_before_a_command_goes_where_it_was_sent_on_to(
    fakes: FakeCluster, call: Caller
) -> None:
    here, there, _ = fakes.nodes
    (key,) = fakes.keys(0, 1)
    with opened(fakes, **PATIENT) as cache:
        answer(fakes.nodes, "get")
        call(cache, "get", key)
        before, seen = version_of(cache), []
        here.answer = lambda _: fakes.redirect("ASK", key, there)

        def look(_: Words) -> bytes:
            seen.append(version_of(cache))
            return bulk(b"7")

        there.answer = look
        assert call(cache, "get", key) == 7
        assert seen == [before + 1]


# --- large calls of a loop, which have a connection of their own -----------------------


@pytest.mark.parametrize("name", ["set", "set_many"])
async def test_a_large_call_that_finds_no_connection_is_done_by_who_serves_its_keys_now(
    fakes: FakeCluster, name: str
) -> None:
    gone, heir, other = fakes.nodes
    for node in fakes.nodes:
        node.answer = lambda _: OK
    keys = fakes.keys(0, 20)
    async with opened(fakes, **PATIENT) as cache:
        assert await cache.aset(keys[0], 1)
        gone.refuse()  # its line goes on
        fakes.tell([heir, heir, other])
        await asyncio.sleep(0.3)  # the cluster is not looked at all the time
        large = b"v" * LARGE
        if name == "set":
            assert await cache.aset(keys[0], large)
        else:
            assert await cache.aset_many(dict.fromkeys(keys, large)) == []
        assert len(gone.commands) == 1
        assert len(heir.commands) == (1 if name == "set" else 20)
        assert cache.stats().errors == 0


# --- the first calls, while nothing is known -------------------------------------------


async def test_the_cluster_is_looked_at_once_however_many_tasks_come_first(
    fakes: FakeCluster,
) -> None:
    answer(fakes.nodes, "get")
    async with opened(fakes, **PATIENT) as cache:
        keys = [f"k{number}" for number in range(200)]
        found = await asyncio.gather(*map(cache.aget, keys), cache.aget_many(keys))
        assert found == [7] * 200 + [dict.fromkeys(keys, 7)]
        assert looks(fakes) == 1


def test_the_cluster_is_looked_at_once_however_many_threads_come_first(fakes: FakeCluster) -> None:
    answer(fakes.nodes, "get")
    for node in fakes.nodes:
        node.greeting = 0.2
    together = threading.Barrier(32)

    def read(number: int) -> Any:
        together.wait(20)
        return cache.get(f"k{number}")

    with opened(fakes, **PATIENT) as cache, ThreadPoolExecutor(32) as pool:
        assert list(pool.map(read, range(32))) == [7] * 32
        assert looks(fakes) == 1


def test_a_first_look_that_fails_fails_for_all_who_wait_for_it(
    fakes: FakeCluster, call: Caller
) -> None:
    for node in fakes.nodes:
        node.is_silent = True

    def read(number: int) -> str:
        with pytest.raises(BackendUnavailableError) as caught:
            cache.get(f"k{number}")
        assert caught.value.__cause__ is not None
        return str(caught.value)

    async def aread(number: int) -> str:
        with pytest.raises(BackendUnavailableError) as caught:
            await cache.aget(f"k{number}")
        assert caught.value.__cause__ is not None
        return str(caught.value)

    async def all_tasks() -> list[str]:
        return await asyncio.gather(*map(aread, range(32)))

    with opened(fakes, breaker=None) as cache, ThreadPoolExecutor(32) as pool:
        begun = time.monotonic()
        told = (
            list(pool.map(read, range(32))) if call.runner is None else call.runner.run(all_tasks())
        )
        assert time.monotonic() - begun < 3 * 0.5 + A_LITTLE
        assert len(told) == 32
        assert not any("CLUSTERDOWN" in one for one in told)  # what the nodes did not say
        assert cache.stats().errors == 32
        # Each node was connected to by those alone who looked, few however many waited.
        assert sum(node._count for node in fakes.nodes) <= 6
        for node in fakes.nodes:
            node.is_silent, node.answer = False, lambda _: bulk(b"7")
        assert call(cache, "get", "k") == 7
