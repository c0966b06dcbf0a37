"""What a time to live may be. Inside the library it is whole milliseconds, or ``None``.

``None`` never expires; 0 means already expired, which every negative ttl becomes too.
"""

from __future__ import annotations

from datetime import timedelta
from math import isfinite

from symphra_cache.exceptions import ConfigurationError, InvalidTTLError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphra_cache.types import TTL

__all__ = ["DECADE", "MAX_TTL_MS", "checked_jitter", "lifetimes", "milliseconds", "spread"]

MAX_TTL_MS = 36_525 * 86_400_000  # 100 years of 365.25 days
DECADE = 3652 * 86_400
"""Whole seconds up to here are right without a further look."""


def milliseconds(ttl: TTL) -> int | None:
    """Return a ttl in milliseconds: ``None`` for never, 0 for already expired.

    Args:
        ttl: seconds (``int`` or ``float``), a ``timedelta``, or ``None``. A positive one below
            the resolution of 1 ms becomes 1 ms.

    Raises:
        InvalidTTLError: another type (``bool`` too), nan, infinite, or more than 100 years.
    """
    if ttl is None:
        return None
    if isinstance(ttl, timedelta):
        ttl = ttl.total_seconds()
    elif isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise InvalidTTLError(
            f"ttl must be seconds (int or float), a timedelta or None, got {type(ttl).__name__}; "
            "None means that the entry never expires"
        )
    if isinstance(ttl, float) and not isfinite(ttl):
        raise InvalidTTLError(
            f"ttl must be finite, got the float {ttl!r}; None means that the entry never expires"
        )
    if ttl <= 0:
        return 0
    if ttl * 1000 > MAX_TTL_MS:
        raise InvalidTTLError(
            f"ttl must be at most 100 years, got the {type(ttl).__name__} {_shortened(ttl)}; "
            "None means that the entry never expires"
        )
    return round(ttl * 1000) or 1


def _shortened(ttl: float) -> str:
    """Write a number so that the message stays short, whatever its size."""
    return repr(ttl) if ttl < 1e18 else "beyond 10**18"


def checked_jitter(jitter: object) -> float:
    """Return the share by which a ttl may be spread, from 0.0 up to, not including, 1.0.

    Raises:
        ConfigurationError: another type (``bool`` too) or out of range.
    """
    if isinstance(jitter, (int, float)) and not isinstance(jitter, bool) and 0 <= jitter < 1:
        return float(jitter)
    got = repr(jitter) if type(jitter) in (int, float) else type(jitter).__name__
    raise ConfigurationError(
        f"jitter must be a number from 0.0 up to, not including, 1.0, got {got}; "
        "0.1 spreads each ttl by 10 % both ways"
    )


def spread(ttl: TTL, jitter: float) -> TTL:
    """Return a ttl moved at random by at most ``jitter`` of itself, both ways.

    ``None`` stays ``None``; what `milliseconds` refuses is refused here or left for it.
    """
    if not jitter:
        return ttl
    whole = milliseconds(ttl)
    if not whole:
        return ttl
    from random import random  # a program without jitter never pays for the import

    return min(whole * (1 + jitter * (2 * random() - 1)), MAX_TTL_MS) / 1000


def lifetimes(whole: int, jitter: float) -> Iterator[int]:
    """Yield, without end, the lifetimes of entries that are written together.

    Args:
        whole: milliseconds, as `milliseconds` gives them.
        jitter: each is moved at random by at most this share of it, both ways.
    """
    from random import random

    while True:
        yield round(min(whole * (1 + jitter * (2 * random() - 1)), MAX_TTL_MS)) or 1
