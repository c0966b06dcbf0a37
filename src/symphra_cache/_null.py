"""State of the null backend: whether it is closed, and the checks that the others make too."""

from __future__ import annotations

from symphra_cache._keys import checked_key, checked_keys, checked_mapping
from symphra_cache._metrics import Counters
from symphra_cache._patterns import compile_pattern
from symphra_cache._ttl import milliseconds
from symphra_cache._usage import Usage, closed_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from symphra_cache.types import TTL

__all__ = ["NullKeyspaceState", "Switch"]


class Switch:
    """Whether a null backend is closed, for all its keyspaces."""

    closed: bool = False


class NullKeyspaceState:
    """One namespace of nothing. Each check returns what the answer without entries is."""

    def __init__(self, switch: Switch, counters: Counters | None = None) -> None:
        self._switch = switch
        self._counters = Counters() if counters is None else counters

    def _nothing(self) -> int:
        if self._switch.closed:
            raise closed_error()
        return 0

    def _check(self, key: str, ttl: TTL = None) -> bool:
        checked_key(key)
        milliseconds(ttl)
        return bool(self._nothing())

    def _check_many(self, keys: Iterable[str]) -> list[str]:
        checked = checked_keys(keys)
        self._nothing()
        return checked

    def _check_mapping(self, mapping: Mapping[str, object], ttl: TTL) -> dict[str, object]:
        milliseconds(ttl)
        checked = checked_mapping(mapping)
        self._nothing()
        return checked

    def _check_pattern(self, pattern: str) -> int:
        compile_pattern(pattern)
        return self._nothing()

    def usage(self) -> Usage:
        """Return that nothing is held."""
        return Usage(evictions=0, expirations=0, entries=0, bytes=0)
