"""How many bytes an entry takes, for ``max_bytes``: estimated once, when it is stored."""

from __future__ import annotations

from sys import getsizeof
from types import FunctionType, ModuleType

from symphra_cache.exceptions import ConfigurationError, ValueTooLargeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Sizes"]

_ENTRY = 200
"""What the store itself takes for an entry, whatever its value; measured by the benchmarks."""

_CONTAINERS = (tuple, list, set, frozenset)
# What an object refers to, but does not own.
_SHARED_BY_ALL = (type, ModuleType, FunctionType)


class Sizes:
    """Sizes of the entries of one store, and their sum; not thread-safe, its owner takes turns.

    Args:
        max_bytes: how many there may be in all.
        sizeof: what measures a value; ``None`` to estimate the memory that an entry takes.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    __slots__ = ("_by_name", "_sizeof", "max_bytes", "total")

    def __init__(self, max_bytes: object, sizeof: object) -> None:
        if type(max_bytes) is not int or max_bytes <= 0:
            got = repr(max_bytes) if type(max_bytes) is int else type(max_bytes).__name__
            raise ConfigurationError(
                f"max_bytes must be a positive int or None (unbounded), got {got}"
            )
        self.max_bytes: int = max_bytes
        self.total: int = 0
        self._sizeof = _checked_sizeof(sizeof)
        self._by_name: dict[Any, int] = {}

    def measure(self, key: str, value: object, kept: object) -> int:
        """Return the size of an entry; for any thread, since it calls the program's ``sizeof``.

        Args:
            key: its key.
            value: the value as the program gave it.
            kept: what is kept of it.

        Raises:
            ValueTooLargeError: it alone is larger than all may be.
            ConfigurationError: ``sizeof`` returned no size.
        """
        if self._sizeof is None:
            size = _ENTRY + getsizeof(key) + _estimate(kept)
        else:
            size = self._sizeof(value)
            if type(size) is not int or size < 0:
                got = repr(size) if type(size) is int else type(size).__name__
                raise ConfigurationError(
                    f"sizeof must return a number of bytes (a non-negative int), got {got} "
                    f"for a {type(value).__name__}"
                )
        if size > self.max_bytes:
            raise ValueTooLargeError(
                f"value must fit into max_bytes={self.max_bytes}, got a {type(value).__name__} "
                f"of {size} bytes; raise max_bytes, or store less under one key"
            )
        return size

    def of(self, name: object) -> int:
        """Return the size of an entry, 0 if there is none."""
        return self._by_name.get(name, 0)

    def lacks_room(self, name: object, size: int) -> bool:
        """Tell whether something has to go before an entry of that size fits."""
        return self.total - self.of(name) + size > self.max_bytes

    def note(self, name: object, size: int) -> None:
        """Count an entry that was stored, instead of the one that was there."""
        self.total += size - self.of(name)
        self._by_name[name] = size

    def forget(self, name: object) -> None:
        """Count an entry no more."""
        self.total -= self._by_name.pop(name, 0)

    def clear(self) -> None:
        """Count nothing any more."""
        self._by_name.clear()
        self.total = 0


def _checked_sizeof(sizeof: Any) -> Callable[[object], int] | None:
    if sizeof is None or callable(sizeof):
        checked: Callable[[object], int] | None = sizeof
        return checked
    raise ConfigurationError(
        f"sizeof must be a function of the value, got {type(sizeof).__name__}; "
        "leave it out to have sizes estimated"
    )


def _estimate(value: object) -> int:
    """Return the bytes of a value and of what it holds, each object counted once.

    Python can't tell what an object of a foreign type holds beyond its attributes: programs
    that share such objects with the cache pass ``sizeof``.
    """
    total = 0
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += getsizeof(item)
        if isinstance(item, dict):
            waiting += item
            waiting += item.values()
        elif isinstance(item, _CONTAINERS):
            waiting += item
        elif hasattr(item, "__dict__") and not isinstance(item, _SHARED_BY_ALL):
            waiting.append(vars(item))
    return total
