"""Sizes of values, as tests with ``max_bytes`` count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symphra_cache import ValueTooLargeError

if TYPE_CHECKING:
    from symphra_cache.backends.base import Backend

COUNTER = 8


class Scales:
    """An object that holds something."""

    def __init__(self, held: Any) -> None:
        self.held = held


def weight(value: Any) -> int:
    """Return bytes: of a counter 8, of everything else its length, of nested lists theirs."""
    if type(value) is int:
        return COUNTER
    if type(value) is list:
        return sum(map(weight, value))
    return len(value)


def fits(backend: Backend, value: object) -> bool:
    """Tell whether a backend takes a value; closes it."""
    try:
        return backend.set("k", value)
    except ValueTooLargeError:
        return False
    finally:
        backend.close()
