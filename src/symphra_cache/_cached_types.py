"""Types of decorated functions, for type checkers: one for each kind of function.

No object is of these types; see ``_decorating.py`` for what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterator,
    )
    from typing import Any, Self

    from symphra_cache._cached import FunctionStats

__all__ = [
    "CachedAsyncGenerator",
    "CachedCoroutine",
    "CachedFunction",
    "CachedGenerator",
    "Decorates",
]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
First = TypeVar("First", contravariant=True)
Item = TypeVar("Item")


class Taking(Protocol[First, Q, T_co]):
    """A function whose first argument is taken by the object that it is a method of."""

    def __call__(self, first: First, /, *args: Q.args, **kwargs: Q.kwargs) -> T_co: ...


class Nothing:
    """No function returns it; so one that seems to returns ``Any``."""


class Cached(Protocol[P]):
    """What every decorated function has."""

    __name__: str
    __qualname__: str

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of a call; tell whether there was one."""

    async def ainvalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of a call; tell whether there was one."""

    def invalidate_all(self) -> int:
        """Forget the results of all calls; return how many there were."""

    async def ainvalidate_all(self) -> int:
        """Forget the results of all calls; return how many there were."""

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key under which the result of a call is kept."""

    def stats(self) -> FunctionStats:
        """Return the counts of this function in this process."""


class CachedFunction(Cached[P], Protocol[P, T_co]):
    """A decorated function."""

    @property
    def original(self) -> Callable[P, T_co]:
        """The function itself."""

    @property
    def __wrapped__(self) -> Callable[P, T_co]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run the function now and keep its result, whatever was kept before."""

    async def arefresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run the function now and keep its result, whatever was kept before."""

    @overload  # a class method, of a class
    def __get__(
        self: Taking[type[S], Q, T], instance: None, owner: type[S], /
    ) -> CachedFunction[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, T], instance: S, owner: type | None = None, /
    ) -> CachedFunction[Q, T]: ...
    @overload  # a class method, of an object
    def __get__(
        self: Taking[type[S], Q, T], instance: S, owner: type | None = None, /
    ) -> CachedFunction[Q, T]: ...
    @overload  # a static method
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...


class CachedCoroutine(Cached[P], Protocol[P, T_co]):
    """A decorated coroutine function."""

    @property
    def original(self) -> Callable[P, Coroutine[Any, Any, T_co]]:
        """The function itself."""

    @property
    def __wrapped__(self) -> Callable[P, Coroutine[Any, Any, T_co]]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]: ...

    async def arefresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run the function now and keep its result, whatever was kept before."""

    @overload  # a class method, of a class
    def __get__(
        self: Taking[type[S], Q, Coroutine[Any, Any, T]], instance: None, owner: type[S], /
    ) -> CachedCoroutine[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, Coroutine[Any, Any, T]], instance: S, owner: type | None = None, /
    ) -> CachedCoroutine[Q, T]: ...
    @overload  # a class method, of an object
    def __get__(
        self: Taking[type[S], Q, Coroutine[Any, Any, T]], instance: S, owner: type | None = None, /
    ) -> CachedCoroutine[Q, T]: ...
    @overload  # a static method
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...


class CachedGenerator(Cached[P], Protocol[P, Item]):
    """A decorated generator function."""

    @property
    def original(self) -> Callable[P, Iterator[Item]]:
        """The function itself."""

    @property
    def __wrapped__(self) -> Callable[P, Iterator[Item]]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Generator[Item, Any, None]: ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> list[Item]:
        """Run the function now and keep its result, whatever was kept before."""

    async def arefresh(self, *args: P.args, **kwargs: P.kwargs) -> list[Item]:
        """Run the function now and keep its result, whatever was kept before."""

    @overload  # a class method, of a class
    def __get__(
        self: Taking[type[S], Q, Generator[T, Any, None]], instance: None, owner: type[S], /
    ) -> CachedGenerator[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, Generator[T, Any, None]], instance: S, owner: type | None = None, /
    ) -> CachedGenerator[Q, T]: ...
    @overload  # a class method, of an object
    def __get__(
        self: Taking[type[S], Q, Generator[T, Any, None]], instance: S, owner: type | None = None, /
    ) -> CachedGenerator[Q, T]: ...
    @overload  # a static method
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...


class CachedAsyncGenerator(Cached[P], Protocol[P, Item]):
    """A decorated asynchronous generator function."""

    @property
    def original(self) -> Callable[P, AsyncIterator[Item]]:
        """The function itself."""

    @property
    def __wrapped__(self) -> Callable[P, AsyncIterator[Item]]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Item, Any]: ...

    async def arefresh(self, *args: P.args, **kwargs: P.kwargs) -> list[Item]:
        """Run the function now and keep its result, whatever was kept before."""

    @overload  # a class method, of a class
    def __get__(
        self: Taking[type[S], Q, AsyncGenerator[T, Any]], instance: None, owner: type[S], /
    ) -> CachedAsyncGenerator[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, AsyncGenerator[T, Any]], instance: S, owner: type | None = None, /
    ) -> CachedAsyncGenerator[Q, T]: ...
    @overload  # a class method, of an object
    def __get__(
        self: Taking[type[S], Q, AsyncGenerator[T, Any]], instance: S, owner: type | None = None, /
    ) -> CachedAsyncGenerator[Q, T]: ...
    @overload  # a static method
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...


class Decorates(Protocol):
    """What ``cache.cached(...)`` returns."""

    @overload
    def __call__(self, function: Callable[P, Nothing], /) -> CachedFunction[P, Any]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedCoroutine[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> CachedAsyncGenerator[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Iterator[T]], /
    ) -> CachedGenerator[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> CachedFunction[P, T]: ...
