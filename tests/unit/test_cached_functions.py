"""What ``@cache.cached`` makes of functions: how they look, what is refused, who shares."""

from __future__ import annotations

import functools
import inspect
import pickle
import typing
from typing import TYPE_CHECKING, Any

import pytest

from cached_results import cache, run
from symphra_cache import (
    CacheManager,
    ConfigurationError,
    InvalidLoaderError,
    InvalidTTLError,
)
from symphra_cache.backends import MemoryBackend
from symphra_cache.decorators import FunctionStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(autouse=True)
def _empty() -> None:
    cache.clear()


@cache.cached(ttl=60)
def total(a: int, /, b: int = 2, *rest: int, c: int = 3, **named: int) -> int:
    """Add up."""
    return a + b + sum(rest) + c + sum(named.values())


@cache.cached
async def atotal(a: int) -> list[int]:
    return [a]


@cache.cached
def rows(n: int) -> Iterator[int]:
    yield from range(n)


@cache.cached
async def arows(n: int) -> AsyncIterator[int]:
    for each in range(n):
        yield each


def test_a_decorated_function_looks_like_the_function() -> None:
    assert inspect.isfunction(total)
    assert (total.__name__, total.__qualname__, total.__module__) == ("total", "total", __name__)
    assert total.__doc__ == "Add up."
    assert total.__wrapped__ is total.original
    assert inspect.signature(total) == inspect.signature(total.original)
    assert typing.get_type_hints(total)["return"] is int
    assert pickle.loads(pickle.dumps(total)) is total


@pytest.mark.parametrize(
    ("function", "asks"),
    [
        (atotal, inspect.iscoroutinefunction),
        (rows, inspect.isgeneratorfunction),
        (arows, inspect.isasyncgenfunction),
    ],
)
def test_what_kind_of_function_it_is_can_be_seen(
    function: Any, asks: Callable[[Any], bool]
) -> None:
    assert asks(function)
    assert not asks(total)


def test_without_its_original_the_signature_is_the_same() -> None:
    assert inspect.signature(total, follow_wrapped=False) == inspect.signature(total.original)


def test_the_function_itself_is_there() -> None:
    assert total.original(1) == 6
    assert cache.count() == 0


def test_the_place_of_an_error_is_named() -> None:
    with pytest.raises(TypeError) as raised:
        total("text")  # type: ignore[arg-type]
    names = [entry.name for entry in raised.traceback]
    assert (names[1], names[-1]) == ("total", "total")


def test_all_kinds_of_parameters_are_passed_on() -> None:
    assert total(1) == total(1, 2) == total(1, b=2, c=3) == 6
    assert total(1, 2, 3, 4, c=5, d=6) == 21
    assert total.original(1, 2, 3, 4, c=5, d=6) == 21


def test_counts_are_of_one_function() -> None:
    @cache.cached
    def one(x: int) -> int:
        return 10 // x

    assert one.stats() == FunctionStats(hits=0, misses=0, loads=0, errors=0)
    assert (one(1), one(1), one.refresh(1)) == (10, 10, 10)
    with pytest.raises(ZeroDivisionError):
        one(0)
    assert one.stats() == FunctionStats(hits=1, misses=2, loads=3, errors=1)


def logged(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def test_other_decorators_above_and_below() -> None:
    @logged
    @cache.cached
    def above(x: int, y: int = 2) -> list[int]:
        return [x, y]

    @cache.cached
    @logged
    def below(x: int, y: int = 2) -> list[int]:
        return [x, y]

    for function in (above, below):
        assert function(1) == function(x=1, y=2) == [1, 2]
        assert function.key_for(1).endswith(f"{function.__name__}(1,2)")
        assert function.stats()[:2] == (1, 1)
        assert function.invalidate(1)
        assert str(inspect.signature(function)).startswith("(x: 'int', y: 'int' = 2)")


def test_twice() -> None:
    other = CacheManager(MemoryBackend(), namespace="outer")

    @other.cached(ttl=1)
    @cache.cached(ttl=60)
    def one(x: int) -> list[int]:
        return [x]

    assert one(1) == one(1) == [1]
    assert (other.count(), cache.count()) == (1, 1)
    assert one.stats().hits == 1
    assert one.original.stats().misses == 1  # type: ignore[attr-defined]


def test_a_kind_that_is_hidden_is_refused_with_the_remedy() -> None:
    @cache.cached
    @logged
    async def one(x: int) -> int:
        return x

    @cache.cached
    @logged
    def many(x: int) -> Iterator[int]:
        yield x

    for function, what in ((one, "coroutine"), (many, "generator")):
        with pytest.raises(InvalidLoaderError, match=rf"returned a {what}, .* below that dec"):
            function(1)
        assert function.stats().errors == 1
    assert cache.count() == 0


def test_callable_objects() -> None:
    class Adder:
        def __call__(self, x: int) -> list[int]:
            return [x + 1]

    class AsyncAdder:
        async def __call__(self, x: int) -> list[int]:
            return [x + 1]

    add, aadd = cache.cached(key="add:{x}")(Adder()), cache.cached(key="aadd:{x}")(AsyncAdder())
    assert add(1) == add(1) == run(aadd(1)) == run(aadd(1)) == [2]
    assert cache.count() == 2
    partial = cache.cached(key="{b}")(functools.partial(total.original, 1))
    assert partial(2) == partial(b=2) == 6
    with pytest.raises(ConfigurationError, match="user_id"):
        cache.cached(key="{user_id}")(Adder())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (300, r"got int; options go by name, as in @cache.cached\(ttl=60\)"),
        ("key", r"got str; options go by name"),
        (int, r"got type; decorate methods of int"),
        (lambda x: x, r"a lambda has no name of its own"),
    ],
)
def test_what_is_no_function_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cache.cached(wrong)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ttl": "60"}, InvalidTTLError, "ttl must be"),
        ({"jitter": 2}, ConfigurationError, "jitter must be"),
        ({"should_cache": True}, ConfigurationError, "should_cache must be"),
        ({"key": 5}, ConfigurationError, "key must be"),
        ({"key": "user:{user}"}, ConfigurationError, r"key='user:\{user\}': \{user\}.*user_id"),
    ],
)
def test_wrong_options_are_refused_at_decoration(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    def one(user_id: int) -> int:
        return user_id

    with pytest.raises(error, match=message):
        cache.cached(**options)(one)


def test_options_have_names() -> None:
    with pytest.raises(TypeError):
        cache.cached(None, 60)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        cache.cached(tll=60)  # type: ignore[call-overload]


def test_a_coroutine_function_is_not_refreshed_by_the_blocking_face() -> None:
    refresh: Any = vars(atotal)["refresh"]
    with pytest.raises(InvalidLoaderError, match=r"atotal must be awaited.*use arefresh"):
        refresh(1)
    with pytest.raises(InvalidLoaderError, match=r"use arefresh"):
        vars(arows)["refresh"](1)
    assert run(atotal.arefresh(1)) == [1]
    assert atotal.invalidate(1)


def test_functions_that_block_are_refreshed_by_either_face() -> None:
    assert run(total.arefresh(1)) == total.refresh(1) == 6
    assert run(rows.arefresh(2)) == rows.refresh(2) == [0, 1]
