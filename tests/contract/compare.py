"""A comparison of values that lets nothing pass: types, signs, order, time zones and all."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo


def difference(found: object, wanted: object, at: str = "value") -> str | None:
    """Say where two values differ, types and signs included; ``None`` if they don't."""
    if type(found) is not type(wanted):
        return f"{at}: {type(found)} is not {type(wanted)}"
    if isinstance(wanted, (float, complex)):
        alike = _parts(found) == _parts(wanted)
    elif isinstance(wanted, (list, tuple)):
        return _difference_of_sequences(found, wanted, at)
    elif isinstance(wanted, dict):
        return _difference_of_sequences(list(found.items()), list(wanted.items()), at)  # type: ignore[attr-defined]
    elif isinstance(wanted, (set, frozenset)):
        return _difference_of_sequences(
            sorted(found, key=_order),  # type: ignore[call-overload]
            sorted(wanted, key=_order),
            at,
        )
    elif is_dataclass(wanted):
        names = [each.name for each in fields(wanted)]
        pairs = [[getattr(each, name) for name in names] for each in (found, wanted)]
        return _difference_of_sequences(*pairs, at)
    elif isinstance(wanted, Decimal):
        alike = found.as_tuple() == wanted.as_tuple()  # type: ignore[attr-defined]
    elif isinstance(wanted, (datetime, time)):
        alike = _moment(found) == _moment(wanted)
    else:
        alike = found == wanted
    return None if alike else f"{at}: {found!r} is not {wanted!r}"


def _difference_of_sequences(found: Any, wanted: Any, at: str) -> str | None:
    if len(found) != len(wanted):
        return f"{at}: {len(found)} parts are not {len(wanted)}"
    for number, (left, right) in enumerate(zip(found, wanted, strict=True)):
        if text := difference(left, right, f"{at}[{number}]"):
            return text
    return None


def _order(value: object) -> str:
    """Return a text by which members of two equal sets are sorted alike."""
    kind = type(value).__name__
    if isinstance(value, frozenset):
        return f"{kind}({','.join(sorted(map(_order, value)))})"
    if isinstance(value, tuple):
        return f"{kind}({','.join(map(_order, value))})"
    return f"{kind} {value!r}"


def _parts(value: Any) -> list[tuple[object, float]]:
    """Floats by what `==` does not see: nan, and the sign of zero."""
    return [
        ("nan" if math.isnan(each) else each, 0.0 if math.isnan(each) else math.copysign(1, each))
        for each in ((value.real, value.imag) if isinstance(value, complex) else (value,))
    ]


def _moment(value: Any) -> tuple[object, ...]:
    zone = value.tzinfo
    details: tuple[object, ...] = ()
    if type(zone) is timezone:
        details = zone.__getinitargs__()  # type: ignore[attr-defined]
    elif isinstance(zone, ZoneInfo):
        details = (zone.key,)
    plain = value.replace(tzinfo=None, fold=0)
    return plain, value.fold, value.utcoffset(), type(zone), *details
