"""Texts of arguments: each value has one, in every process, on every version of Python.

Two values of one type share a text only if nobody can tell them apart; the order of a ``dict`` or
a ``set`` counts as nothing. Numbers of different types, and the same number as text, have
different texts. What is written looks like Python, for people who look at keys. It is not made
with ``repr`` where that depends on the version (which characters are printable), on a context
(`Decimal`) or on an address.

Exact types alone: a subclass may mean something else by its content. An object of a type that is
not known here has a text if it says so itself, with a method or attribute ``__cache_key__``.
"""

from __future__ import annotations

import re
import sys
from enum import Enum, Flag
from weakref import WeakKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    Path: TypeAlias = "tuple[object, ...]"
    Encoder: TypeAlias = "Callable[[Any, Path], str]"

__all__ = ["Refused", "canonical", "escaped", "ipv6_text", "is_standard", "type_name"]

MAX_DEPTH = 100
# Integers of more bits are written in hexadecimal, whose cost is linear. Far below the smallest
# limit of digits that an interpreter can be given, far above what a readable key can hold.
_MOST_BITS = 2000
# Quotes and backslashes; what is invisible or moves the cursor; halves of surrogate pairs.
_SPECIAL = re.compile(
    "['\\\\\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ud800-\udfff]"
)
_PLAIN_NAME = re.compile(r"[A-Za-z_<][A-Za-z0-9_.<>]*")

# The names of types of the program's own, worked out once.
_names: WeakKeyDictionary[type, str] = WeakKeyDictionary()


class Refused(Exception):
    """A value has no text.

    Args:
        value: the one in question, perhaps deep inside the argument.
        why: what it is, as in "is …" or "holds …".
    """

    def __init__(self, value: object, why: str) -> None:
        super().__init__(why)
        self.value = value
        self.why = why


def canonical(value: object, path: Path = ()) -> str:
    """Return the text of a value.

    Args:
        value: the value.
        path: the containers that it lies in, the outermost first.

    Raises:
        Refused: it has none, or something that it holds has none.
    """
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if len(path) >= MAX_DEPTH:
        if any(each is value for each in path):
            raise Refused(value, f"a {type_name(type(value))} that holds itself")
        raise Refused(value, f"values nested deeper than {MAX_DEPTH} levels")
    return _encoder_of(type(value))(value, (*path, value))


def escaped(text: str) -> str:
    """Return a text without what is invisible or no character; no two become the same."""
    return _SPECIAL.sub(_escape, text)


def type_name(kind: type) -> str:
    """Return the full name of a type, for messages."""
    name = getattr(kind, "__qualname__", kind.__name__)
    module = getattr(kind, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else name


def is_standard(kind: type) -> bool:
    """Tell whether a type is one that this module knows by name."""
    return kind in _SCALARS or kind in _ENCODERS or _found(kind) is not None


def ipv6_text(value: Any) -> str:
    """Write the address itself; ``str`` does it differently from 3.13 on."""
    digits = f"{int(value):032x}"
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return f"\\{character}" if character in "'\\" else f"\\u{ord(character):04x}"


def _int(value: int) -> str:
    return str(value) if value.bit_length() <= _MOST_BITS else f"{value:#x}"


def _str(value: str) -> str:
    # Of what is not ASCII, versions of Python disagree on what is printable.
    return repr(value) if value.isascii() else f"'{escaped(value)}'"


def _complex(value: complex) -> str:
    return f"complex({value.real!r},{value.imag!r})"


_SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    int: _int,
    float: repr,
    complex: _complex,
    str: _str,
    bytes: repr,
    bytearray: repr,
}


def _each(values: Iterable[object], path: Path) -> str:
    return ",".join([canonical(value, path) for value in values])


def _tuple(value: tuple[object, ...], path: Path) -> str:
    return f"({_each(value, path)},)" if len(value) == 1 else f"({_each(value, path)})"


def _list(value: list[object], path: Path) -> str:
    return f"[{_each(value, path)}]"


def _dict(value: dict[object, object], path: Path) -> str:
    pairs = [(canonical(key, path), canonical(of_key, path)) for key, of_key in value.items()]
    pairs.sort()
    return "{" + ",".join([f"{key}:{of_key}" for key, of_key in pairs]) + "}"


def _set(value: Iterable[object], path: Path) -> str:
    texts = sorted([canonical(member, path) for member in value])
    return "{" + ",".join(texts) + "}" if texts else "set()"


def _frozenset(value: Iterable[object], path: Path) -> str:
    return f"frozenset({_set(value, path)})"


def _range(value: range | slice, path: Path) -> str:
    return f"{type(value).__name__}({_each((value.start, value.stop, value.step), path)})"


def _as_text(value: Any, path: Path) -> str:
    return f"{type(value).__name__}({value})"


def _as_quoted_text(value: Any, path: Path) -> str:
    return f"{type(value).__name__}({_str(str(value))})"


def _date_time(value: Any, path: Path) -> str:
    text = value.replace(tzinfo=None, fold=0).isoformat()
    zone = f",{canonical(value.tzinfo, path)}" if value.tzinfo is not None else ""
    return f"{type(value).__name__}({text}{zone}{',fold=1' if value.fold else ''})"


def _timedelta(value: Any, path: Path) -> str:
    return f"timedelta({value.days},{value.seconds},{value.microseconds})"


def _timezone(value: Any, path: Path) -> str:
    return f"timezone({canonical(value.utcoffset(None), path)},{_str(value.tzname(None))})"


def _zone_info(value: Any, path: Path) -> str:
    if value.key is None:
        raise Refused(value, "a ZoneInfo without a key")
    return f"ZoneInfo({_str(value.key)})"


def _decimal(value: Any, path: Path) -> str:
    # The context says how the exponent is written.
    return f"Decimal({str(value).replace('e', 'E')})"


def _fraction(value: Any, path: Path) -> str:
    return f"Fraction({_int(value.numerator)},{_int(value.denominator)})"


def _ipv6(value: Any, path: Path) -> str:
    scope = f",{_str(value.scope_id)}" if value.scope_id is not None else ""
    # An interface is an address, too.
    prefix = f"/{value.network.prefixlen}" if hasattr(value, "network") else ""
    return f"{type(value).__name__}({ipv6_text(value)}{prefix}{scope})"


def _ipv6_network(value: Any, path: Path) -> str:
    return f"IPv6Network({canonical(value.network_address, path)},{value.prefixlen})"


def _class(value: type, path: Path) -> str:
    return f"<class {_type(value)}>"


def _type(kind: type) -> str:
    """Write the name of a type so that it can be found again, and names no other."""
    if "<locals>" in kind.__qualname__:
        raise Refused(kind, f"{type_name(kind)}, a class made inside a function")
    return _full_name(kind)


def _full_name(kind: type) -> str:
    name = _names.get(kind)
    if name is None:
        module = kind.__module__
        parts = (module if isinstance(module, str) else "", kind.__qualname__)
        is_plain = all(map(_PLAIN_NAME.fullmatch, parts))
        # The colon tells a class of a module from one inside a class.
        name = _names[kind] = ":".join(parts if is_plain else map(_str, parts))
    return name


def _object(value: Any, path: Path) -> str:
    """Write a value of a type of the program's own."""
    kind = type(value)
    if _says_its_key(value, kind):
        made = value.__cache_key__
        # A local class will do: whoever writes the method knows what it is for.
        return f"{_full_name(kind)}({canonical(made() if callable(made) else made, path)})"
    if issubclass(kind, Enum):
        return _member(value, kind, path)
    if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return f"{_type(kind)}({_each(value, path)})"
    raise Refused(value, f"an object of type {type_name(kind)}, of which no lasting text is known")


def _says_its_key(value: object, kind: type) -> bool:
    # Not by asking the object: a proxy would say yes to any name.
    declared = getattr(kind, "__cache_key__", None)
    return declared is not None or "__cache_key__" in getattr(value, "__dict__", ())


def _member(value: Enum, kind: type[Enum], path: Path) -> str:
    if issubclass(kind, Flag):  # combinations have no names of their own
        return f"{_type(kind)}({canonical(value._value_, path)})"
    name = value._name_
    if name.isidentifier() and name.isascii():
        return f"{_type(kind)}.{name}"
    return f"{_type(kind)}[{_str(name)}]"


_ENCODERS: dict[type, Encoder] = {
    tuple: _tuple,
    list: _list,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    range: _range,
    slice: _range,
}

# By name, with their modules: who has such a value has the module loaded.
_OF_MODULES: dict[str, tuple[str, Encoder]] = {
    "datetime": ("datetime", _date_time),
    "date": ("datetime", _as_text),
    "time": ("datetime", _date_time),
    "timedelta": ("datetime", _timedelta),
    "timezone": ("datetime", _timezone),
    "ZoneInfo": ("zoneinfo", _zone_info),
    "Decimal": ("decimal", _decimal),
    "Fraction": ("fractions", _fraction),
    "UUID": ("uuid", _as_text),
    "PurePosixPath": ("pathlib", _as_quoted_text),
    "PureWindowsPath": ("pathlib", _as_quoted_text),
    "PosixPath": ("pathlib", _as_quoted_text),
    "WindowsPath": ("pathlib", _as_quoted_text),
    "IPv4Address": ("ipaddress", _as_text),
    "IPv4Network": ("ipaddress", _as_text),
    "IPv4Interface": ("ipaddress", _as_text),
    "IPv6Address": ("ipaddress", _ipv6),
    "IPv6Network": ("ipaddress", _ipv6_network),
    "IPv6Interface": ("ipaddress", _ipv6),
}


def _encoder_of(kind: type) -> Encoder:
    encoder = _ENCODERS.get(kind) or _found(kind)
    if encoder is not None:
        return encoder
    return _class if issubclass(kind, type) else _object


def _found(kind: type) -> Encoder | None:
    """Return the encoder of a type that is known by name, and remember it."""
    module, encoder = _OF_MODULES.get(kind.__name__, (None, None))
    if encoder is None or getattr(sys.modules.get(module or ""), kind.__name__, None) is not kind:
        return None
    _ENCODERS[kind] = encoder
    return encoder
