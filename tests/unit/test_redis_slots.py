"""Which node serves a slot, and how a call is sent on. No server here, but for the last test."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions
from redis.crc import key_slot

from redis_cluster import shared_cluster
from symphra_cache import CacheManager
from symphra_cache._redis_cluster import Cluster, ClusterCall
from symphra_cache._redis_slots import SLOTS, read_slots, slot_of, told_host
from symphra_cache._redis_unsent import mark_unsent
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symphra_cache._redis_cluster import Batch
    from symphra_cache._redis_slots import Address

ASKED = ("asked", 1)
A, B, C, D = [("node", port) for port in (7001, 7002, 7003, 7004)]
# One for each third of the slots; see `cluster`.
IN_A, IN_B, IN_C = b"symphra:{b}", b"symphra:{c}", b"symphra:{a}"


def row(first: int, last: int, host: Any, port: int) -> list[Any]:
    """Return a line of ``CLUSTER SLOTS``: the primary, then a replica."""
    primary = [host, port, b"id", [b"hostname", b"name"]]
    return [first, last, primary, [b"replica", 9, b"id", []]]


@given(
    st.dictionaries(
        st.integers(0, SLOTS - 1), st.tuples(st.sampled_from("abc"), st.integers(1, 3)), min_size=1
    )
)
def test_a_map_is_what_was_told(owners: dict[int, tuple[str, int]]) -> None:
    rows = [row(slot, slot, host.encode(), port) for slot, (host, port) in owners.items()]
    found = read_slots(rows, ASKED)
    assert found is not None
    assert found.owners == [owners.get(slot) for slot in range(SLOTS)]
    assert found.primaries == frozenset(owners.values())


@given(st.lists(st.integers(1, SLOTS - 1), unique=True, max_size=20))
def test_ranges_include_both_ends(bounds: list[int]) -> None:
    edges = [0, *sorted(bounds), SLOTS]
    ranges = list(pairwise(edges))
    rows = [row(first, after - 1, "host", port) for port, (first, after) in enumerate(ranges)]
    found = read_slots(rows, ASKED)
    assert found is not None
    assert None not in found.owners
    for port, (first, after) in enumerate(ranges):
        assert set(found.owners[first:after]) == {("host", port)}


def test_a_node_that_knows_of_no_slot_has_no_map() -> None:
    assert read_slots([], ASKED) is None


@pytest.mark.parametrize("left_out", [None, "", b"", "?", b"?"])
def test_a_host_that_is_left_out_is_the_one_that_was_asked(left_out: bytes | str | None) -> None:
    assert told_host(left_out, ASKED) == "asked"
    found = read_slots([row(0, 9, left_out, 7001), row(10, 19, b"::1", 7002)], ASKED)
    assert found is not None
    assert found.owners[:20] == [("asked", 7001)] * 10 + [("::1", 7002)] * 10


def cluster() -> Cluster:
    """Return one that A, B and C serve."""
    found = Cluster([A], None, 60)
    thirds = (0, 5_460, 10_922, SLOTS)
    rows = [
        row(thirds[n], thirds[n + 1] - 1, host, port) for n, (host, port) in enumerate([A, B, C])
    ]
    found.slots, found.is_stale = read_slots(rows, ASKED), False
    return found


def call(known: Cluster, names: Sequence[bytes]) -> ClusterCall:
    return ClusterCall(known, names, [("GET", name) for name in names], known.deadline())


def sent(turn: Sequence[Batch]) -> list[tuple[Address, list[str]]]:
    """Return where what goes: the keys, ``!`` for ``ASKING``."""
    return [
        (
            batch.address,
            [
                "!" if words[0] == "ASKING" else words[1].decode().removeprefix("symphra:")
                for words in batch.commands
            ],
        )
        for batch in turn
    ]


def moved(slot: int, to: Address) -> Exception:
    return exceptions.MovedError(f"{slot} {to[0]}:{to[1]}")


def ask(slot: int, to: Address) -> Exception:
    return exceptions.AskError(f"{slot} {to[0]}:{to[1]}")


def test_replies_stand_where_their_commands_stood() -> None:
    names = [IN_C, IN_A, IN_C + b"2", IN_B, IN_A + b"2"]
    one = call(cluster(), names)
    turn = one.batches()
    assert sent(turn) == [(A, ["{b}", "{b}2"]), (B, ["{c}"]), (C, ["{a}", "{a}2"])]
    for batch in reversed(turn):
        one.answered(batch, [words[1] for words in batch.commands])
    assert one.is_done
    assert not one.has_unsent
    assert one.replies == names


def test_what_was_moved_is_sent_on_and_remembered() -> None:
    known = cluster()
    one = call(known, [IN_A, IN_B])
    first, second = one.batches()
    one.answered(first, [moved(key_slot(IN_A), B)])
    one.answered(second, [b"2"])
    (again,) = one.batches()
    assert sent([again]) == [(B, ["{b}"])]
    one.answered(again, [b"1"])
    assert one.is_done
    assert one.replies == [b"1", b"2"]
    assert sent(call(known, [IN_A]).batches()) == [(B, ["{b}"])]
    # More may have moved with it.
    assert known.is_stale


def test_a_move_leads_to_a_node_that_was_unknown() -> None:
    known = cluster()
    one = call(known, [IN_A])
    one.answered(one.batches()[0], [moved(key_slot(IN_A), D)])
    assert sent(one.batches()) == [(D, ["{b}"])]


def test_asking_goes_before_each_command_that_needs_it_and_is_not_remembered() -> None:
    known = cluster()
    one = call(known, [IN_A, IN_B, IN_A + b"2", IN_A + b"3"])
    first, second = one.batches()
    slot = key_slot(IN_A)
    one.answered(first, [ask(slot, B), b"2", ask(slot, B)])
    one.answered(second, [b"B"])
    (again,) = one.batches()
    assert sent([again]) == [(B, ["!", "{b}", "!", "{b}3"])]
    one.answered(again, [b"OK", b"1", b"OK", b"3"])
    assert one.is_done
    assert one.replies == [b"1", b"B", b"2", b"3"]
    assert sent(call(known, [IN_A]).batches()) == [(A, ["{b}"])]
    assert not known.is_stale


def test_the_way_to_a_node_that_leaves_out_its_host_leads_there() -> None:
    one = call(cluster(), [IN_A])
    one.answered(one.batches()[0], [moved(key_slot(IN_A), ("", 7009))])
    (again,) = one.batches()
    assert again.address == ("node", 7009)
    one.answered(again, [moved(key_slot(IN_A), ("2001:db8::1", 7001))])
    assert one.batches()[0].address == ("2001:db8::1", 7001)


@pytest.mark.parametrize("refusal", [moved, ask])
def test_being_sent_to_and_fro_comes_to_an_end(refusal: Any) -> None:
    one = call(cluster(), [IN_A])
    turns = 0
    while turn := one.batches():
        turns += 1
        (batch,) = turn
        to = B if batch.address == A else A
        one.answered(batch, [None] * (len(batch.commands) - 1) + [refusal(key_slot(IN_A), to)])
    assert 2 <= turns <= 10
    assert isinstance(one.replies[0], exceptions.RedisError)


def test_what_was_lost_is_not_sent_again_and_what_was_refused_before_is() -> None:
    known = cluster()
    names = [IN_A, IN_A + b"2", IN_A + b"3"]
    one = call(known, names)
    (batch,) = one.batches()
    error = exceptions.ConnectionError("cut")
    one.lost(batch, [b"1", moved(key_slot(IN_A), B)], error)
    assert known.is_stale
    assert sent(one.batches()) == [(B, ["{b}2"])]
    assert one.replies[0] == b"1"
    assert one.replies[2] is error
    assert not one.has_unsent


def test_what_was_lost_behind_asking_is_not_sent_again() -> None:
    one = call(cluster(), [IN_A, IN_A + b"2"])
    slot = key_slot(IN_A)
    one.answered(one.batches()[0], [ask(slot, B), ask(slot, B)])
    (again,) = one.batches()
    error = exceptions.TimeoutError("late")
    one.lost(again, [b"OK", b"1", b"OK"], error)
    assert one.is_done
    assert one.replies == [b"1", error]


def test_what_could_not_be_sent_goes_to_a_new_owner_only() -> None:
    known = cluster()
    one = call(known, [IN_A, IN_B])
    first, second = one.batches()
    error = exceptions.ConnectionError("refused")
    one.unsent(first, error)
    one.answered(second, [b"2"])
    assert one.has_unsent
    one.reroute()
    assert one.is_done
    assert one.replies == [error, b"2"]
    again = call(known, [IN_A])
    again.unsent(again.batches()[0], error)
    known.slots = read_slots([row(0, SLOTS - 1, *C)], ASKED)
    again.reroute()
    assert sent(again.batches()) == [(C, ["{b}"])]


def test_a_slot_that_nobody_serves_fails_alone_until_somebody_does() -> None:
    known = cluster()
    known.slots = read_slots([row(0, 5_459, *A)], ASKED)
    one = call(known, [IN_A, IN_C])
    assert sent(one.batches()) == [(A, ["{b}"])]
    assert isinstance(one.replies[1], exceptions.ClusterDownError)
    assert known.is_stale
    known.slots = read_slots([row(0, SLOTS - 1, *A)], ASKED)
    one.reroute()
    assert sent(one.batches()) == [(A, ["{a}"])]


def test_a_silent_seed_is_asked_last_the_next_time() -> None:
    known = Cluster([A, B, C], None, 60)
    looking = known.refresh(known.deadline())
    asked = []
    for address in looking:
        asked.append(address)
        if address == B:
            looking.learn([row(0, SLOTS - 1, *B)])
        else:
            looking.failed(exceptions.TimeoutError("silent"))
    assert asked == [A, B]
    known.slots, known.is_stale = None, True
    assert next(iter(known.refresh(known.deadline()))) == B


def test_a_look_that_nobody_answers_fails_only_if_nothing_is_known() -> None:
    for known in (Cluster([A, B], None, 60), cluster()):
        known.is_stale = True
        looking = known.refresh(known.deadline())
        steps = iter(looking)

        def run(steps: Any = steps, looking: Any = looking) -> None:
            for _ in steps:
                looking.failed(exceptions.TimeoutError("silent"))

        if known.slots is None:
            with pytest.raises(exceptions.TimeoutError):
                run()
        else:
            run()
            assert known.is_stale


def test_looks_are_not_had_by_every_call() -> None:
    known = cluster()
    assert not known.may_refresh()
    known.is_stale = True
    assert [known.may_refresh() for _ in range(3)] == [True, False, False]
    known.look_again()
    assert [known.may_refresh() for _ in range(3)] == [True, False, False]


@given(st.text(max_size=20))
def test_braces_in_a_key_choose_the_slot_as_redis_does(key: str) -> None:
    name = f"symphra:{key}".encode(errors="replace")
    _, brace, rest = name.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    known = key_slot(tag) if brace and closed and tag else None
    assert known in (None, key_slot(name))


@given(st.text("ab{}", max_size=12), st.binary(max_size=6))
def test_slots_are_those_of_the_client(text: str, rest: bytes) -> None:
    name = b"symphra:" + text.encode() + rest
    assert slot_of(name) == key_slot(name)


def one_sent(known: Cluster, error: Exception) -> ClusterCall:
    """Return a call whose only command was sent to A already, outside of it."""
    one = call(known, [IN_A])
    one.take_up(A, error)
    return one


def test_a_command_that_failed_elsewhere_is_gone_on_with_as_if_it_had_been_sent_here() -> None:
    slot = key_slot(IN_A)
    known = cluster()
    assert sent(one_sent(known, moved(slot, B)).batches()) == [(B, ["{b}"])]
    assert known.is_stale
    assert sent(one_sent(cluster(), ask(slot, B)).batches()) == [(B, ["!", "{b}"])]
    lost = exceptions.ConnectionError("cut")
    for error in (lost, exceptions.ResponseError("OOM")):
        known = cluster()
        one = one_sent(known, error)
        assert one.is_done
        assert not one.has_unsent
        assert one.replies == [error]
        assert known.is_stale is (error is lost)
    refused = exceptions.ConnectionError("refused")
    mark_unsent(refused)
    known = cluster()
    one = one_sent(known, refused)
    assert known.is_stale
    assert one.has_unsent
    known.learn(read_slots([row(0, SLOTS - 1, *C)], ASKED))
    one.reroute()
    assert sent(one.batches()) == [(C, ["{b}"])]


def test_a_command_that_failed_elsewhere_counts_as_the_first_round() -> None:
    one = one_sent(cluster(), moved(key_slot(IN_A), B))
    turns = 1
    while turn := one.batches():
        turns += 1
        (batch,) = turn
        one.answered(batch, [moved(key_slot(IN_A), A if batch.address == B else B)])
    other = call(cluster(), [IN_A])
    others = 0
    while turn := other.batches():
        others += 1
        other.answered(turn[0], [moved(key_slot(IN_A), A if turn[0].address == B else B)])
    assert turns == others


def test_the_version_rises_with_each_redirect_and_each_map_that_differs() -> None:
    known = Cluster([A], None, 60)
    assert known.version == 0
    rows = [row(0, 8_000, *A), row(8_001, SLOTS - 1, *B)]
    seen = []
    for told in (rows, rows[::-1], [row(0, SLOTS - 1, *A)], rows, rows):
        known.learn(read_slots(told, ASKED))
        seen.append(known.version)
    assert seen == [1, 1, 2, 3, 3]
    one = call(known, [IN_A])
    one.answered(one.batches()[0], [ask(key_slot(IN_A), B)])
    assert known.version == 4
    one.answered(one.batches()[0], [b"OK", moved(key_slot(IN_A), C)])
    assert known.version == 5
    known.learn(read_slots(rows, ASKED))  # from somebody who has not heard of it
    assert known.version == 6
    one.answered(one.batches()[0], [b"1"])
    lost = call(known, [IN_A])
    lost.lost(lost.batches()[0], [], exceptions.ConnectionError("cut"))
    assert known.version == 6


TAGGED = ["{user:1}:a", "{user:1}:b", "{}x", "{}y", "{a}{b}", "a{b", "a}b{", "{{a}}", "键{ü}", " "]


def test_the_servers_agree_on_every_slot() -> None:
    servers = shared_cluster().emptied()
    with CacheManager(RedisBackend(servers.chosen_url)) as cache:
        assert cache.set_many(dict.fromkeys(TAGGED, 1)) == []
        assert cache.get_many(TAGGED) == dict.fromkeys(TAGGED, 1)
    slots = {}
    for key in TAGGED:
        name = f"symphra:{key}".encode()
        slots[key] = servers.nodes[0].command("CLUSTER", "KEYSLOT", name)
        assert key_slot(name) == slots[key]
        assert servers.primary_of(name).command("EXISTS", name) == 1
    assert slots["{user:1}:a"] == slots["{user:1}:b"]
    assert slots["{}x"] != slots["{}y"]
