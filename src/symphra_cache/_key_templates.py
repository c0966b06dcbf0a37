"""Templates of keys: ``"user:{user_id}"``, filled with the arguments of a call.

A field is a parameter, an attribute or item of it (``{user.id}``, ``{row[0]}``), and may carry a
format (``{number:05d}``). It stands in the key as plain text, so ``1`` and ``"1"`` are one, and
it is the template's business to keep its fields apart. Only what has the same text everywhere
goes in: text, numbers, dates, UUIDs, paths, addresses, and the value of an ``Enum``.
"""

from __future__ import annotations

import re
from enum import Enum
from keyword import iskeyword
from string import Formatter
from typing import NamedTuple

from symphra_cache._canonical import Refused, ipv6_text, is_standard, type_name
from symphra_cache._config_schema import unknown
from symphra_cache._keys import checked_key
from symphra_cache._patterns import escape_pattern
from symphra_cache.exceptions import ConfigurationError, InvalidKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, TypeAlias

    Step: TypeAlias = "tuple[bool, Any]"  # (whether an attribute, its name or the item's)

__all__ = ["Field", "Template"]

_FIELD = re.compile(r"(\w+)((?:\.\w+|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")
_WITH_TEXT = frozenset(
    {
        *("NoneType", "bool", "int", "float", "str", "Decimal", "Fraction", "UUID"),
        *("datetime", "date", "time", "timedelta", "IPv4Address", "IPv6Address"),
        *("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"),
    }
)


def plain_text(value: object, spec: str = "") -> str:
    """Return the text that a value has in a template.

    Raises:
        Refused: its type has none that is the same everywhere.
        ValueError: the format does not fit it.
    """
    while isinstance(value, Enum):
        value = value._value_
    kind = type(value)
    if kind.__name__ not in _WITH_TEXT or not is_standard(kind):
        raise Refused(
            value, f"an object of type {type_name(kind)}, which has no lasting plain text"
        )
    if spec:
        return format(value, spec)
    if kind.__name__ == "IPv6Address":
        scope: str | None = getattr(value, "scope_id", None)
        return ipv6_text(value) + (f"%{scope}" if scope else "")
    text = str(value)
    # The context says how the exponent is written.
    return text.replace("e", "E") if kind.__name__ == "Decimal" else text


class Field(NamedTuple):
    """A field of a template.

    Attributes:
        name: the parameter.
        steps: the attributes and items that lead from it to the value.
        spec: the format.
    """

    name: str
    steps: tuple[Step, ...]
    spec: str

    def text(self, given: Mapping[str, Any]) -> str:
        """Return what stands in the key, slowly."""
        value = given[self.name]
        for is_attribute, name in self.steps:
            value = getattr(value, name) if is_attribute else value[name]
        return plain_text(value, self.spec)

    def source(self, known: Callable[[str, object], str]) -> str:
        """Return the source of what stands in the key.

        Args:
            known: returns a name, made from one like it, that stands for a value in the source.
        """
        value = self.name + "".join(
            f".{name}" if is_attribute else f"[{known('item', name)}]"
            for is_attribute, name in self.steps
        )
        text = known("plain_text", plain_text)
        if self.spec:
            return f"{text}({value}, {known('spec', self.spec)})"
        got, kind = known("value", None), known("kind", None)
        is_plain = (
            f"({kind} := {known('type', type)}({got} := {value})) is {known('str', str)} "
            f"or {kind} is {known('int', int)}"
        )
        return f"{got} if {is_plain} else {text}({got})"


class Template:
    """A template, taken apart.

    Attributes:
        parts: its literal text and its fields, in order.

    Raises:
        ConfigurationError: it can't be read, or can't make a legal key.
    """

    def __init__(self, template: str) -> None:
        self.parts: list[str | Field] = []
        self._shown = _shown(template)
        try:
            for literal, field, spec, conversion in Formatter().parse(template):
                if literal:
                    self.parts.append(literal)
                if field is not None:
                    self.parts.append(_field(field, spec or "", conversion))
            checked_key("".join(part if isinstance(part, str) else "0" for part in self.parts))
        except (ConfigurationError, InvalidKeyError) as error:
            raise ConfigurationError(f"key={self._shown} is no template: {error}") from None
        except ValueError as error:
            raise ConfigurationError(
                f"key={self._shown} is no template: {error}; write {{{{ for a brace"
            ) from None

    def fields(self) -> Iterator[Field]:
        """Yield its fields."""
        return (part for part in self.parts if isinstance(part, Field))

    def check(self, names: list[str]) -> None:
        """Raise `ConfigurationError` if a field is none of the parameters."""
        for field in self.fields():
            if field.name not in names:
                what = f"key={self._shown}: {{{field.name}}}"
                raise unknown(what, field.name, {name: f"{{{name}}}" for name in names})

    def pattern(self) -> str:
        """Return what matches every key that it can make."""
        return "".join(
            escape_pattern(part) if isinstance(part, str) else "*" for part in self.parts
        )

    def text(self, given: Mapping[str, Any]) -> str:
        """Return the key, slowly."""
        return "".join(part if isinstance(part, str) else part.text(given) for part in self.parts)


def _field(field: str, spec: str, conversion: str | None) -> Field:
    if conversion is not None:
        raise ConfigurationError(
            f"!{conversion} is not allowed, for what it writes differs between versions of "
            "Python; give a function as key="
        )
    match = _FIELD.fullmatch(field)
    if match is None or not match[1].isidentifier():
        raise ConfigurationError(f"{{{field}}} must name a parameter, as in {{user_id}}")
    if "{" in spec:
        raise ConfigurationError(f"the format of {{{field}}} must be fixed, got {spec!r}")
    steps = tuple(_step(*step.groups()) for step in _STEP.finditer(match[2]))
    return Field(match[1], steps, spec)


def _step(attribute: str | None, item: str | None) -> Step:
    if attribute is None:
        item = item or ""
        return False, int(item) if item.isdecimal() and item.isascii() else item
    if not attribute.isidentifier() or iskeyword(attribute):
        raise ConfigurationError(f".{attribute} is no attribute that can be named")
    return True, attribute


def _shown(template: str) -> str:
    return repr(template) if len(template) <= 64 else f"a str of length {len(template)}"
