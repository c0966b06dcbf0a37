"""RedisBackend on nodes that do as they are told: redirects, lost and late replies, silence."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fake_nodes import CUT, SILENCE, FakeCluster, FakeNode, bulk, running_fakes
from redis_servers import until
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller
    from fake_nodes import Words

QUICK = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
PATIENT = {"socket_timeout": 30.0, "socket_connect_timeout": 30.0}
A_LITTLE = 3.0  # seconds that a busy machine may add


def number_of(words: Words) -> bytes:
    """Answer with the number that ends a command's key."""
    key = next(word for word in words if word.startswith(b"symphra:"))
    return bulk(key.partition(b":k")[2])


def numbers(keys: list[str]) -> dict[str, int]:
    return {key: int(key[1:]) for key in keys}


@pytest.fixture
def fakes() -> Iterator[FakeCluster]:
    with running_fakes() as cluster:
        for node in cluster.nodes:
            node.answer = number_of
        yield cluster


def opened(fakes: FakeCluster, **options: Any) -> CacheManager:
    return CacheManager(RedisBackend(fakes.url, **{**QUICK, **options}))


def failure(call: Caller, cache: CacheManager, *words: Any) -> BackendUnavailableError:
    with pytest.raises(BackendUnavailableError) as caught:
        call(cache, *words)
    return caught.value


@pytest.mark.parametrize("kind", ["MOVED", "ASK"])
def test_a_key_that_is_sent_to_and_fro_ends_in_an_error_soon(
    fakes: FakeCluster, call: Caller, kind: str
) -> None:
    (key,) = fakes.keys(0, 1)
    here, there, _ = fakes.nodes
    here.answer = lambda words: fakes.redirect(kind, key, there)
    there.answer = lambda words: fakes.redirect(kind, key, here)
    with opened(fakes, **PATIENT) as cache:
        told = str(failure(call, cache, "get", key))
        assert "sent on" in told
        assert 2 <= len(fakes.heard(b"GET")) <= 10
        (bulk_key, other) = (key, fakes.keys(2, 1)[0])
        assert failure(call, cache, "get_many", [bulk_key, other]).failed == [key]
        assert call(cache, "get", other) == int(other[1:])


def test_a_node_without_slots_is_asked_for_each_key_in_the_same_packet(call: Caller) -> None:
    with running_fakes(2, unknown=1) as fakes, opened(fakes, **PATIENT) as cache:
        stranger = fakes.unknown[0]
        keys = fakes.keys(0, 5)
        for node in fakes.nodes:
            node.answer = lambda words: fakes.redirect("ASK", "k", stranger)
        stranger.answer = number_of
        assert call(cache, "get_many", keys) == numbers(keys)
        assert call(cache, "get", keys[0]) == int(keys[0][1:])
        heard = [words[0] for words in stranger.commands]
        assert heard == [b"ASKING", b"GET"] * 6
        assert len({number for number, _ in stranger.heard}) == 1
        # It is an exception, which the map knows nothing of.
        assert len(fakes.nodes[0].commands) == 6


@pytest.mark.parametrize("how", ["cut", "silent"])
@pytest.mark.parametrize("name", ["incr", "pop", "add", "set", "delete", "get", "touch"])
def test_what_a_node_may_have_done_no_other_is_asked_to_do(
    fakes: FakeCluster, call: Caller, name: str, how: str
) -> None:
    (key,) = fakes.keys(0, 1)
    with opened(fakes) as cache:
        fakes.nodes[0].answer = lambda words: CUT if how == "cut" else SILENCE
        call(cache, "get", fakes.keys(1, 1)[0])
        # By now somebody else serves it.
        fakes.tell([fakes.nodes[1], *fakes.nodes[1:]])
        failure(call, cache, name, key, *([1] if name in ("add", "set") else []))
        sent = [
            words
            for node in fakes.nodes
            for words in node.commands
            if key.encode() in words[-1]
            or any(word == b"symphra:" + key.encode() for word in words)
        ]
        assert len(sent) == 1
        assert cache.stats().errors == 1
        # The next call finds who that is, though the cluster is not looked at all the time.
        time.sleep(0.3)
        assert call(cache, "get", key) == int(key[1:])


def test_a_bulk_call_fails_only_for_what_was_not_answered(fakes: FakeCluster, call: Caller) -> None:
    keys = [key for number in range(3) for key in fakes.keys(number, 4)]
    heard: list[Words] = []

    def two_then_cut(words: Words) -> bytes | None:
        heard.append(words)
        return b"+OK\r\n" if len(heard) <= 2 else CUT

    with opened(fakes) as cache:
        for node in fakes.nodes:
            node.answer = lambda words: b"+OK\r\n"
        fakes.nodes[1].answer = two_then_cut
        assert failure(call, cache, "set_many", dict.fromkeys(keys, 1)).failed == keys[6:8]
        assert cache.stats().sets == 10
        assert cache.stats().errors == 1


def test_a_reply_that_comes_late_is_given_to_nobody(fakes: FakeCluster, call: Caller) -> None:
    slow = fakes.nodes[1]
    keys = {number: fakes.keys(number, 10) for number in range(3)}
    late = threading.Event()

    def after_a_while(words: Words) -> bytes:
        late.wait(5)
        return number_of(words)

    with opened(fakes, breaker=None) as cache:
        slow.answer = after_a_while
        mixed = [keys[number][each] for each in range(5) for number in range(3)]
        assert failure(call, cache, "get_many", mixed).failed == keys[1][:5]
        failure(call, cache, "get", keys[1][0])
        slow.answer = number_of
        late.set()
        for key in keys[1] + keys[0]:
            assert call(cache, "get", key) == int(key[1:])
        assert call(cache, "get_many", mixed[::-1]) == numbers(mixed)


def test_a_node_that_is_slow_but_answers_in_time_costs_nobody_anything(
    fakes: FakeCluster, call: Caller
) -> None:
    """Both answer one command after the other: the whole takes longer than all time-outs."""
    first, second = fakes.keys(0, 6), fakes.keys(1, 10)

    def slowly(words: Words) -> bytes:
        time.sleep(0.2)
        return number_of(words)

    fakes.nodes[0].answer = fakes.nodes[1].answer = slowly
    with opened(fakes) as cache:
        assert call(cache, "get_many", [*first, *second]) == numbers([*first, *second])


def silence(node: FakeNode) -> None:
    """Have a node answer nothing any more, not even who connects."""
    node.is_silent = True


def test_two_silent_nodes_cost_one_call_two_time_outs_and_its_other_keys_nothing(
    fakes: FakeCluster, call: Caller
) -> None:
    keys = {number: fakes.keys(number, 2_000) for number in range(3)}
    mixed = [key for three in zip(*keys.values(), strict=True) for key in three]
    value = b"x" * 1_000
    with opened(fakes, breaker=None) as cache:
        assert call(cache, "get_many", mixed) == numbers(mixed)
        for node in fakes.nodes:
            node.answer = lambda words: bulk(value)
        for node in fakes.nodes[:2]:
            silence(node)
        for _ in range(2):  # the second time the connections have to be made
            begun = time.monotonic()
            failed = failure(call, cache, "get_many", mixed).failed
            assert time.monotonic() - begun < 2 * 0.5 + A_LITTLE
            assert set(failed) == set(keys[0] + keys[1])


def test_silent_nodes_fail_none_of_the_keys_of_others(call: Caller) -> None:
    """Nor does the look at the map, for which some of them may be asked first."""
    with running_fakes(8) as fakes, opened(fakes) as cache:
        *silent, answering = fakes.nodes
        answering.answer = number_of
        call(cache, "get_many", [fakes.keys(number, 1)[0] for number in range(8)])
        for node in silent:
            silence(node)
        time.sleep(0.3)
        failure(call, cache, "get", fakes.keys(0, 1)[0])
        for _ in range(2):
            time.sleep(0.3)
            begun = time.monotonic()
            key = fakes.keys(7, 1)[0]
            assert call(cache, "get", key) == int(key[1:])
            assert time.monotonic() - begun < 0.5 + A_LITTLE


def test_a_removal_of_many_costs_one_time_out_however_many(
    fakes: FakeCluster, call: Caller
) -> None:
    of_node = [fakes.keys(number, 1_500) for number in range(3)]
    keys = [key for three in zip(*of_node, strict=True) for key in three]
    with opened(fakes, breaker=None) as cache:
        for node in fakes.nodes:
            node.answer = lambda words: b"*1\r\n" + bulk(b"1")
        assert call(cache, "delete_many", keys) == 4_500
        silence(fakes.nodes[1])
        begun = time.monotonic()
        assert failure(call, cache, "delete_many", keys).failed == of_node[1]
        assert time.monotonic() - begun < 0.5 + A_LITTLE
        assert cache.stats().deletes == 4_500 + 3_000


@pytest.mark.parametrize("wait", [0.0, 0.002, 0.01, 0.05, 0.15])
async def test_cancelled_callers_leave_the_pools_whole(fakes: FakeCluster, wait: float) -> None:
    keys = [key for number in range(3) for key in fakes.keys(number, 40)]

    def slowly(words: Words) -> bytes:
        time.sleep(0.02)
        return number_of(words)

    async with opened(fakes, **PATIENT) as cache:
        for node in fakes.nodes:
            node.greeting, node.answer = 0.02, slowly
        shares = [keys[first::30] for first in range(30)] + [keys[first::4] for first in range(4)]
        tasks = [asyncio.create_task(cache.aget_many(share)) for share in shares]
        await asyncio.sleep(wait)
        for task in tasks[::2]:
            task.cancel()
        for node in fakes.nodes:
            node.greeting, node.answer = 0.0, number_of
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.result() for task in tasks[1::2]] == [numbers(share) for share in shares[1::2]]
        again = await asyncio.gather(*(cache.aget(key) for key in keys[:100]))
        assert again == [int(key[1:]) for key in keys[:100]]
        assert await cache.aget_many(keys) == numbers(keys)
        assert all(node.open <= 16 for node in fakes.nodes)


def test_a_scan_learns_of_a_node_that_takes_slots_while_it_is_under_way(call: Caller) -> None:
    with running_fakes(2, unknown=1) as fakes, opened(fakes, **PATIENT) as cache:
        staying, leaving, joining = *fakes.nodes, *fakes.unknown

        def answer(words: Words) -> bytes:
            if words[0] == b"INFO":
                return bulk(b"run_id:0123\r\n")
            return page() if words[0] == b"SCAN" else b"*1\r\n" + bulk(b"7")

        def leave(words: Words) -> bytes:
            if words[0] == b"SCAN":
                fakes.tell([staying, joining])
            return answer(words)

        def page(*names: bytes) -> bytes:
            return b"*2\r\n%s*%d\r\n%s" % (bulk(b"0"), len(names), b"".join(map(bulk, names)))

        staying.answer, leaving.answer = answer, leave
        joining.answer = lambda words: page(b"symphra:k") if words[0] == b"SCAN" else answer(words)
        assert call.scan(cache) == ["k"]


def test_connections_to_nodes_that_have_left_are_closed(fakes: FakeCluster, call: Caller) -> None:
    keys = [key for number in range(3) for key in fakes.keys(number, 3)]
    staying, leaving = fakes.nodes[:2], fakes.nodes[2]
    with opened(fakes) as cache:
        assert call(cache, "get_many", keys) == numbers(keys)
        assert leaving.open == 1
        fakes.tell([*staying, staying[1]])
        leaving.answer = lambda words: fakes.redirect("MOVED", keys[-1], staying[1])
        time.sleep(0.3)
        assert call(cache, "get_many", keys) == numbers(keys)
        assert call(cache, "get_many", keys) == numbers(keys)
        assert call(cache, "get_many", keys) == numbers(keys)
        call.wait()
        until(lambda: leaving.open == 0, 5, lambda: str(leaving.open))
        assert [node.open for node in staying] == [1, 1]
        heard = len(leaving.heard)
        assert call(cache, "ping").ok
        assert len(leaving.heard) == heard


def test_a_node_that_leaves_while_it_is_scanned_is_scanned_to_its_end(call: Caller) -> None:
    with running_fakes(2) as fakes, opened(fakes, **PATIENT) as cache:
        staying, leaving = fakes.nodes
        names = [f"symphra:{key}".encode() for key in fakes.keys(1, 2)]

        def page(cursor: bytes, *found: bytes) -> bytes:
            return b"*2\r\n%s*%d\r\n%s" % (bulk(cursor), len(found), b"".join(map(bulk, found)))

        def answer(words: Words) -> bytes:
            if words[0] == b"INFO":
                return bulk(b"run_id:0123\r\n")
            return page(b"0") if words[0] == b"SCAN" else b"*1\r\n" + bulk(b"7")

        def two_pages(words: Words) -> bytes:
            if words[0] != b"SCAN":
                return answer(words)
            return page(b"5", names[0]) if words[1] == b"0" else page(b"0", names[1])

        staying.answer, leaving.answer = answer, two_pages
        found = []
        for key in call.scanning(cache):
            found.append(key)
            fakes.tell([staying])
            # This looks at the map, and so closes what leads to nodes that have left.
            assert call(cache.namespace("other"), "count") == 0
        assert found == [name.decode().removeprefix("symphra:") for name in names]


async def test_a_silent_node_fails_its_own_keys_however_many_calls_wait_for_it(
    fakes: FakeCluster,
) -> None:
    keys = {number: fakes.keys(number, 5) for number in range(3)}
    mixed = [key for number in range(3) for key in keys[number]]

    async def many(cache: CacheManager) -> list[str]:
        with pytest.raises(BackendUnavailableError) as caught:
            await cache.aget_many(mixed)
        return caught.value.failed

    def many_blocking(cache: CacheManager) -> list[str]:
        with pytest.raises(BackendUnavailableError) as caught:
            cache.get_many(mixed)
        return caught.value.failed

    patience = 1.5
    limits = {"socket_timeout": patience, "socket_connect_timeout": patience}
    with opened(fakes, **limits) as cache, ThreadPoolExecutor(80) as pool:
        assert await cache.aget_many(mixed) == cache.get_many(mixed)
        silence(fakes.nodes[1])
        loop = asyncio.get_running_loop()
        begun = time.monotonic()
        bulks = [many(cache) for _ in range(60)]
        bulks += [loop.run_in_executor(pool, many_blocking, cache) for _ in range(80)]
        singles = [cache.aget(key) for key in (keys[0] + keys[2]) * 20]
        failed, found = await asyncio.gather(asyncio.gather(*bulks), asyncio.gather(*singles))
        assert time.monotonic() - begun < 2 * patience + A_LITTLE
    assert failed == [keys[1]] * 140
    assert found == [int(key[1:]) for key in (keys[0] + keys[2]) * 20]


def test_what_was_sent_in_part_is_not_sent_to_another(fakes: FakeCluster, call: Caller) -> None:
    deaf, heir, other = fakes.nodes
    keys = {number: fakes.keys(number, 40) for number in (0, 2)}
    goes_on = threading.Event()

    def hear_no_more(words: Words) -> bytes:
        goes_on.wait(20)
        return b"+OK\r\n"

    try:
        with opened(fakes, breaker=None) as cache:
            assert call(cache, "get_many", [keys[0][0], keys[2][0]])
            fakes.tell([heir, heir, other])
            deaf.answer = hear_no_more
            heir.answer = other.answer = lambda words: b"+OK\r\n"
            values = dict.fromkeys(keys[0] + keys[2], b"x" * 500_000)
            assert failure(call, cache, "set_many", values).failed == keys[0]
            assert cache.stats().sets == 40
            assert not heir.commands
    finally:
        goes_on.set()
