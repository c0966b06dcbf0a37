"""How the memory backend keeps a value apart from the program's own object.

A value is classified once, when it is stored: immutable ones are shared, which nobody can
observe; flat containers of immutable ones are copied in and out; everything else is kept as a
pickle. Pickle, not the default serializer, because it keeps any object and because its bytes
never leave the process, so nobody can plant one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    Thaw: TypeAlias = "Callable[[Any], object]"

__all__ = ["SCALARS", "flat", "frozen", "shared"]

SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose values are kept as they are, by either isolation."""

_COPIERS: dict[type, Thaw] = {
    list: list.copy,
    dict: dict.copy,
    set: set.copy,
    bytearray: bytearray,
}
_MAX_TUPLE_DEPTH = 8


def shared(value: object) -> tuple[object, None]:
    """Keep the very object; for ``isolation="shared"``."""
    return value, None


def frozen(value: object) -> tuple[object, Thaw | None]:
    """Return what to keep, and how to make a caller's own value from it (``None``: as it is).

    Raises:
        SerializationError: the value is neither copied nor picklable.
    """
    return flat(value) or _pickled(value)


def flat(value: object) -> tuple[object, Thaw | None] | None:
    """Do what `frozen` does for what is shared or copied; return ``None`` for all else."""
    kind = type(value)
    if kind in SCALARS:
        return value, None
    copier = _COPIERS.get(kind)
    if copier is not None:
        return (copier(value), copier) if _is_flat(value) else None
    return (value, None) if _is_immutable(value, _MAX_TUPLE_DEPTH) else None


def _is_flat(container: Any) -> bool:
    """Tell whether a builtin container holds immutable values alone."""
    if type(container) is bytearray:
        return True
    if type(container) is dict:
        return _all_immutable(container) and _all_immutable(container.values())
    return _all_immutable(container)


def _all_immutable(items: Iterable[object]) -> bool:
    # The common case runs in C.
    return SCALARS.issuperset(map(type, items)) or all(
        _is_immutable(item, _MAX_TUPLE_DEPTH) for item in items
    )


def _is_immutable(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is tuple or kind is frozenset:
        return depth > 0 and all(_is_immutable(item, depth - 1) for item in value)
    if kind in _immutable_types():
        # A tzinfo of the program's own may be mutable.
        zone = getattr(value, "tzinfo", None)
        return zone is None or type(zone) in _immutable_types()
    return False


def _pickled(value: object) -> tuple[object, Thaw]:
    from pickle import loads

    from symphra_cache.serializers import pickle_value

    return pickle_value(value), loads


_more_types: frozenset[type] = frozenset()


def _immutable_types() -> frozenset[type]:
    """Return the scalar types, with those of modules that a small program never needs."""
    global _more_types
    if not _more_types:
        from datetime import date, datetime, time, timedelta, timezone
        from decimal import Decimal
        from uuid import UUID
        from zoneinfo import ZoneInfo

        _more_types = SCALARS | {
            date,
            datetime,
            time,
            timedelta,
            timezone,
            Decimal,
            UUID,
            ZoneInfo,
        }
    return _more_types
