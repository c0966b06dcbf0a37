"""What type an option has: read from its annotation, used to convert text and check values.

Annotations are read as text, never evaluated: under ``from __future__ import annotations``
they may name what only a type checker imports. What is not understood takes anything.
"""

from __future__ import annotations

import ast
import os
import re
import types
from datetime import timedelta
from math import isfinite
from pathlib import Path, PurePath
from typing import Annotated, Literal, NamedTuple, Union, get_args, get_origin

from symphra_cache.types import TTL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ANYTHING", "OptionType", "read_annotation"]

_NONE_WORDS = frozenset({"", "none", "null"})
_BOOLS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
# Narrower than int() and float(), which also take "1_000", " 5 " and other scripts' digits.
_INT = re.compile(r"[+-]?[0-9]{1,400}")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")

_WORDING = {
    "int": "an int",
    "float": "a number",
    "bool": "true or false",
    "str": "a str",
    "path": "a path",
    "timedelta": "a timedelta",
    "list": "a list of str",
    "none": "None",
}


class OptionType(NamedTuple):
    """The values that an option takes.

    Attributes:
        kinds: some of ``int float bool str path timedelta list none``, or ``other`` for what
            the annotation says beyond them.
        choices: the values of a ``Literal``.
        items: kinds of what the list holds, ``str`` among them.
        settings: ``module:Class`` if it takes an object of a few settings, which a configuration
            can say; see ``_config_settings.py``.
    """

    kinds: frozenset[str]
    choices: tuple[object, ...] = ()
    items: frozenset[str] = frozenset()
    settings: str = ""

    def converted(self, text: str) -> object:
        """Return the value that a text stands for.

        Where a ``str`` is welcome the text stays as it is, whatever else would do: the
        password ``0123`` is no number, and the name ``none`` no ``None``. A list is written
        with commas.

        Raises:
            ValueError: it stands for none.
        """
        if "str" in self.kinds:
            return text
        for choice in self.choices:
            if str(choice) == text or (type(choice) is bool and _BOOLS.get(text.lower()) is choice):
                return choice
        if "path" in self.kinds:
            return Path(text)
        if "none" in self.kinds and text.lower() in _NONE_WORDS:
            return None
        # Numbers before booleans: where both will do, 1 is the number.
        if "int" in self.kinds and _INT.fullmatch(text):
            return int(text)
        if "float" in self.kinds and _FLOAT.fullmatch(text) and isfinite(float(text)):
            return float(text)
        if "bool" in self.kinds and text.lower() in _BOOLS:
            return _BOOLS[text.lower()]
        if "list" in self.kinds:
            return [part.strip() for part in text.split(",")]
        if "other" in self.kinds:
            return text
        raise ValueError

    def accepted(self, value: object) -> object:
        """Return a value that has its type already; the text of a path becomes a path.

        Raises:
            ValueError: it is of another type.
        """
        if isinstance(value, str) and "path" in self.kinds and "str" not in self.kinds:
            return Path(value)
        if not self._welcomes(value):
            raise ValueError
        return value

    def _welcomes(self, value: object) -> bool:
        kinds = self.kinds
        if "other" in kinds or any(
            type(value) is type(choice) and value == choice for choice in self.choices
        ):
            return True
        if isinstance(value, bool):  # before int, of which it is a subclass
            return "bool" in kinds
        if isinstance(value, int):
            return "int" in kinds or "float" in kinds
        if isinstance(value, list | tuple) and "list" in kinds:
            return all(map(OptionType(self.items)._welcomes, value))
        return (
            (value is None and "none" in kinds)
            or (isinstance(value, float) and "float" in kinds)
            or (isinstance(value, str) and "str" in kinds)
            or (isinstance(value, os.PathLike) and "path" in kinds)
            or (isinstance(value, timedelta) and "timedelta" in kinds)
        )

    def described(self, *, as_text: bool) -> str:
        """Say what the option takes: ``an int or None``."""
        kinds = self.kinds - {"int"} if "float" in self.kinds else self.kinds
        if as_text:
            kinds -= {"timedelta"}  # which has no text
        words = [word for kind, word in _WORDING.items() if kind in kinds and kind != "none"]
        words += map(repr, self.choices)
        words += ["None"] * ("none" in kinds)
        return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


ANYTHING = OptionType(frozenset({"other"}))

_BY_TYPE: dict[type, str] = {
    **{plain: plain.__name__ for plain in (int, float, bool, str, timedelta)},
    **dict.fromkeys((os.PathLike, Path, PurePath), "path"),
    types.NoneType: "none",
}
_BY_NAME = {plain.__name__: kind for plain, kind in _BY_TYPE.items()}
# Of those that may be indexed; a list of strings has a text that can be split.
_LISTS = frozenset({"list", "Sequence"})
# Classes of a few settings each.
_SETTINGS = {
    "CircuitBreaker": "symphra_cache._redis_breaker:CircuitBreaker",
    "NearCache": "symphra_cache._redis_near:NearCache",
}
# Aliases whose text says what they are.
_ALIASES = {"TTL": str(TTL)}


def read_annotation(annotation: object) -> OptionType:
    """Return the type that an annotation, text or object, gives an option."""
    if annotation is None:
        return OptionType(frozenset({"none"}))
    if isinstance(annotation, str):
        return _read_text(annotation)
    if isinstance(annotation, type):
        if f"{annotation.__module__}:{annotation.__name__}" in _SETTINGS.values():
            return _read_name(annotation.__name__)
        return OptionType(frozenset({_BY_TYPE.get(annotation, "other")}))
    return _read_special(annotation, get_origin(annotation), get_args(annotation))


def _read_special(annotation: object, origin: object, arguments: tuple[object, ...]) -> OptionType:
    """Read what `typing` builds."""
    if origin is Literal:
        return _literal(arguments)
    if origin is Union or origin is types.UnionType:
        return _union(map(read_annotation, arguments))
    if origin is Annotated:
        return read_annotation(arguments[0])
    if origin is os.PathLike:
        return read_annotation(origin)
    if getattr(origin, "__name__", "") in _LISTS:
        return _list_of(read_annotation(arguments[0]))
    # NewType, ForwardRef, and the `type` statement's alias, which is evaluated on access.
    for attribute in ("__supertype__", "__forward_arg__", "__value__"):
        try:
            return read_annotation(getattr(annotation, attribute))
        except (AttributeError, NameError):
            continue
    return ANYTHING


def _read_text(text: str) -> OptionType:
    try:
        return _read_node(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return ANYTHING


def _read_node(node: ast.expr) -> OptionType:
    match node:
        case ast.Constant(value=None):
            return read_annotation(None)
        case ast.Constant(value=str() as text):
            return _read_text(text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union(map(_read_node, (left, right)))
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _read_name(name)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _read_generic(name, parts)
    return ANYTHING


def _read_name(name: str) -> OptionType:
    if name in _ALIASES:
        return _read_text(_ALIASES[name])
    if name in _SETTINGS:
        return ANYTHING._replace(settings=_SETTINGS[name])
    return OptionType(frozenset({_BY_NAME.get(name, "other")}))


def _read_generic(name: str, parts: list[ast.expr]) -> OptionType:
    if name == "Literal":
        return _literal(tuple(map(ast.literal_eval, parts)))
    if name in ("Optional", "Union"):
        missing = [read_annotation(None)] * (name == "Optional")
        return _union([*map(_read_node, parts), *missing])
    if name == "Annotated":
        return _read_node(parts[0])
    if name in _LISTS:
        return _list_of(_read_node(parts[0]))
    return _read_name("PathLike" if name == "PathLike" else "")


def _literal(values: tuple[object, ...]) -> OptionType:
    kinds = frozenset({"none"} if None in values else ())
    return OptionType(kinds, tuple(value for value in values if value is not None))


def _list_of(item: OptionType) -> OptionType:
    if "str" not in item.kinds:  # its text could be split, but not converted
        return ANYTHING
    return OptionType(frozenset({"list"}), items=item.kinds)


def _union(members: Iterable[OptionType]) -> OptionType:
    kinds: frozenset[str] = frozenset()
    choices: tuple[object, ...] = ()
    items: frozenset[str] = frozenset()
    settings = ""
    for member in members:
        kinds |= member.kinds
        choices += member.choices
        items |= member.items
        settings = settings or member.settings
    return OptionType(kinds, choices, items, settings)
