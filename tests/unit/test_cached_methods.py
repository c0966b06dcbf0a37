"""What ``@cache.cached`` makes of what it finds in classes."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

from cached_results import cache, run
from symphra_cache import (
    ConfigurationError,
    UnkeyableArgumentError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(autouse=True)
def _empty() -> None:
    cache.clear()


class User:
    def __init__(self, number: int) -> None:
        self.number = number

    def __cache_key__(self) -> int:
        return self.number

    @cache.cached
    def named(self, greeting: str) -> str:
        """Greet."""
        return f"{greeting}, {type(self).__name__} {self.number}"

    @cache.cached
    async def anamed(self, greeting: str) -> str:
        return f"{greeting}, {self.number}"

    @cache.cached(key="user:{self.number}")
    def by_template(self) -> list[int]:
        return [self.number]

    @cache.cached
    @staticmethod
    def static_below(x: int) -> tuple[str, int]:
        return ("static", x)

    @staticmethod
    @cache.cached
    def static_above(x: int) -> tuple[str, int]:
        return ("static", x)

    @cache.cached
    @classmethod
    def of_class_below(cls, x: int = 0) -> tuple[str, int]:
        return (cls.__name__, x)

    @classmethod
    @cache.cached
    def of_class_above(cls, x: int = 0) -> tuple[str, int]:
        return (cls.__name__, x)

    @cache.cached
    @staticmethod
    async def astatic(x: int) -> int:
        return x

    @cache.cached
    @classmethod
    async def aof_class(cls, x: int) -> str:
        return f"{cls.__name__} {x}"

    @property
    @cache.cached
    def size(self) -> list[int]:
        return [self.number]

    @cache.cached
    def steps(self, n: int) -> Iterator[int]:
        yield from range(self.number, self.number + n)

    @cache.cached
    async def asteps(self, n: int) -> AsyncIterator[int]:
        for each in range(n):
            yield self.number + each


class Colour(Enum):
    RED = 1

    @cache.cached
    def code(self) -> str:
        return f"#{self.value}"


class Admin(User):
    """A subclass that changes nothing."""


@pytest.mark.parametrize(
    ("function", "asks"),
    [
        (User.anamed, inspect.iscoroutinefunction),
        (User(1).anamed, inspect.iscoroutinefunction),
        (User.astatic, inspect.iscoroutinefunction),
        (User.aof_class, inspect.iscoroutinefunction),
        (User(1).steps, inspect.isgeneratorfunction),
        (User(1).asteps, inspect.isasyncgenfunction),
        (User(1).anamed.ainvalidate, inspect.iscoroutinefunction),
    ],
)
def test_what_kind_of_function_it_is_can_be_seen(
    function: Any, asks: Callable[[Any], bool]
) -> None:
    assert asks(function)
    assert not asks(User.named)


def test_the_function_itself_is_there() -> None:
    assert User.named.original(User(1), "hi") == "hi, User 1"
    assert User(1).named.original("hi") == "hi, User 1"
    assert cache.count() == 0


def test_methods_are_bound_with_all_that_they_have() -> None:
    ada, bob = User(1), User(2)
    assert ada.named("hi") == ada.named(greeting="hi") == User.named(ada, "hi") == "hi, User 1"
    assert bob.named("hi") == "hi, User 2"
    assert ada.named.key_for("hi") == User.named.key_for(ada, "hi") != bob.named.key_for("hi")
    assert cache.get(ada.named.key_for("hi")) == "hi, User 1"
    assert ada.named.invalidate("hi")
    assert not User.named.invalidate(ada, "hi")
    assert cache.count() == 1
    assert ada.named.refresh("hi") == "hi, User 1"
    assert ada.named.invalidate_all() == 2
    assert ada.named.stats() == User.named.stats()


def test_an_object_stands_for_its_like() -> None:
    assert User(3).by_template() == [3]
    assert cache.get("user:3") == [3]
    assert User(3).by_template.invalidate()
    assert User(3).named("a") == User(3).named("a")
    assert cache.count() == 1


def test_a_subclass_has_results_of_its_own() -> None:
    assert User(1).named("hi") == "hi, User 1"
    assert Admin(1).named("hi") == "hi, Admin 1"
    assert Admin(1).named.invalidate("hi")
    assert cache.count() == 1
    assert User.of_class_below(1) == ("User", 1)
    assert Admin.of_class_below(1) == Admin(1).of_class_below(1) == ("Admin", 1)
    assert Admin.of_class_below.invalidate(1)
    assert not Admin.of_class_below.invalidate(1)
    assert User.of_class_below.invalidate(1)


def test_methods_that_must_be_awaited() -> None:
    ada = User(1)
    assert run(ada.anamed("hi")) == run(User.anamed(ada, "hi")) == "hi, 1"
    assert run(ada.anamed.arefresh("hi")) == "hi, 1"
    assert run(ada.anamed.ainvalidate("hi")) is True
    assert run(User.astatic(1)) == run(ada.astatic(1)) == 1
    assert run(Admin.aof_class(1)) == "Admin 1"
    assert run(Admin.aof_class.ainvalidate(1)) is True


@pytest.mark.parametrize("name", ["static_above", "static_below"])
def test_static_methods_in_either_order(name: str) -> None:
    for holder in (User, User(1), Admin):
        method = getattr(holder, name)
        assert method(1) == method(x=1) == ("static", 1)
        assert cache.count() == 1
        assert method.invalidate(1)
        assert method.refresh(1) == ("static", 1)
        assert method.invalidate_all() == 1
    assert isinstance(vars(User)[name], staticmethod)


def test_class_methods_in_either_order() -> None:
    for name in ("of_class_above", "of_class_below"):
        assert isinstance(vars(User)[name], classmethod)
        for holder, expected in ((User, "User"), (User(1), "User"), (Admin, "Admin")):
            assert getattr(holder, name)() == getattr(holder, name)(0) == (expected, 0)
        assert getattr(User, name).stats().hits >= 3
        assert getattr(User, name).invalidate_all() == 2


def test_a_class_method_that_keeps_its_class_to_itself_is_refused_with_the_remedy() -> None:
    class Local(User):
        @classmethod
        @cache.cached
        def own(cls, x: int = 0) -> int:
            return x

    Admin.of_class_above()
    for method in (Admin.of_class_above, Local.own):
        if sys.version_info < (3, 13):
            assert "Admin" in Admin.of_class_above.key_for()
            continue
        for name in ("invalidate", "ainvalidate", "refresh", "arefresh", "key_for"):
            with pytest.raises(ConfigurationError, match=r"put @cache.cached above @classmethod"):
                getattr(method, name)(1)
    # Static methods and plain ones, which look alike from within, are not meant.
    assert User.static_above.key_for(1)
    assert User.named.key_for(User(1), "hi")


def test_a_class_method_can_be_taken_apart() -> None:
    function: Any = vars(User)["of_class_below"].__func__
    assert function(Admin, 1) == ("Admin", 1)
    assert function.invalidate(Admin, 1)


def test_what_is_bound_stays_bound() -> None:
    class Holder:
        greet = User(1).named

    assert Holder().greet("hi") == "hi, User 1"
    assert Holder.greet.invalidate("hi")


def test_below_a_property() -> None:
    ada = User(1)
    assert ada.size == [1]
    ada.size.append(2)
    assert ada.size == [1]
    size: Any = vars(User)["size"].fget
    assert size.stats().loads == 1
    assert size.invalidate(ada)
    with pytest.raises(ConfigurationError, match=r"got property; put it below @property"):
        cache.cached(User.size)  # type: ignore[call-overload]


def test_generators_in_classes() -> None:
    ada = User(5)
    assert list(ada.steps(3)) == list(ada.steps(3)) == [5, 6, 7]
    assert ada.steps.refresh(2) == [5, 6]
    assert ada.steps.invalidate(3)

    async def collected() -> list[int]:
        return [each async for each in ada.asteps(2)]

    assert run(collected()) == run(collected()) == [5, 6]
    assert ada.asteps.stats() == (1, 1, 1, 0)


def test_a_bound_method_looks_like_one() -> None:
    ada = User(1)
    assert (ada.named.__name__, ada.named.__qualname__) == ("named", "User.named")
    assert (ada.named.__module__, ada.named.__doc__) == (__name__, "Greet.")
    assert str(inspect.signature(ada.named)) == "(greeting: 'str') -> 'str'"
    assert list(inspect.signature(User.named).parameters) == ["self", "greeting"]
    assert repr(User.named) == f"<cached {__name__}.User.named>"
    assert repr(ada.named) == f"<cached {__name__}.User.named of {ada!r}>"
    assert not hasattr(ada.named, "nothing")


def test_bound_methods_are_equal_where_pythons_own_are() -> None:
    ada = User(1)
    assert ada.named == ada.named
    assert ada.named != User(1).named
    assert ada.named != ada.anamed
    assert User.named == User.named != ada.named
    assert len({ada.named, ada.named, ada.anamed}) == 2
    assert ada.named != "named"


def test_methods_can_be_pickled_and_copied() -> None:
    ada = User(1)
    assert pickle.loads(pickle.dumps(ada.named))("hi") == "hi, User 1"
    assert pickle.loads(pickle.dumps(User.named)) is User.named
    assert copy.copy(ada.named) == ada.named
    assert functools.partial(ada.named, "hi")() == "hi, User 1"


def test_a_bound_method_can_be_decorated() -> None:
    class Plain:
        __cache_key__ = "plain"

        def get(self, x: int) -> list[int]:
            return [x]

    plain = Plain()
    get = cache.cached(plain.get)
    assert get(1) == get(x=1) == [1]
    assert get.invalidate(1)
    assert cache.count() == 0


def test_self_needs_a_key() -> None:
    class Keyless:
        @cache.cached
        def get(self, x: int) -> int:
            return x

    keyless = Keyless()
    for call in (keyless.get, keyless.get.invalidate, keyless.get.refresh, keyless.get.key_for):
        with pytest.raises(UnkeyableArgumentError, match=r"argument 'self' .*__cache_key__"):
            call(1)  # type: ignore[operator]


def test_abstract_methods_stay_abstract() -> None:
    class Base(ABC):
        @abstractmethod
        @cache.cached
        def outside(self) -> int: ...

        @cache.cached
        @abstractmethod
        def inside(self) -> int: ...

    assert Base.__abstractmethods__ == {"outside", "inside"}


def test_in_classes_that_are_made_over() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int

        def __cache_key__(self) -> int:
            return self.x

        @cache.cached
        def doubled(self) -> int:
            return 2 * self.x

    assert Point(2).doubled() == Point(2).doubled() == 4
    assert Point(2).doubled.invalidate()
    assert Colour.RED.code() == Colour.RED.code() == "#1"
    assert list(Colour) == [Colour.RED]


def test_a_function_in_a_method_is_no_method() -> None:
    class Maker:
        def make(self) -> Any:
            @cache.cached
            def made(x: int) -> int:
                return x

            return made

    assert inspect.isfunction(Maker().make())
    assert Maker().make()(1) == 1


def logged(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def test_other_decorators_of_methods() -> None:
    class Own:
        __cache_key__ = 1

        @logged
        @cache.cached
        def above(self, x: int) -> list[int]:
            return [x]

        @cache.cached
        @logged
        def below(self, x: int) -> list[int]:
            return [x]

    own = Own()
    for _ in range(2):
        assert own.above(1) == own.below(1) == [1]
    assert own.below.invalidate(1)
    assert Own.above.__wrapped__.invalidate(own, 1)
