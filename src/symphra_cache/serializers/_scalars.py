"""Values without parts that MessagePack lacks, each as one extension type.

Writers are found by exact type, readers by code. A reader is given untrusted bytes and
raises anything at all when they are not what its writer writes. The codes are part of
the format: see docs/en/format.md.
"""

from __future__ import annotations

import struct
import sys
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from symphra_cache.serializers._unstorable import Unstorable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from typing import Any

INT = 16
STR = 17
COMPLEX = 18
BYTEARRAY = 19
DATETIME = 20
DATE = 21
TIME = 22
TIMEDELTA = 23
DECIMAL = 24
UUID_ = 25

_NO_ZONE, _OFFSET, _NAMED_OFFSET, _ZONE_KEY = range(4)
_MAX_ZONE_KEY = 255
_MICROSECOND = timedelta(microseconds=1)

_COMPLEX = struct.Struct(">dd")
_DATETIME = struct.Struct(">HBBBBBIBB")  # year to microsecond, fold, kind of zone
_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIBB")
_TIMEDELTA = struct.Struct(">iII")
_ZONE_OFFSET = struct.Struct(">q")


def write_int(value: int) -> bytes:
    """Two's complement, big-endian, as short as it goes; for what 64 bits can't hold."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def write_str(value: str) -> bytes:
    """For a str with lone surrogates, which UTF-8 proper has no bytes for."""
    return value.encode("utf-8", "surrogatepass")


def _write_complex(value: complex) -> bytes:
    return _COMPLEX.pack(value.real, value.imag)


def _write_zone(zone: Any) -> tuple[int, bytes]:
    if zone is None:
        return _NO_ZONE, b""
    if type(zone) is timezone:
        # What pickle stores: the name only if one was given, so that both kinds come back.
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        data = _ZONE_OFFSET.pack(offset // _MICROSECOND)
        return (_NAMED_OFFSET, data + write_str(name[0])) if name else (_OFFSET, data)
    # A ZoneInfo can't exist before its module is loaded, and loading it has its price.
    module = sys.modules.get("zoneinfo")
    if module is not None and type(zone) is module.ZoneInfo and zone.key is not None:
        return _ZONE_KEY, zone.key.encode()
    error = Unstorable(
        type(zone).__qualname__, "take a datetime.timezone, or a ZoneInfo that has a key"
    )
    error.within(".tzinfo")
    raise error


def _write_datetime(value: datetime) -> bytes:
    kind, zone = _write_zone(value.tzinfo)
    return (
        _DATETIME.pack(
            value.year,
            value.month,
            value.day,
            value.hour,
            value.minute,
            value.second,
            value.microsecond,
            value.fold,
            kind,
        )
        + zone
    )


def _write_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _write_time(value: time) -> bytes:
    kind, zone = _write_zone(value.tzinfo)
    head = _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold, kind)
    return head + zone


def _write_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)


def _write_decimal(value: Decimal) -> bytes:
    return str(value).encode("ascii")


def _write_uuid(value: UUID) -> bytes:
    return value.bytes


def _read_int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def read_str(data: bytes) -> str:
    """Return the str that `write_str` wrote."""
    return data.decode("utf-8", "surrogatepass")


def _read_complex(data: bytes) -> complex:
    return complex(*_COMPLEX.unpack(data))


def _read_zone(kind: int, data: bytes) -> tzinfo | None:
    if kind == _NO_ZONE and not data:
        return None
    if kind == _OFFSET:
        (offset,) = _ZONE_OFFSET.unpack(data)
        return timezone(timedelta(microseconds=offset))
    if kind == _NAMED_OFFSET:
        (offset,) = _ZONE_OFFSET.unpack_from(data)
        return timezone(timedelta(microseconds=offset), read_str(data[_ZONE_OFFSET.size :]))
    if kind == _ZONE_KEY and len(data) <= _MAX_ZONE_KEY:
        from zoneinfo import ZoneInfo

        return ZoneInfo(data.decode())  # refuses paths that leave the zone folder
    raise ValueError("unknown kind of zone")


def _read_datetime(data: bytes) -> datetime:
    *parts, fold, kind = _DATETIME.unpack_from(data)
    zone = _read_zone(kind, data[_DATETIME.size :])
    return datetime(*parts, zone, fold=fold)  # type: ignore[misc, arg-type]


def _read_date(data: bytes) -> date:
    return date(*_DATE.unpack(data))


def _read_time(data: bytes) -> time:
    *parts, fold, kind = _TIME.unpack_from(data)
    return time(*parts, _read_zone(kind, data[_TIME.size :]), fold=fold)  # type: ignore[misc, arg-type]


def _read_timedelta(data: bytes) -> timedelta:
    return timedelta(*_TIMEDELTA.unpack(data))


def _read_decimal(data: bytes) -> Decimal:
    text = data.decode("ascii")
    value = Decimal(text)
    # Where the program has switched that trap off, nonsense becomes NaN instead of an error.
    if str(value).upper() != text.upper():
        raise ValueError("not the text of a Decimal")
    return value


def _read_uuid(data: bytes) -> UUID:
    return UUID(bytes=data)


WRITERS: dict[type, tuple[int, Callable[..., bytes]]] = {
    complex: (COMPLEX, _write_complex),
    bytearray: (BYTEARRAY, bytes),
    datetime: (DATETIME, _write_datetime),
    date: (DATE, _write_date),
    time: (TIME, _write_time),
    timedelta: (TIMEDELTA, _write_timedelta),
    Decimal: (DECIMAL, _write_decimal),
    UUID: (UUID_, _write_uuid),
}

READERS: dict[int, Callable[[bytes], object]] = {
    INT: _read_int,
    STR: read_str,
    COMPLEX: _read_complex,
    BYTEARRAY: bytearray,
    DATETIME: _read_datetime,
    DATE: _read_date,
    TIME: _read_time,
    TIMEDELTA: _read_timedelta,
    DECIMAL: _read_decimal,
    UUID_: _read_uuid,
}
