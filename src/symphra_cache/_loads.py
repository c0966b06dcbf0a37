"""What the loads of both faces have in common: their arguments, and what waiters get. No I/O.

The faces are in ``_async/loads.py`` and its generated twin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from types import FunctionType, GeneratorType, MethodType
from typing import cast

from symphra_cache._ttl import checked_jitter, milliseconds
from symphra_cache.exceptions import ConfigurationError, InvalidLoaderError
from symphra_cache.types import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphra_cache._callers import Caller
    from symphra_cache._flights import Flight, Flights, Kept
    from symphra_cache._metrics import Counters
    from symphra_cache._recordings import Recording
    from symphra_cache.types import TTL, TTLArgument

__all__ = [
    *("AsyncLoad", "Load", "LoadsState", "SyncLoad", "acalled", "called", "checked_result"),
    *("is_awaitable", "kept_for_others", "shared_outcome", "tell"),
]


# As `inspect` has them, which takes longer to import than this package.
_CO_COROUTINE, _CO_ITERABLE_COROUTINE = 0x80, 0x100


class Load:
    """How a missing value is loaded, and whether and for how long it is kept.

    Args:
        loader: a function without arguments, or the value itself.
        ttl: time to live, or a function of the value that returns it.
        should_cache: a function of the value that tells whether it is stored; ``None``: it is.
        jitter: the share by which the ttl is spread.

    Raises:
        ConfigurationError: ``should_cache`` or ``jitter`` is wrong.
        InvalidTTLError: ``ttl`` is wrong.
    """

    __slots__ = ("_should_cache", "_ttl", "jitter", "loader")

    def __init__(
        self,
        loader: Any,
        ttl: TTLArgument | Callable[[Any], TTLArgument],
        should_cache: Callable[[Any], object] | None,
        jitter: float,
    ) -> None:
        if should_cache is not None and not callable(should_cache):
            raise ConfigurationError(
                f"should_cache must be a function of the value or None, got "
                f"{type(should_cache).__name__}"
            )
        if ttl is not DEFAULT and not callable(ttl):
            milliseconds(cast("TTL", ttl))
        self.loader: Any = loader
        self._ttl = ttl
        self._should_cache = should_cache
        self.jitter: float = checked_jitter(jitter)

    def of(self, loader: Any) -> Load:
        """Return the same with another loader."""
        load = object.__new__(Load)
        load.loader, load._ttl = loader, self._ttl
        load._should_cache, load.jitter = self._should_cache, self.jitter
        return load

    def is_kept(self, value: Any) -> bool:
        """Tell whether a value is to be stored."""
        return self._should_cache is None or bool(self._should_cache(value))

    def ttl_of(self, value: Any, default: TTL) -> TTL:
        """Return the time that a value is stored for, before it is spread."""
        if not callable(self._ttl):
            return default if self._ttl is DEFAULT else cast("TTL", self._ttl)
        ttl = self._ttl(value)
        if ttl is DEFAULT:
            return default
        milliseconds(cast("TTL", ttl))  # refuses what is none
        return cast("TTL", ttl)


class AsyncLoad(Load):
    """A load that a coroutine asked for."""

    __slots__ = ()


class SyncLoad(Load):
    """A load that was asked for where nothing can be awaited, whether or not there is a miss.

    Raises:
        InvalidLoaderError: the loader is a coroutine function.
    """

    __slots__ = ()

    def __init__(self, loader: Any, *options: Any) -> None:
        function = loader.__func__ if isinstance(loader, MethodType) else loader
        if isinstance(function, FunctionType) and function.__code__.co_flags & _CO_COROUTINE:
            raise _refused(f"the coroutine function {_shown(loader)}")
        super().__init__(loader, *options)


class LoadsState:
    """The loads of one namespace: what both faces share.

    Args:
        flights: those of the backend.
        keyspace: the namespace's; what is stored by it voids no load.
        path: of the namespace.
        default_ttl: for what is stored without one.
        counters: the manager's.

    Attributes:
        flights: those of the backend.
    """

    def __init__(
        self, flights: Flights, keyspace: Any, path: str, default_ttl: TTL, counters: Counters
    ) -> None:
        self.flights: Flights = flights
        self._flights = flights
        self._keyspace: Any = keyspace
        self._path = path
        self._default_ttl = default_ttl
        self._counters = counters

    def recording(self, key: str, caller: Caller) -> Recording:
        """Begin to keep what a generator yields."""
        from symphra_cache._recordings import Recording

        return Recording(self._flights, (self._path, key), caller)


def called(loader: Any, *arguments: Any) -> Any:
    """Return what a loader makes; anything but a function is the value itself.

    Raises:
        InvalidLoaderError: that must be awaited.
    """
    value = loader(*arguments) if callable(loader) else loader
    if is_awaitable(value):
        close = getattr(value, "close", None)
        if close is not None:
            close()  # else Python warns that nobody awaited it
        raise _refused(f"{_shown(loader)}, which returned a {type(value).__name__}")
    return value


async def acalled(loader: Any, *arguments: Any) -> Any:
    """Do what `called` does; a coroutine function is awaited."""
    value = loader(*arguments) if callable(loader) else loader
    return await value if is_awaitable(value) else value


def is_awaitable(value: object) -> bool:
    """Tell whether a value must be awaited."""
    if type(value) is GeneratorType:
        return bool(value.gi_code.co_flags & _CO_ITERABLE_COROUTINE)
    return isinstance(value, Awaitable)


def checked_result(loaded: object, keys: list[str]) -> dict[str, Any]:
    """Return what a loader of many keys has made of those that it was asked for.

    Raises:
        InvalidLoaderError: it is no mapping.
    """
    if not isinstance(loaded, Mapping):
        raise InvalidLoaderError(
            "the loader of get_or_set_many must return a mapping of keys to values, got "
            f"{type(loaded).__name__}; keys that it leaves out are left out of the answer"
        )
    return {key: loaded[key] for key in keys if key in loaded}


def _refused(what: str) -> InvalidLoaderError:
    return InvalidLoaderError(
        f"loader must be a value or a function, got {what}; the blocking methods can't await: "
        "use aget_or_set or aget_or_set_many in a coroutine"
    )


def _shown(loader: object) -> str:
    return str(getattr(loader, "__qualname__", type(loader).__name__))


def tell(flights: Flights, flight: Flight, caller: Caller, value: object) -> None:
    """Give a value to all who wait."""
    if not flights.end(flight, caller, None):
        flights.end(flight, caller, kept_for_others(flights, value))


def kept_for_others(flights: Flights, value: object) -> Kept:
    """Return what is kept of a value for who waits, and how each makes his own of it.

    So that one who changes his value changes nobody else's, where the backend sees to that. What
    can't be copied is shared.
    """
    try:
        return flights.isolate(value)
    except Exception:  # its own methods raise what they like
        return value, None


def shared_outcome(flight: Flight) -> Any:
    """Return the waiting caller's own value of a flight that is over, or raise its error."""
    if flight.error is not None:
        raise _own(flight.error)
    assert flight.outcome is not None
    kept, thaw = flight.outcome
    return kept if thaw is None else thaw(kept)


def _own(error: Exception) -> Exception:
    """Return an error for one of many to raise: tracebacks grow with each who raises it."""
    from copy import copy

    try:
        own = copy(error)
    except Exception:  # its own methods raise what they like
        own = error
    if type(own) is not type(error) or own.args != error.args:
        own = error
    own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
    return own.with_traceback(error.__traceback__)
