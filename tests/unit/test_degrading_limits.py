"""`on_outage="degrade"`: how much is remembered, by whom, and in how few calls it is paid."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from faulty import FaultyBackend, fail, fill, inner, on_a_slow_machine, outages_of
from symphra_cache import BackendUnavailableError, CacheManager, _debts, _outages
from symphra_cache.backends import FileBackend, MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces import Caller


@pytest.fixture
def faulty() -> FaultyBackend:
    return FaultyBackend(MemoryBackend())


@pytest.fixture
def cache(faulty: FaultyBackend) -> Iterator[CacheManager]:
    with CacheManager(faulty, on_outage="degrade") as cache:
        yield cache


@pytest.mark.parametrize("name", ["delete_many", "set_many"])
def test_many_keys_are_removed_in_few_calls(
    faulty: FaultyBackend, cache: CacheManager, call: Caller, name: str
) -> None:
    values = {f"k{number}": number for number in range(1_200)}
    call(cache, "set_many", values)
    fail(faulty, lambda: call(cache, name, values))
    faulty.faults.calls.clear()
    assert call(cache, "get", "unheard of") is None
    # The first tells whether it is worth it.
    assert faulty.faults.calls == ["delete_many"] * 4 + ["get"]
    assert call(CacheManager(faulty._backend), "count") == 0


@pytest.mark.parametrize(("owed", "count"), [(_debts.LIMIT, 1), (_debts.LIMIT + 1, 0)])
def test_beyond_so_many_keys_the_namespace_is_cleared(call: Caller, owed: int, count: int) -> None:
    faulty = FaultyBackend(MemoryBackend(max_size=None))
    with CacheManager(faulty, on_outage="degrade") as cache:
        call(cache, "set", "bystander", 1)
        call(cache.namespace("other"), "set", "bystander", 1)
        fail(faulty, lambda: call(cache, "set_many", {f"k{number}": 1 for number in range(owed)}))
        assert len(outages_of(cache)._ledgers["symphra"].owed) in (owed, 1)
        assert call(cache, "count") == count
        assert call(cache.namespace("other"), "count") == 1


def test_beyond_so_many_patterns_the_namespace_is_cleared(call: Caller) -> None:
    faulty = FaultyBackend(MemoryBackend())
    with CacheManager(faulty, on_outage="degrade") as cache:
        call(cache, "set", "bystander", 1)
        faulty.faults.break_all()
        for number in range(101):
            call(cache, "delete_matching", f"{number}:*")
        faulty.faults.mend()
        assert len(outages_of(cache)._ledgers["symphra"].owed) == 1
        assert call(cache, "count") == 0


WIDE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("clear", (), {}),
    ("clear", (), {"nested": True}),
    ("delete_matching", ("k*",), {}),
]


@pytest.mark.parametrize(("name", "arguments", "named"), WIDE)
def test_what_is_covered_reads_as_absent_until_it_can_be_removed(
    faulty: FaultyBackend,
    cache: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_a_slow_machine(monkeypatch)
    fill(call, cache)
    faulty.faults.break_all()
    call(cache, name, *arguments, **named)
    faulty.faults.broken = frozenset({name})
    views = [cache, inner(cache)] if named else [cache]
    for view in views:
        assert call(view, "get", "k", "gone") == "gone"
        assert call(view, "get_many", ["k"]) == {}
        assert "k" not in call.scan(view)
        assert call(view, "count") == len(call.scan(view))
        assert call(view, "set", "k", "new") is True
        assert call(view, "get", "k", "gone") == "gone"
        with pytest.raises(BackendUnavailableError):
            call(view, "add", "k", "new")
    faulty.faults.mend()
    for view in views:
        assert call(view, "set", "k", "fresh") is True
        assert call(view, "get", "k") == "fresh"
    assert call(inner(cache), "get", "k") == ("fresh" if named else "old")


def test_a_clear_stands_for_all_that_failed_before(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    fill(call, cache)
    faulty.faults.break_all()
    call(cache, "set", "k", 1)
    call(cache, "delete_matching", "k*")
    call(cache, "clear")
    call(cache, "set", "other", 1)
    faulty.faults.mend()
    faulty.faults.calls.clear()
    assert call(cache, "get", "other") is None
    assert faulty.faults.calls == ["clear", "get"]
    assert call(inner(cache), "get", "k") == "old"


def test_a_key_of_another_type_of_text_is_the_same_key(call: Caller) -> None:
    class Odd(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 7

        def __str__(self) -> str:
            return "odd"

    faulty = FaultyBackend(MemoryBackend())
    with CacheManager(faulty, on_outage="degrade") as cache:
        call(cache, "set", "k", 1)
        fail(faulty, lambda: call(cache, "delete", Odd("k")))
        assert call(cache, "get", "k") is None


# Python 3.12 and later warn of every fork of a process with threads.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_remembers_by_itself(tmp_path: Path) -> None:
    faulty = FaultyBackend(FileBackend(tmp_path / "cache.db"))
    with CacheManager(faulty, on_outage="degrade") as cache:
        cache.set_many({"a": "old", "b": "old"})
        fail(faulty, lambda: cache.delete("a"))
        child = os.fork()
        if child == 0:  # what the parent owes it must not read; what it owes itself is its own
            good = cache.get("a") is None and cache.get("b") == "old"
            fail(faulty, lambda: cache.delete("b"))
            good = good and cache.get("b") is None
            os._exit(0 if good and not outages_of(cache).alert else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert outages_of(cache).owes("symphra", "a")
        assert not outages_of(cache).owes("symphra", "b")
        assert cache.get("a") is None


def test_a_backend_that_takes_no_attributes_will_do() -> None:
    slotted = object()
    known = _outages.outages_of(slotted, "slotted")
    assert known is not _outages.outages_of(slotted, "slotted")  # each manager learns by itself
