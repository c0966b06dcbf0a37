"""`on_outage="degrade"`: what an outage left undone is gone before anything is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faulty import (
    KINDS,
    FaultyBackend,
    fail,
    faulty_backend,
    fill,
    inner,
    on_a_slow_machine,
    outages_of,
)
from symphra_cache import BackendUnavailableError, CacheManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces import Caller


@pytest.fixture(params=KINDS)
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> FaultyBackend:
    return faulty_backend(request.param, tmp_path)


@pytest.fixture
def cache(faulty: FaultyBackend) -> Iterator[CacheManager]:
    with CacheManager(faulty, on_outage="degrade") as cache:
        yield cache


@pytest.fixture
def behind(faulty: FaultyBackend) -> CacheManager:
    """The same entries, seen past faults and memory."""
    return CacheManager(faulty._backend)


# What fails; of the keys "k" and "kin" of the namespace and "k" of one inside it, which are out
# of date then.
FAILURES: list[tuple[str, tuple[Any, ...], dict[str, Any], set[str]]] = [
    ("set", ("k", "new"), {}, {"k"}),
    ("set", ("k", "new", 0), {}, {"k"}),
    ("set_many", ({"k": "new", "kin": "new"},), {}, {"k", "kin"}),
    ("delete", ("k",), {}, {"k"}),
    ("delete_many", (["k", "kin"],), {}, {"k", "kin"}),
    ("pop", ("k",), {}, {"k"}),
    ("touch", ("k", 60), {}, {"k"}),
    ("delete_matching", ("ki*",), {}, {"kin"}),
    ("delete_matching", ("*",), {}, {"k", "kin", "other"}),
    ("clear", (), {}, {"k", "kin", "other"}),
    ("clear", (), {"nested": True}, {"k", "kin", "other", "inner"}),
]
failures = pytest.mark.parametrize(("name", "arguments", "named", "outdated"), FAILURES)


def left(call: Caller, behind: CacheManager) -> set[str]:
    """Return what still stands in the backend."""
    found = set(call(behind, "get_many", ["k", "kin", "other"]))
    return found | ({"inner"} if call(inner(behind), "exists", "k") else set())


@failures
@pytest.mark.parametrize("applied", [False, True])
def test_what_failed_is_removed_before_the_first_read(
    faulty: FaultyBackend,
    cache: CacheManager,
    behind: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    outdated: set[str],
    applied: bool,
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, name, *arguments, **named), applied=applied)
    assert call(cache, "get", "unheard of") is None
    assert left(call, behind) == {"k", "kin", "other", "inner"} - outdated
    assert not outages_of(cache)._ledgers


READS: list[tuple[str, tuple[Any, ...], Any]] = [
    ("get", ("k", "gone"), "gone"),
    ("get_many", (["k", "kin"],), {}),
    ("exists", ("k",), False),
    ("ttl", ("k",), 0.0),
    ("count", (), 0),
    ("pop", ("k", "gone"), "gone"),
    ("touch", ("k", 60), False),
    ("add", ("k", "added"), True),
    ("incr", ("k", 5), 5),
    ("decr", ("k", 5), -5),
]


@pytest.mark.parametrize("faulty", ["memory"], indirect=True)
@failures
@pytest.mark.parametrize(("read", "asked", "answer"), READS)
def test_nothing_sees_what_failed(
    faulty: FaultyBackend,
    cache: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    outdated: set[str],
    read: str,
    asked: tuple[Any, ...],
    answer: Any,
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, name, *arguments, **named))
    if "k" not in outdated:
        asked = (*("kin" if word == "k" else word for word in asked),)
    if read == "get_many":
        asked = (sorted(outdated),)
    if read == "count":
        answer = 3 - len(outdated - {"inner"})
    assert call(cache, read, *asked) == answer


def test_a_scan_does_not_see_what_failed(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, "delete", "k"))
    assert call.scan(cache) == ["kin", "other"]
    fail(faulty, lambda: call(cache, "clear"))
    assert call.scan(cache) == []


@pytest.mark.parametrize("broken", [{"delete_many"}, {"delete_many", "set", "delete"}])
def test_what_can_not_be_removed_yet_reads_as_absent(
    faulty: FaultyBackend,
    cache: CacheManager,
    behind: CacheManager,
    call: Caller,
    broken: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A replica that became read-only answers reads; removals are refused."""
    on_a_slow_machine(monkeypatch)
    fill(call, cache)
    fail(faulty, lambda: call(cache, "set", "k", "new"))
    faulty.faults.broken = frozenset(broken)
    for name, arguments, answer in READS[:4]:
        assert call(cache, name, *arguments) in (answer, {"kin": "old"})
    assert call(cache, "count") == 2
    assert call.scan(cache) == ["kin", "other"]
    assert call(cache, "get", "other") == "old"
    errors = cache.stats().errors
    for name, arguments, _ in READS[7:]:
        with pytest.raises(BackendUnavailableError) as caught:
            call(cache, name, *arguments)
        assert isinstance(caught.value.__cause__, OSError)
    assert cache.stats().errors == errors + 3
    assert call(cache, "incr", "n") == 1
    assert call(behind, "get", "k") == "old"
    faulty.faults.mend()
    assert call(cache, "get", "k") is None
    assert left(call, behind) == {"kin", "other", "inner"}


def test_an_outage_that_takes_long_costs_one_wait(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, "set", "k", "new"))
    faulty.faults.break_all(takes=0.06)
    for name, arguments, answer in [
        ("get", ("other", "out"), "out"),
        ("get_many", (["other"],), {}),
        ("exists", ("other",), False),
        ("ttl", ("other",), 0.0),
        ("count", (), 0),
        ("pop", ("other", "out"), "out"),
        ("touch", ("other", 60), False),
    ]:
        faulty.faults.calls.clear()
        errors = cache.stats().errors
        assert call(cache, name, *arguments) == answer
        assert len(faulty.faults.calls) == 1
        assert cache.stats().errors == errors + 1
    assert call.scan(cache) == []
    faulty.faults.mend()
    assert call(cache, "get_many", ["k", "kin", "other"]) == {"kin": "old"}


@pytest.mark.parametrize("write", ["set", "set_many"])
@failures
def test_a_value_written_after_the_outage_stays(
    faulty: FaultyBackend,
    cache: CacheManager,
    behind: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    outdated: set[str],
    write: str,
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, name, *arguments, **named))
    fresh = dict.fromkeys(sorted(outdated - {"inner"}), "fresh")
    if write == "set_many":
        assert call(cache, "set_many", fresh) == []
    else:
        assert all(call(cache, "set", key, value) is True for key, value in fresh.items())
    if "inner" in outdated:
        assert call(inner(cache), "set", "k", "fresh") is True
        assert call(inner(cache), "get", "k") == "fresh"
    assert call(cache, "get_many", fresh) == fresh
    assert left(call, behind) == {"k", "kin", "other", "inner"}
    assert not outages_of(cache)._ledgers


@failures
def test_a_removal_after_the_outage_is_as_good(
    faulty: FaultyBackend,
    cache: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    outdated: set[str],
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, name, *arguments, **named))
    if name in ("clear", "delete_matching"):
        call(cache, name, *arguments, **named)
    else:
        assert call(cache, "delete_many", outdated) == len(outdated)
    assert not outages_of(cache)._ledgers
    assert outages_of(cache).alert is (name in ("set", "set_many", "touch"))


def test_reads_that_work_do_not_wait_for_removals_that_take_long(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    """Another process may hold the lock of a file for longer than anybody waits."""
    fill(call, cache)
    fail(faulty, lambda: call(cache, "set", "k", "new"))
    faulty.faults.broken = frozenset({"set", "delete_many"})
    faulty.faults.takes = 0.3
    assert call(cache, "get", "other", "out") == "out"
    faulty.faults.calls.clear()
    for _ in range(5):
        assert call(cache, "get", "other", "out") == "old"
        assert call(cache, "get_many", ["other"]) == {"other": "old"}
        assert call(cache, "ttl", "other") is None
    assert "delete_many" not in faulty.faults.calls
    faulty.faults.takes = 0.0
    assert call(cache, "get", "k", "gone") == "gone"
    assert faulty.faults.calls.count("delete_many") == 1
    faulty.faults.mend()
    assert call(cache, "set", "kin", "new") is True  # what shows that it is over
    assert call(cache, "get", "other") == "old"
    assert not outages_of(cache).alert


def test_where_reads_fail_too_the_first_that_works_comes_after_the_removal(
    faulty: FaultyBackend, cache: CacheManager, behind: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    faulty.faults.break_all(takes=0.2)
    call(cache, "set", "k", "new")
    for _ in range(2):
        assert call(cache, "get", "other", "out") == "out"
    faulty.faults.mend()
    assert call(cache, "get", "other", "out") == "old"
    assert left(call, behind) == {"kin", "other", "inner"}


def test_what_succeeded_of_a_bulk_call_stays(
    faulty: FaultyBackend, cache: CacheManager, behind: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, "set_many", {"k": "new", "kin": "new", "other": "new"}))
    faulty.faults.broken, faulty.faults.applied = frozenset({"set_many"}), True
    faulty.faults.failed = ["kin"]
    assert call(cache, "set_many", {"k": "newer", "kin": "newer"}) == ["kin"]
    faulty.faults.mend()
    assert call(cache, "get_many", ["k", "kin", "other"]) == {"k": "newer"}
    assert left(call, behind) == {"k", "inner"}


def test_what_succeeded_of_a_removal_is_not_removed_again(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    fail(faulty, lambda: call(cache, "set_many", {"k": "new", "kin": "new", "other": "new"}))
    call(cache, "set", "unheard of", 1)  # it is over
    faulty.faults.broken, faulty.faults.applied = frozenset({"delete_many"}), True
    faulty.faults.failed = ["kin"]  # the node that keeps it is out
    call(cache, "get", "unheard of")
    outages = outages_of(cache)
    assert [outages.owes("symphra", key) for key in ("k", "kin", "other")] == [False, True, False]


@pytest.mark.parametrize("reader", ["view", "another manager", "the same namespace as a view"])
def test_whoever_reads_first_removes_it(
    faulty: FaultyBackend, cache: CacheManager, behind: CacheManager, call: Caller, reader: str
) -> None:
    fill(call, cache)
    fail(faulty, lambda: [call(cache, "delete", "k"), call(inner(cache), "delete", "k")])
    readers = {
        "view": inner(cache),
        "another manager": CacheManager(faulty, namespace="far", on_outage="degrade"),
        "the same namespace as a view": inner(cache),
    }
    assert call(readers[reader], "get", "k") is None
    assert left(call, behind) == {"kin", "other"}


def test_what_is_paid_counts_for_nobody(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    before = cache.stats()
    fail(faulty, lambda: call(cache, "set", "k", 2))
    call(cache, "get", "other")
    after = cache.stats()
    assert (after.deletes, after.sets, after.errors) == (0, before.sets, 1)
    assert (after.hits, after.misses) == (1, 0)


def test_add_and_incr_leave_nothing_behind(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    """They raise, so the caller knows; a counter is no copy that could be had anew."""
    call(cache, "set", "n", 5)
    faulty.faults.break_all(applied=True)
    for name, arguments in [("incr", ("n",)), ("add", ("new", 1))]:
        with pytest.raises(BackendUnavailableError):
            call(cache, name, *arguments)
    faulty.faults.mend()
    assert call(cache, "get_many", ["n", "new"]) == {"n": 6, "new": 1}
