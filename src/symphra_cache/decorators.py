"""`CacheManager.cached`: functions whose results are kept, of either kind, alone or in a class.

What stands for the function is made from source once, with its own parameters, the key and the
lookup inline: on a hit no other frame is entered but the reader's. An object with a ``__call__``
costs twice as much.
"""

from __future__ import annotations

import sys
from functools import WRAPPER_ASSIGNMENTS, partial, update_wrapper
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from symphra_cache._async.cached import AsyncCachedOps
from symphra_cache._cached import FunctionStats
from symphra_cache._cached_types import (
    CachedAsyncGenerator,
    CachedCoroutine,
    CachedFunction,
    CachedGenerator,
)
from symphra_cache._call_keys import CallSource, key_source
from symphra_cache._loads import Load
from symphra_cache._sync.cached import SyncCachedOps
from symphra_cache._ttl import milliseconds
from symphra_cache.exceptions import BackendUnavailableError, ConfigurationError
from symphra_cache.types import DEFAULT, MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache._cached import CachedState
    from symphra_cache._call_keys import KeySource

__all__ = [
    "CachedAsyncGenerator",
    "CachedCoroutine",
    "CachedFunction",
    "CachedGenerator",
    "Decorator",
    "FunctionStats",
]

# What a decorated function has: the first take the arguments of a call.
_OF_CALLS = ("invalidate", "ainvalidate", "refresh", "arefresh", "key_for")
_OF_ALL = ("invalidate_all", "ainvalidate_all", "stats", "original")


class CachedFace(AsyncCachedOps, SyncCachedOps):
    """A function whose results are kept, by either face."""


class Decorator:
    """Decorates functions so that their results are kept; see `CacheManager.cached`.

    Raises:
        ConfigurationError: an option is wrong.
        InvalidTTLError: the ttl is wrong.
    """

    def __init__(self, manager: Any, ttl: Any, key: Any, should_cache: Any, jitter: float) -> None:
        if ttl is not DEFAULT and not callable(ttl):
            milliseconds(ttl)
        self._manager = manager
        self._key = key
        self._load = Load(None, ttl, should_cache, jitter)

    def __call__(self, function: Any, /) -> Any:
        """Return what stands for a function, a method, or what ``staticmethod`` & Co. made."""
        if isinstance(function, staticmethod):
            return staticmethod(self._made(function.__func__))
        if isinstance(function, classmethod):
            return CachedClassMethod(CachedMethod.of(self._made(function.__func__)))
        if isinstance(function, MethodType):
            return CachedMethod.of(self._made(function.__func__)).__get__(function.__self__)
        made = self._made(function)
        return CachedMethod.of(made) if _is_in_class(function) else made

    def _made(self, function: Callable[..., Any]) -> FunctionType:
        call = CallSource(_checked_function(function))
        key = key_source(call, self._key)
        state = CachedFace(function, self._manager, self._manager._loads, call.key(key), self._load)
        made = _compiled(call, key, state, self._manager)
        update_wrapper(made, function)
        for name in (*_OF_CALLS, *_OF_ALL):
            setattr(made, name, getattr(state, name))
        return made


def _compiled(call: CallSource, key: KeySource, state: CachedState, manager: Any) -> FunctionType:
    """Compile what stands for a function: its key, a lookup, and what is done on a miss."""
    start, a = ("async def", "a") if state.kind.is_async else ("def", "")
    if state.kind.is_generator:
        streamed = call.known("streamed", getattr(state, f"{a}streamed"))
        made = f"{streamed}({key.text}, {call.passed_on()})"
        lines = _streaming(call, made) if a else (f"yield from {made}",)
    else:
        lines = _looking_up(call, key.text, state, manager)
    return call.compile(*key.lines, *lines, what="cached", start=start)


def _looking_up(call: CallSource, key: str, state: CachedState, manager: Any) -> tuple[str, ...]:
    known, ended, value = call.known, call.known("ended"), call.known("value")
    wait, a = ("await ", "a") if state.kind.is_async else ("", "")
    found = f"{wait}{_getter(call, manager, f'{a}get')}({key}, {known('MISSING', MISSING)})"
    missed = known("missed", getattr(state, f"{a}missed"))
    return (
        # Before the lookup; see `Flights.ended`.
        f"{ended} = {known('flights', manager._loads.flights)}.ended",
        "try:",
        f"    if ({value} := {found}) is not {known('MISSING', MISSING)}:",
        f"        {known('state', state)}.hits += 1",
        f"        return {value}",
        f"except {known('unavailable', BackendUnavailableError)}:",
        "    pass",
        f"return {wait}{missed}({key}, {ended}, {call.passed_on()})",
    )


def _streaming(call: CallSource, made: str) -> tuple[str, ...]:
    """Return what ``yield from`` would be, were it allowed in an ``async def``."""
    items, item = call.known("items"), call.known("item")
    return (
        f"{items} = {made}",
        "try:",
        f"    async for {item} in {items}: yield {item}",
        "finally:",
        f"    await {items}.aclose()",
    )


def _getter(call: CallSource, manager: Any, name: str) -> str:
    """Return the source of a manager's method, as it is when the function is called.

    The methods that are bound to a backend lie in the manager itself, hidden from the fast path
    of Python's attributes by those of the class.
    """
    own = vars(manager)
    if name in own:
        return f"{call.known('own', own)}[{name!r}]"
    return f"{call.known('manager', manager)}.{name}"


def _is_in_class(function: Any) -> bool:
    """Tell whether a function was defined directly in a class."""
    around, dot, _ = getattr(function, "__qualname__", "").rpartition(".")
    return bool(dot) and not around.endswith("<locals>")


def _checked_function(function: Any) -> Callable[..., Any]:
    if callable(function) and not isinstance(function, type):
        return function  # type: ignore[no-any-return]
    if isinstance(function, property):
        remedy = "put it below @property"
    elif isinstance(function, type):
        remedy = f"decorate methods of {function.__qualname__}, or a function that calls it"
    else:
        remedy = "options go by name, as in @cache.cached(ttl=60)"
    raise ConfigurationError(f"cached decorates functions, got {type(function).__name__}; {remedy}")


class CachedMethod(partial[Any]):
    """A decorated function that was defined in a class; bound to an object where it has one.

    A `functools.partial` of the function, for these are called without a frame of their own, and
    `inspect` knows them. Attributes are those of the function, as with a bound method of Python's,
    but what takes the arguments of a call is bound to the object, too.
    """

    @classmethod
    def of(cls, function: FunctionType) -> CachedMethod:
        """Return the method that a function is."""
        method = cls(function)
        vars(method).update(
            (name, getattr(function, name))
            for name in WRAPPER_ASSIGNMENTS
            if hasattr(function, name)
        )
        return method

    def __get__(self, instance: Any, owner: type | None = None) -> CachedMethod:
        if instance is None or self.args:
            return self
        method = CachedMethod(self.func, instance)
        method.__dict__ = self.__dict__  # name, documentation and so on
        return method

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.func, name)
        if name in _OF_CALLS:
            return partial(self._refused if self._is_hidden() else found, *self.args)
        if self.args and name in ("original", "__wrapped__"):
            return MethodType(found, *self.args)
        return found

    def _is_hidden(self) -> bool:
        """Tell whether a class method of Python's keeps from us which class was asked.

        Up to 3.12 it binds what it wraps. From 3.13 on it binds calls alone, and what it wraps
        can't tell it from a static method but by asking who holds it.
        """
        if self.args or sys.version_info < (3, 13):
            return False
        hidden = vars(self).get("_hidden")
        if hidden is None:
            import gc

            hidden = any(isinstance(each, classmethod) for each in gc.get_referrers(self))
            vars(self)["_hidden"] = hidden
        return bool(hidden)

    def _refused(self, *args: Any, **kwargs: Any) -> Any:
        raise ConfigurationError(
            f"{self.__qualname__} can't know its class: from Python 3.13 on, classmethod tells it "
            "to calls alone; put @cache.cached above @classmethod"
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CachedMethod)
            and self.func is other.func
            and [*map(id, self.args)] == [*map(id, other.args)]
        )

    def __hash__(self) -> int:
        return hash((self.func, *map(id, self.args)))

    def __repr__(self) -> str:
        bound = f" of {self.args[0]!r}" if self.args else ""
        return f"<cached {self.__module__}.{self.__qualname__}{bound}>"

    def __reduce__(self) -> Any:
        # As Python does it with methods, and with what a module holds.
        return (getattr, (self.args[0], self.__name__)) if self.args else self.__qualname__


class CachedClassMethod(classmethod):  # type: ignore[type-arg]
    """A decorated class method, whatever the version of Python."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method: Any = self.__func__
        return method.__get__(type(instance) if owner is None else owner)
