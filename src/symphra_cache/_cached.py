"""State of a function whose results are kept: its keys, how its values are loaded, its counts.

The faces are in ``_async/cached.py`` and its generated twin, the decorator in ``decorators.py``.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphra_cache._call_keys import CallKey
    from symphra_cache._load_faces import Loads
    from symphra_cache._loads import Load

__all__ = ["CachedState", "FunctionStats"]


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


class CachedState:
    """What both faces of a decorated function share.

    Args:
        function: what was decorated.
        manager: keeps the results.
        loads: of the manager's namespace.
        key: makes the keys of calls.
        load: how results are kept; its loader is the function itself.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        manager: Any,
        loads: Loads,
        key: CallKey,
        load: Load,
    ) -> None:
        self.original = function
        self._manager: Any = manager
        self._loads = loads
        self._key = key
        self._load = load
        self.hits: int = 0
        self.misses: int = 0
        self.loads: int = 0
        self.errors: int = 0

    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """Return the key under which the result of a call is kept."""
        return self._key(*args, **kwargs)

    def stats(self) -> FunctionStats:
        """Return the counts of this function in this process."""
        return FunctionStats(self.hits, self.misses, self.loads, self.errors)

    def _load_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Load:
        return self._load.of(partial(self._counted, args, kwargs))

    def _counted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.loads += 1
        try:
            return self.original(*args, **kwargs)
        except Exception:
            self.errors += 1
            raise

    def _pattern(self) -> str:
        if self._key.pattern is None:
            raise ConfigurationError(
                "invalidate_all needs to know what the keys look like, and key= is a function; "
                "give a template such as 'user:{user_id}' instead, or use a namespace of its own "
                "and clear it"
            )
        return self._key.pattern
