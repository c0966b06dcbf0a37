"""The slower form of the MessagePack payload, for values that MessagePack alone would change.

Such a payload begins with the byte c1, which MessagePack never uses. Scalars that
MessagePack lacks are extension types (`_scalars`); containers that it lacks are arrays
whose first item is an extension type, the *marker*. A marker reads as a `Marker`, which
no value of a program ever is, so a list can't be mistaken for a marked one. Reading
takes one native call, which no hook ever re-enters (so hostile nesting can't exhaust
the stack), and one walk with a depth limit.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from enum import Enum

from ormsgpack import Ext, packb, unpackb

from symphra_cache.serializers import _scalars, registry
from symphra_cache.serializers._native import OPTION, TAIL, WORD, Wrong
from symphra_cache.serializers._unstorable import (
    MAX_DEPTH,
    Unstorable,
    key_step,
    plain_base,
    too_deep,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

PREFIX = b"\xc1"

TUPLE = 1
SET = 2
FROZENSET = 3
DICT = 4
DATACLASS = 5
ENUM = 26
FLAG = 27

_AS_THEY_ARE = frozenset({type(None), bool, float, bytes})
_INT_MIN = -(2**63)
_INT_END = 2**64


def dumps(value: object) -> bytes:
    """Return the payload, or raise `Unstorable`."""
    marked = _mark(value, 0)
    try:
        return PREFIX + packb(marked, None, OPTION)
    except TypeError as error:  # not known to happen: the walk lets nothing else through
        raise Unstorable(type(value).__qualname__, str(error)) from error


def _mark(value: object, depth: int) -> object:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    mark = _MARKS.get(kind)
    if mark is not None:
        return mark(value, depth)
    return _mark_registered(value, depth)


def _mark_int(value: int, _: int) -> object:
    if _INT_MIN <= value < _INT_END:
        return value
    return Ext(_scalars.INT, _scalars.write_int(value))


def _mark_str(value: str, _: int) -> object:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(_scalars.STR, _scalars.write_str(value))
    return value


def _mark_scalar(code: int, write: Callable[[Any], bytes]) -> Callable[[Any, int], object]:
    return lambda value, _: Ext(code, write(value))


def _deeper(depth: int) -> int:
    if depth == MAX_DEPTH:
        raise too_deep()
    return depth + 1


def _mark_items(items: Iterable[object], out: list[object], depth: int) -> list[object]:
    skipped = len(out)  # the marker, which is no item
    try:
        for item in items:  # one by one, so that the length tells where it broke off
            out.append(item if type(item) in _AS_THEY_ARE else _mark(item, depth))  # noqa: PERF401
    except Unstorable as error:
        error.within(f"[{len(out) - skipped}]")
        raise
    return out


def _mark_list(value: list[object], depth: int) -> object:
    return _mark_items(value, [], _deeper(depth))


def _mark_tuple(value: tuple[object, ...], depth: int) -> object:
    return _mark_items(value, [Ext(TUPLE, b"")], _deeper(depth))


def _mark_set(value: set[object] | frozenset[object], depth: int) -> object:
    out: list[object] = [Ext(SET if type(value) is set else FROZENSET, b"")]
    depth = _deeper(depth)
    try:
        out += [_mark(item, depth) for item in tuple(value)]
    except Unstorable as error:
        error.within("{...}")
        raise
    return out


def _mark_dict(value: dict[object, object], depth: int) -> object:
    # A copy of the items: another thread may change the dict while it is walked.
    items = tuple(value.items())
    depth = _deeper(depth)
    if not _keys_are_text(items):
        return _mark_odd_dict(items, depth)
    out = {}
    for key, item in items:
        try:
            out[key] = item if type(item) in _AS_THEY_ARE else _mark(item, depth)
        except Unstorable as error:
            error.within(key_step(key))
            raise
    return out


def _keys_are_text(items: tuple[tuple[object, object], ...]) -> bool:
    try:
        for key, _ in items:
            if type(key) is not str:
                return False
            if not key.isascii():
                key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mark_odd_dict(items: tuple[tuple[object, object], ...], depth: int) -> object:
    out: list[object] = [Ext(DICT, b"")]
    for key, item in items:
        try:
            out.append(_mark(key, depth))
        except Unstorable as error:
            error.within(f".keys()[{len(out) // 2}]")
            raise
        try:
            out.append(_mark(item, depth))
        except Unstorable as error:
            error.within(key_step(key))
            raise
    return out


def _mark_registered(value: object, depth: int) -> object:
    kind = type(value)
    enum: registry.EnumEntry | None = registry.enums.by_type.get(kind)
    if enum is not None and isinstance(value, Enum):
        return _mark_enum(value, enum)
    dataclass: registry.DataclassEntry | None = registry.dataclasses.by_type.get(kind)
    if dataclass is None:
        raise Unstorable(kind.__qualname__, _remedy(kind))
    depth = _deeper(depth)
    out: list[object] = [Ext(DATACLASS, dataclass.blob)]
    for name in dataclass.fields:
        try:
            out.append(_mark(getattr(value, name, _UNSET), depth))
        except Unstorable as error:
            error.within(f".{name}")
            raise
    return out


def _mark_enum(value: Enum, entry: registry.EnumEntry) -> object:
    if entry.is_flag:
        number = _scalars.write_int(value.value)
        return Ext(FLAG, entry.blob_of("") + number)
    if entry.cls.__members__.get(value.name) is not value:
        raise Unstorable(
            type(value).__qualname__, "this is a member that the class does not list; convert it"
        )
    return Ext(ENUM, entry.blob_of(value.name))


class _Unset:
    """What a dataclass's slot without a value has in place of one."""


_UNSET = _Unset()


def _remedy(kind: type) -> str:
    if kind is _Unset:
        return "the field has no value: set it"
    if kind is memoryview:
        return "convert it to bytes"
    if issubclass(kind, Enum):
        return f"register it: register_enum({kind.__qualname__}, name)"
    if is_dataclass(kind):
        return f"register it: register_dataclass({kind.__qualname__}, name)"
    base = plain_base(kind)
    if base is not None:
        return (
            f"types are taken exactly: convert it to a plain {base.__name__}, "
            "or use PickleSerializer"
        )
    return (
        "register the type with register_dataclass or register_enum, convert it, "
        "or use PickleSerializer"
    )


_MARKS: dict[type, Callable[[Any, int], object]] = {
    int: _mark_int,
    str: _mark_str,
    list: _mark_list,
    tuple: _mark_tuple,
    set: _mark_set,
    frozenset: _mark_set,
    dict: _mark_dict,
    **{kind: _mark_scalar(*writer) for kind, writer in _scalars.WRITERS.items()},
}


class Marker:
    """The first item of a marked array: knows how to build the container from the rest."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[object]], object]) -> None:
        self.build = build


def loads(data: bytes) -> object:
    """Return the value of a payload; raise anything if it is not one."""
    marked, tail = unpackb(b"".join((b"\x92", data[1:], TAIL)), ext_hook=_read_extension)
    if tail != WORD:
        raise Wrong("bytes after the value")
    return _restore(marked, 0)


def _read_extension(code: int, data: bytes) -> object:
    reader = _scalars.READERS.get(code)
    if reader is not None:
        return reader(data)
    if code == ENUM:
        return registry.enums.by_blob[data]
    if code == FLAG:
        return _read_flag(data)
    if code == DATACLASS:
        entry: registry.DataclassEntry = registry.dataclasses.by_blob[data]
        return Marker(entry.restore)
    if data:
        raise Wrong("a container's marker holds no data")
    return _MARKERS[code]


def _read_flag(data: bytes) -> object:
    name, _, number = data.partition(b"\0")
    cls = registry.enums.by_blob[name].cls
    wanted = int.from_bytes(number, "big", signed=True)
    value = cls(wanted)
    # A class may drop bits that it does not know (CONFORM) or give them back as an int.
    if type(value) is not cls or value.value != wanted:
        raise Wrong("bits that the flag does not have")
    return value


def _restore(value: object, depth: int) -> object:
    kind = type(value)
    if kind is not list and kind is not dict:
        if kind is Marker:
            raise Wrong("a marker that begins no array")
        return value
    if depth == MAX_DEPTH:
        raise Wrong("nested too deeply")
    depth += 1
    if isinstance(value, dict):
        return {
            key: item if type(item) in _AS_THEY_ARE else _restore(item, depth)
            for key, item in value.items()
        }
    assert isinstance(value, list)
    if value and type(value[0]) is Marker:
        marker = value.pop(0)
        return marker.build(_restore_items(value, depth))
    return _restore_items(value, depth)


def _restore_items(items: list[object], depth: int) -> list[object]:
    return [item if type(item) in _AS_THEY_ARE else _restore(item, depth) for item in items]


def _build_tuple(items: list[object]) -> object:
    return tuple(items)


def _build_set(items: list[object]) -> object:
    return _same_length(set(items), items)


def _build_frozenset(items: list[object]) -> object:
    return _same_length(frozenset(items), items)


def _build_dict(items: list[object]) -> object:
    keys = items[::2]
    return _same_length(dict(zip(keys, items[1::2], strict=True)), keys)


def _same_length(
    built: dict[object, object] | set[object] | frozenset[object], items: list[object]
) -> object:
    if len(built) != len(items):
        raise Wrong("the same key or member twice")
    return built


_MARKERS = {
    TUPLE: Marker(_build_tuple),
    SET: Marker(_build_set),
    FROZENSET: Marker(_build_frozenset),
    DICT: Marker(_build_dict),
}
