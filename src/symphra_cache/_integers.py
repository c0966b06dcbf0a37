"""Counters: signed 64-bit integers with the same limits on every backend."""

from __future__ import annotations

from symphra_cache.exceptions import CounterOverflowError, NotAnIntegerError

__all__ = ["HIGHEST", "LOWEST", "added", "checked_delta", "not_a_counter"]

LOWEST = -(2**63)
HIGHEST = 2**63 - 1


def checked_delta(delta: object) -> int:
    """Return what ``incr`` adds.

    Raises:
        NotAnIntegerError: it is no ``int`` (``bool`` does not count as one).
        CounterOverflowError: it alone leaves the signed 64-bit range.
    """
    if isinstance(delta, bool) or not isinstance(delta, int):
        raise NotAnIntegerError(
            f"delta must be an int, got {type(delta).__name__}; convert it yourself"
        )
    if not LOWEST <= delta <= HIGHEST:
        raise CounterOverflowError(
            f"delta must fit into signed 64 bits, got an int of {delta.bit_length()} bits"
        )
    return int(delta)


def added(value: object, delta: int) -> int:
    """Return ``value + delta`` as ``incr`` does.

    Raises:
        NotAnIntegerError: the value is no integer.
        CounterOverflowError: the sum, or the value already, is beyond signed 64 bits.
    """
    if type(value) is not int:
        raise not_a_counter(type(value).__name__)
    total = value + delta
    if not (LOWEST <= value <= HIGHEST and LOWEST <= total <= HIGHEST):
        raise CounterOverflowError(
            "the counter would leave the signed 64-bit range (-2**63 to 2**63 - 1); "
            "it is unchanged: set it anew to start over"
        )
    return total


def not_a_counter(found: str) -> NotAnIntegerError:
    """Build the error for an entry that is no counter."""
    return NotAnIntegerError(
        f"the entry must be an int to be incremented, found {found}; it is unchanged: "
        "delete it or set it to an int first"
    )
