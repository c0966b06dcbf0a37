"""State of a function whose results are kept: its keys, how its values are made, its counts.

The faces are in ``_async/cached.py`` and its generated twin, what stands for the function is
made in ``_decorating.py``.
"""

from __future__ import annotations

from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import AsyncGeneratorType, GeneratorType
from typing import NamedTuple

from symphra_cache._loads import is_awaitable
from symphra_cache.exceptions import ConfigurationError, InvalidLoaderError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphra_cache._call_keys import CallKey
    from symphra_cache._loads import Load

__all__ = ["CachedState", "FunctionStats", "Kind", "arun", "run"]


class Kind(NamedTuple):
    """What kind of function it is.

    Attributes:
        is_async: it must be awaited, or iterated with ``async for``.
        is_generator: it yields; the list of what it yields is kept.
    """

    is_async: bool
    is_generator: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Kind:
        """Return the kind of a function, or of an object that can be called like one."""
        for each in (function, type(function).__call__):
            if isgeneratorfunction(each):
                return cls(is_async=False, is_generator=True)
            if isasyncgenfunction(each):
                return cls(is_async=True, is_generator=True)
            if iscoroutinefunction(each):
                return cls(is_async=True, is_generator=False)
        return cls(is_async=False, is_generator=False)


class FunctionStats(NamedTuple):
    """Counts of a decorated function since it was decorated, of this process alone.

    Attributes:
        hits: calls that were answered from the cache.
        misses: calls that were not: their caller loaded, or waited for who did.
        loads: runs of the function itself, by a miss or by ``refresh``.
        errors: those of them that raised.
    """

    hits: int
    misses: int
    loads: int
    errors: int


class Counts:
    """The counts of a decorated function; see `FunctionStats`.

    Counted without a lock from any thread, see `symphra_cache._metrics.Counters`.
    """

    __slots__ = FunctionStats._fields

    def __init__(self) -> None:
        self.hits: int = 0
        self.misses: int = 0
        self.loads: int = 0
        self.errors: int = 0


class CachedState:
    """What both faces of a decorated function share.

    Args:
        function: what was decorated.
        manager: keeps the results.
        loads: those of the manager's namespace, both faces of them.
        key: makes the keys of calls.
        load: how results are kept; its loader is not used.

    Attributes:
        original: the function.
        name: what messages call it.
        kind: what kind it is.
        counts: its counts.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        manager: Any,
        loads: Any,
        key: CallKey,
        load: Load,
    ) -> None:
        self.original: Callable[..., Any] = function
        self.name: str = getattr(function, "__qualname__", type(function).__name__)
        self.kind: Kind = Kind.of(function)
        self._manager: Any = manager
        self._loads: Any = loads
        self._key = key
        self._load = load
        self.counts: Counts = Counts()

    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """Return the key under which the result of a call is kept."""
        return self._key(*args, **kwargs)

    def stats(self) -> FunctionStats:
        """Return the counts of this function in this process."""
        counts = self.counts
        return FunctionStats(counts.hits, counts.misses, counts.loads, counts.errors)

    def checked(self, value: object) -> Any:
        """Return what the function made, unless it is nothing that can be kept.

        Raises:
            InvalidLoaderError: it still has to be awaited or iterated over.
        """
        if isinstance(value, (GeneratorType, AsyncGeneratorType)) or is_awaitable(value):
            close = getattr(value, "close", None)
            if close is not None:
                close()  # else Python warns that nobody awaited it
            raise InvalidLoaderError(
                f"{self.name}() returned a {type(value).__name__}, which can be used only once; "
                "cached must know that from the function: if a decorator hides what kind it is, "
                "put cached below that decorator"
            )
        return value

    def _check_refresh(self, name: str) -> None:
        """Refuse to do by the blocking face what must be awaited."""
        if self.kind.is_async and name == "refresh":
            raise InvalidLoaderError(
                f"{self.name} must be awaited, which the blocking refresh can't do; use arefresh"
            )

    def _pattern(self) -> str:
        if self._key.pattern is None:
            raise ConfigurationError(
                f"invalidate_all of {self.name} needs to know what its keys look like, and key= "
                "is a function; give a template such as 'user:{user_id}' instead, or use a "
                "namespace of its own and clear it"
            )
        return self._key.pattern


def run(state: CachedState, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a decorated function itself and return its value, for a generator all it yields."""
    state.counts.loads += 1
    try:
        made = state.original(*args, **kwargs)
        return list(made) if state.kind.is_generator else state.checked(made)
    except Exception:
        state.counts.errors += 1
        raise


async def arun(state: CachedState, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do the same with a function of any kind."""
    if not state.kind.is_async:
        return run(state, args, kwargs)
    state.counts.loads += 1
    try:
        made = state.original(*args, **kwargs)
        if state.kind.is_generator:
            return [item async for item in made]
        return state.checked(await made)
    except Exception:
        state.counts.errors += 1
        raise
