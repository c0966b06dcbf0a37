"""The JSON payload: a check of everything that JSON would change, then Python's own coder."""

from __future__ import annotations

import json
import math
from itertools import accumulate

from symphra_cache.serializers._unstorable import (
    MAX_DEPTH,
    Unstorable,
    key_step,
    plain_base,
    too_deep,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_FREE = frozenset({type(None), bool, str})  # types of which every value can be stored
_TEXT = frozenset({str})
# Python turns no longer integers into text or back, unless it is told to.
_MAX_DIGITS = 4300
_INT_END = 10**_MAX_DIGITS

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_TOO_DEEP = MAX_DEPTH.__lt__
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)


def dumps(value: object, by: str) -> bytes:
    """Return the payload, or raise ``SerializationError`` in the name of `by`."""
    try:
        _check(value, 0)
        return _encoder.encode(value).encode("utf-8", "surrogatepass")
    except Unstorable as error:
        raise error.error(by) from None
    except RecursionError as error:
        raise too_deep().error(by) from error
    except ValueError as error:  # a limit of integers' text below Python's default
        raise Unstorable("a part", str(error)).error(by) from error


def _check(value: object, depth: int) -> None:
    kind = type(value)
    if kind in _FREE:
        return
    if kind is list or kind is dict:
        if depth == MAX_DEPTH:
            raise too_deep()
        if isinstance(value, dict):
            _check_dict(value, depth + 1)
        elif isinstance(value, list) and not set(map(type, value)) <= _FREE:
            _check_list(value, depth + 1)
    elif isinstance(value, float) and kind is float:
        if not math.isfinite(value):
            raise _refusal(repr(value))
    elif isinstance(value, int) and kind is int:
        if not -_INT_END < value < _INT_END:
            raise _refusal(f"an int of more than {_MAX_DIGITS} digits")
    else:
        raise _refusal(kind.__qualname__, plain_base(kind))


def _check_list(items: list[object], depth: int) -> None:
    for index, item in enumerate(items):
        try:
            _check(item, depth)
        except Unstorable as error:
            error.within(f"[{index}]")
            raise


def _check_dict(value: dict[object, object], depth: int) -> None:
    items = tuple(value.items())
    if not set(map(type, value)) <= _TEXT:
        _refuse_key(value)
    for key, item in items:
        try:
            _check(item, depth)
        except Unstorable as error:
            error.within(key_step(key))
            raise


def _refuse_key(keys: Iterable[object]) -> NoReturn:
    index, kind = next((i, type(key)) for i, key in enumerate(keys) if type(key) is not str)
    error = _refusal(f"{kind.__qualname__} (a key)", plain_base(kind))
    error.within(f".keys()[{index}]")
    raise error


def _refusal(culprit: str, base: type | None = None) -> Unstorable:
    if base in (str, int, float, list, dict):
        return Unstorable(
            culprit, f"types are taken exactly: convert it to a plain {base.__name__}"
        )
    return Unstorable(
        culprit,
        "JSON has None, bool, finite float, int, str, list, and dict with str keys: "
        "convert it, or use MessagePackSerializer",
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def loads(data: bytes) -> object:
    """Return the value of a payload; raise anything if it is not one."""
    _check_depth(data)
    return _decoder.decode(data.decode("utf-8", "surrogatepass"))


def _check_depth(data: bytes) -> None:
    """Refuse deep nesting before it is parsed.

    Python's parser recurses as far as the program's recursion limit allows, and one that
    has been raised far enough lets hostile bytes exhaust the stack.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    if b"\\" in data:  # pairs first: what is then left before a quote escapes it
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(data.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    depths = accumulate(map(_STEPS.__getitem__, brackets))
    if next(filter(_TOO_DEEP, depths), None) is not None:
        raise ValueError("nested too deeply")
