"""`on_outage="degrade"`: what each operation answers, counts and logs while its backend is out."""

from __future__ import annotations

import logging
import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from faulty import KINDS, FaultyBackend, faulty_backend
from symphra_cache import (
    BackendUnavailableError,
    CacheClosedError,
    CacheManager,
    ConfigurationError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    NotAnIntegerError,
    SerializationError,
)
from symphra_cache.backends import FileBackend, MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces import Caller


@pytest.fixture(params=KINDS)
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> FaultyBackend:
    """Each backend, which fails when the test says so."""
    return faulty_backend(request.param, tmp_path)


@pytest.fixture
def cache(faulty: FaultyBackend) -> Iterator[CacheManager]:
    with CacheManager(faulty, on_outage="degrade") as cache:
        yield cache


# Each operation, what it answers in an outage, and how many errors it counts.
ANSWERS: list[tuple[str, tuple[Any, ...], Any]] = [
    ("get", ("k",), None),
    ("get", ("k", "default"), "default"),
    ("get_many", (["k", "l"],), {}),
    ("exists", ("k",), False),
    ("ttl", ("k",), 0.0),
    ("count", (), 0),
    ("set", ("k", 2), True),
    ("set", ("k", 2, 0), True),
    ("set_many", ({"k": 2, "l": 2},), ["k", "l"]),
    ("set_many", ({"k": 2, "l": 2}, 0), ["k", "l"]),
    ("touch", ("k", 5), False),
    ("pop", ("k",), None),
    ("pop", ("k", "default"), "default"),
    ("delete", ("k",), False),
    ("delete_many", (["k", "l"],), 0),
    ("delete_matching", ("*",), 0),
    ("clear", (), 0),
]
RAISING: list[tuple[str, tuple[Any, ...]]] = [
    ("add", ("k", 2)),
    ("add", ("new", 2)),
    ("incr", ("k",)),
    ("decr", ("new", 3)),
]


def fill(call: Caller, cache: CacheManager) -> None:
    call(cache, "set_many", {"k": 1, "l": 1})


@pytest.mark.parametrize(("name", "arguments", "answer"), ANSWERS)
def test_an_outage_is_answered_and_counted(
    faulty: FaultyBackend,
    cache: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    answer: Any,
) -> None:
    fill(call, cache)
    faulty.faults.break_all()
    for errors in (1, 2, 3):
        assert call(cache, name, *arguments) == answer
        assert type(call(cache, name, *arguments)) is type(answer)
        assert cache.stats().errors == 2 * errors
    assert (cache.stats().hits, cache.stats().misses) == (0, 0)


@pytest.mark.parametrize(("name", "arguments"), RAISING)
def test_what_has_no_answer_raises(
    faulty: FaultyBackend, cache: CacheManager, call: Caller, name: str, arguments: tuple[Any, ...]
) -> None:
    fill(call, cache)
    faulty.faults.break_all()
    for errors in (1, 2):
        with pytest.raises(BackendUnavailableError) as caught:
            call(cache, name, *arguments)
        assert isinstance(caught.value.__cause__, OSError)
        assert cache.stats().errors == errors
    faulty.faults.mend()
    assert call(cache, "get", "k") == 1  # it was told: nothing is removed behind its back


@pytest.mark.parametrize(("name", "arguments", "answer"), ANSWERS)
def test_by_default_an_outage_raises(
    faulty: FaultyBackend, call: Caller, name: str, arguments: tuple[Any, ...], answer: Any
) -> None:
    with CacheManager(faulty) as cache:
        faulty.faults.break_all()
        with pytest.raises(BackendUnavailableError):
            call(cache, name, *arguments)
        assert cache.stats().errors == 1


def test_a_scan_ends_with_the_outage(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set_many", {f"k{number}": 1 for number in range(10)})
    faulty.faults.break_all()
    assert len(call.scan(cache)) == 1
    assert cache.stats().errors == 1
    faulty.faults.mend()
    assert len(call.scan(cache)) == 10


def test_set_many_tells_what_failed(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    faulty.faults.break_all(applied=True)
    faulty.faults.failed = ["b"]
    assert call(cache, "set_many", {"a": 1, "b": 2, "c": 3}) == ["b"]
    faulty.faults.mend()
    assert call(cache, "get_many", ["a", "b", "c"]) == {"a": 1, "c": 3}


def test_a_view_answers_alike_and_shares_the_count(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    view = cache.namespace("users").namespace("vip")
    call(view, "set", "k", 1)
    faulty.faults.break_all()
    assert call(view, "get", "k", "default") == "default"
    assert call(view, "set", "k", 2) is True
    assert cache.stats().errors == 2


def test_ping_and_repr_are_as_ever(
    faulty: FaultyBackend, cache: CacheManager, call: Caller
) -> None:
    assert call(cache, "ping").ok is True
    assert repr(cache) == repr(CacheManager(faulty))
    with pytest.raises(TypeError, match="from_url"):
        pickle.dumps(cache)
    cache.close()
    assert call(cache, "ping").ok is False


WRONG: list[tuple[str, tuple[Any, ...], type[Exception]]] = [
    ("get", (1,), InvalidKeyError),
    ("exists", ("",), InvalidKeyError),
    ("ttl", (None,), InvalidKeyError),
    ("get_many", ("k",), InvalidKeyError),
    ("get_many", ([1],), InvalidKeyError),
    ("set", (1, 1), InvalidKeyError),
    ("set", ("k", 1, True), InvalidTTLError),
    ("set_many", ({"k": 1, 2: 2},), InvalidKeyError),
    ("set_many", ({"k": 1}, "5"), InvalidTTLError),
    ("touch", ("k", float("nan")), InvalidTTLError),
    ("touch", (1, 5), InvalidKeyError),
    ("pop", (1,), InvalidKeyError),
    ("delete", (1,), InvalidKeyError),
    ("delete_many", ("k",), InvalidKeyError),
    ("delete_matching", ("",), InvalidPatternError),
    ("add", (1, 1), InvalidKeyError),
    ("incr", ("k", True), NotAnIntegerError),
]


@pytest.mark.parametrize("state", ["well", "out", "slowly out"])
@pytest.mark.parametrize(("name", "arguments", "error"), WRONG)
def test_wrong_arguments_raise_as_ever(
    call: Caller, name: str, arguments: tuple[Any, ...], error: type[Exception], state: str
) -> None:
    faulty = FaultyBackend(MemoryBackend())
    with CacheManager(faulty, on_outage="degrade") as cache:
        if state != "well":
            # As a backend that checks first, and then fails.
            faulty.faults.break_all(applied=True)
            call(cache, "set", "owed", 1)
            faulty.faults.takes = 0.06 if state == "slowly out" else 0.0
        with pytest.raises(error):
            call(cache, name, *arguments)


def test_a_value_that_cannot_be_stored_raises_in_an_outage_too(
    tmp_path: Path, call: Caller
) -> None:
    faulty = FaultyBackend(FileBackend(tmp_path / "cache.db"))
    with CacheManager(faulty, on_outage="degrade") as cache:
        faulty.faults.break_all(applied=True)
        call(cache, "clear")
        for name, arguments in [("set", ("k", object())), ("set_many", ({"k": object()},))]:
            with pytest.raises(SerializationError):
                call(cache, name, *arguments)


@pytest.mark.parametrize("is_out", [False, True])
@pytest.mark.parametrize(("name", "arguments", "answer"), ANSWERS)
def test_a_closed_cache_raises_as_ever(
    faulty: FaultyBackend,
    cache: CacheManager,
    call: Caller,
    name: str,
    arguments: tuple[Any, ...],
    answer: Any,
    is_out: bool,
) -> None:
    if is_out:
        faulty.faults.break_all()
        call(cache, "set", "k", 1)
        faulty.faults.mend()
    cache.close()
    with pytest.raises(CacheClosedError):
        call(cache, name, *arguments)


# --- the log --------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage().split(":")[0]) for record in caplog.records]


BEGUN = (logging.WARNING, "outage of faulty")
OVER = (logging.WARNING, "the outage of faulty is over")


def test_the_log_tells_when_an_outage_begins_and_ends(
    cache: CacheManager,
    faulty: FaultyBackend,
    call: Caller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "symphra_cache")
    call(cache, "set", "k", 1)
    assert lines(caplog) == []
    for _ in range(2):
        caplog.clear()
        faulty.faults.break_all()
        for _ in range(3):
            call(cache, "get", "k")
            call(cache, "set", "k", 1)
            call(cache.namespace("n"), "delete", "k")
        assert lines(caplog) == [BEGUN]
        assert "the backend is out of reach" in caplog.records[0].getMessage()
        assert caplog.records[0].namespace == "symphra"
        faulty.faults.mend()
        for _ in range(3):
            call(cache, "get", "k")
            call(cache, "set", "k", 1)
        assert lines(caplog) == [BEGUN, OVER]


def test_a_backend_that_only_refuses_writes_fills_no_log(
    cache: CacheManager,
    faulty: FaultyBackend,
    call: Caller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "symphra_cache")
    faulty.faults.broken = frozenset({"set"})  # it is full: reads and removals go on
    for _ in range(10):
        call(cache, "set", "k", 1)
        call(cache, "get", "k")
        call(cache, "delete", "k")
    assert lines(caplog) == [BEGUN]


def test_an_outage_lasts_until_all_works_again(
    cache: CacheManager,
    faulty: FaultyBackend,
    call: Caller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty.faults.break_all()
    call(cache, "set", "k", 1)
    call(cache, "get", "k")
    faulty.faults.broken = frozenset({"set"})
    for _ in range(3):
        call(cache, "get", "k")
        call(cache, "set", "k", 1)
    assert lines(caplog) == [BEGUN]
    faulty.faults.mend()
    call(cache, "set", "k", 1)
    assert lines(caplog) == [BEGUN, OVER]


def test_managers_on_one_backend_share_a_line(
    cache: CacheManager,
    faulty: FaultyBackend,
    call: Caller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = CacheManager(faulty, namespace="other", on_outage="degrade")
    faulty.faults.break_all()
    call(cache, "get", "k")
    call(other, "get", "k")
    assert lines(caplog) == [BEGUN]
    assert (cache.stats().errors, other.stats().errors) == (1, 1)


# --- configuration --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [("ignore", "'ignore'"), (None, "NoneType"), (True, "bool"), (b"raise", "bytes"), ("", "''")],
)
def test_a_wrong_mode_is_refused(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"on_outage must be .*, got {told}; "):
        CacheManager(MemoryBackend(), on_outage=given)


def test_every_way_to_a_manager_takes_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEGRADING_BACKEND", "memory")
    monkeypatch.setenv("DEGRADING_ON_OUTAGE", "degrade")
    with ExitStack() as stack:
        made = [
            CacheManager.from_url("memory://", on_outage="degrade"),
            CacheManager.from_config({"backend": "memory", "on_outage": "degrade"}),
            CacheManager.from_config({"url": "memory://", "on_outage": "degrade"}),
            CacheManager.from_env("DEGRADING_"),
        ]
        for cache in made:
            stack.enter_context(cache)
            assert cache._degrades
            assert cache.namespace("view")._degrades
            assert type(cache._keyspace._inner) is not type(
                CacheManager(MemoryBackend())._keyspace._inner
            )


@pytest.mark.parametrize("mode", ["degraded", 1, None])
def test_a_wrong_mode_in_a_configuration_is_refused(mode: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_outage must be 'raise' or 'degrade'"):
        CacheManager.from_config({"backend": "memory", "on_outage": mode})


def test_raising_costs_nothing() -> None:
    """In the default mode the manager's `get` is the backend's, as it was without the other."""
    backend = MemoryBackend()
    plain, given = CacheManager(backend), CacheManager(backend, on_outage="raise")
    kinds = {type(each._keyspace._inner) for each in (plain, given)}
    assert kinds == {type(backend.keyspace("n", None))}
    assert plain.get is plain._keyspace._inner.get
    assert "_symphra_outages" not in vars(backend)
