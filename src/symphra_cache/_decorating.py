"""`CacheManager.cached`: functions whose results are kept, of either kind, alone or in a class.

What stands for the function is made from source once, with its own parameters, the key and the
lookup inline: on a hit no other frame is entered but the reader's. An object with a ``__call__``
costs twice as much.
"""

from __future__ import annotations

from functools import update_wrapper
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from symphra_cache._async.cached import AsyncCachedOps
from symphra_cache._cached_methods import OF_ALL, OF_CALLS, CachedClassMethod, CachedMethod
from symphra_cache._call_keys import CallSource, call_key, key_source
from symphra_cache._loads import Load
from symphra_cache._sync.cached import SyncCachedOps
from symphra_cache.exceptions import BackendUnavailableError, ConfigurationError
from symphra_cache.types import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache._cached import CachedState
    from symphra_cache._call_keys import KeySource

__all__ = ["CachedFace", "Decorator"]


class CachedFace(AsyncCachedOps, SyncCachedOps):
    """A function whose results are kept, by either face."""


class Decorator:
    """Decorates functions so that their results are kept; see `CacheManager.cached`.

    Raises:
        ConfigurationError: an option is wrong.
        InvalidTTLError: the ttl is wrong.
    """

    def __init__(self, manager: Any, ttl: Any, key: Any, should_cache: Any, jitter: float) -> None:
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
        key = call_key(_checked_function(function), self._key)
        state = CachedFace(function, self._manager, self._manager._loads, key, self._load)
        # A source of its own: what stands for the function knows the state, which knows the key.
        call = CallSource(function)
        made = _compiled(call, key_source(call, self._key), state, self._manager)
        call.close()
        update_wrapper(made, function)
        for name in (*OF_CALLS, *OF_ALL):
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
    get, waits = getattr(manager, f"{a}get"), wait
    # Before the lookup; see `Flights.ended`.
    lines: tuple[str, ...] = (f"{ended} = {known('flights', manager._loads.flights)}.ended",)
    readers: Any = getattr(manager._keyspace, "_readers", None) or ()
    if get in readers:
        # Hot path: neither of the two waits, and to look once more after a miss costs little.
        get, waits, lines, ended = readers[0], "", (), "-1"
    found = f"{waits}{known('get', get)}({key}, {known('MISSING', MISSING)})"
    missed = known("missed", getattr(state, f"{a}missed"))
    return (
        *lines,
        "try:",
        f"    if ({value} := {found}) is not {known('MISSING', MISSING)}:",
        f"        {known('counts', state.counts)}.hits += 1",
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


def _is_in_class(function: Any) -> bool:
    """Tell whether a function was defined directly in a class."""
    around, dot, _ = getattr(function, "__qualname__", "").rpartition(".")
    return bool(dot) and not around.endswith("<locals>")


def _checked_function(function: Any) -> Callable[..., Any]:
    if callable(function) and not isinstance(function, type):
        return cast("Callable[..., Any]", function)
    if isinstance(function, property):
        remedy = "put it below @property"
    elif isinstance(function, type):
        remedy = f"decorate methods of {function.__qualname__}, or a function that calls it"
    else:
        remedy = "options go by name, as in @cache.cached(ttl=60)"
    raise ConfigurationError(f"cached decorates functions, got {type(function).__name__}; {remedy}")
