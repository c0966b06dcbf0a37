"""`NullBackend`: answers like an empty cache, checks like the others, keeps nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import (
    CacheClosedError,
    CacheManager,
    CounterOverflowError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    NotAnIntegerError,
)
from symphra_cache.backends import NullBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., Any]


@pytest.fixture
def cache() -> CacheManager:
    return CacheManager.from_url("null://")


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest, cache: CacheManager) -> Call:
    """Call a method by its blocking name, on either face."""

    def blocking(name: str, *arguments: Any, **options: Any) -> Any:
        answer = getattr(cache, name)(*arguments, **options)
        return list(answer) if name == "scan" else answer

    def on_a_loop(name: str, *arguments: Any, **options: Any) -> Any:
        async def run() -> Any:
            answer = getattr(cache, f"a{name}")(*arguments, **options)
            return [key async for key in answer] if name == "scan" else await answer

        return asyncio.run(run())

    return blocking if request.param == "blocking" else on_a_loop


def test_every_answer_is_that_of_an_empty_cache(call: Call) -> None:
    assert call("set", "k", 1, ttl=60) is True
    assert call("get", "k") is None
    assert call("get", "k", "default") == "default"
    assert call("add", "k", 1) is True
    assert call("add", "k", 1) is True
    assert call("pop", "k", "default") == "default"
    assert call("delete", "k") is False
    assert call("exists", "k") is False
    assert call("touch", "k", 60) is False
    assert call("ttl", "k") == 0.0
    assert call("incr", "k", 5) == 5
    assert call("decr", "k", 5) == -5
    assert call("set_many", {"a": 1, "b": 2}) == []
    assert call("get_many", ["a", "b"]) == {}
    assert call("delete_many", ["a", "b"]) == 0
    assert call("scan") == []
    assert call("delete_matching", "*") == 0
    assert call("count") == 0
    assert call("clear", nested=True) == 0
    assert call("ping").ok


def test_wrong_arguments_are_refused_as_everywhere(call: Call) -> None:
    for name, arguments in (("get", [1]), ("set", ["", 1]), ("get_many", ["text"])):
        with pytest.raises(InvalidKeyError):
            call(name, *arguments)
    with pytest.raises(InvalidTTLError):
        call("set", "k", 1, ttl=True)
    with pytest.raises(InvalidTTLError):
        call("set_many", {"k": 1}, ttl="60")
    with pytest.raises(InvalidPatternError):
        call("scan", "")
    with pytest.raises(NotAnIntegerError):
        call("incr", "k", 1.5)
    with pytest.raises(CounterOverflowError):
        call("incr", "k", 2**63)


def test_it_counts(cache: CacheManager, call: Call) -> None:
    call("get", "k")
    call("set", "k", 1)
    call("get_many", ["a", "b"])
    call("set_many", {"a": 1, "b": 2})
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.sets, stats.entries) == (0, 3, 3, 0)


def test_after_closing_nothing_answers(cache: CacheManager, call: Call) -> None:
    call("close")
    for name, arguments in (
        ("get", ["k"]),
        ("set", ["k", 1]),
        ("delete_many", [["k"]]),
        ("set_many", [{"k": 1}]),
        ("count", []),
        ("clear", []),
    ):
        with pytest.raises(CacheClosedError):
            call(name, *arguments)
    assert not call("ping")


def test_keyspaces_of_one_backend_close_together() -> None:
    backend = NullBackend()
    assert repr(backend) == "NullBackend()"
    one, other = CacheManager(backend), CacheManager(backend)
    one.close()
    with pytest.raises(CacheClosedError):
        other.get("k")
