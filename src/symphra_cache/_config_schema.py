"""Which options a callable takes, and the errors for wrong ones, wherever they were written.

The schema of a backend is the signature of its factory, that of a manager its constructor's:
an option that is added there is known here.
"""

from __future__ import annotations

import difflib
import inspect
import re
from typing import NamedTuple

from symphra_cache._config_types import ANYTHING, OptionType, read_annotation
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Schema", "Source", "is_secret", "schema_of", "shown", "unknown"]

_SECRET = re.compile("passw|passphrase|secret|token|credential|api_?key", re.IGNORECASE)
_LONGEST = 64


class Source(NamedTuple):
    """Where options were found, for the messages.

    Attributes:
        place: what a message begins with: ``"cache.toml: "``, or nothing.
        written: how a name is written there.
        as_text: whether values are text still.
    """

    place: str
    written: Callable[[str], str]
    as_text: bool


class Schema(NamedTuple):
    """The options of one callable.

    Attributes:
        options: the types of those it names.
        required: the names of those it can't be called without.
        others: the type of those it takes beyond these, ``None`` if it takes none.
    """

    options: dict[str, OptionType]
    required: tuple[str, ...] = ()
    others: OptionType | None = None

    def type_of(self, name: str) -> OptionType | None:
        """Return the type of an option, ``None`` if it is unknown."""
        return self.options.get(name, self.others)

    def read(self, source: Source, name: str, given: object) -> object:
        """Return the value of an option that the schema knows, from what was written.

        Raises:
            ConfigurationError: it is of another type.
        """
        expected = self.options.get(name) or self.others or ANYTHING
        try:
            if source.as_text and isinstance(given, str):
                return expected.converted(given)
            return expected.accepted(given)
        except ValueError:
            got = shown(name, given) if source.as_text or expected.choices else _kind(given)
            raise ConfigurationError(
                f"{source.place}{source.written(name)} must be "
                f"{expected.described(as_text=source.as_text)}, got {got}"
            ) from None


def schema_of(function: Callable[..., object]) -> Schema:
    """Return the options that a callable takes as keyword arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C: it will say itself what it refuses
        return Schema({}, others=ANYTHING)
    named = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    rest = [parameter for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    return Schema(
        {parameter.name: _type_of(parameter) for parameter in named},
        tuple(parameter.name for parameter in named if parameter.default is parameter.empty),
        _type_of(rest[0]) if rest else None,
    )


def unknown(
    what: str,
    name: str,
    valid: Mapping[str, str],
    elsewhere: Mapping[str, str] | None = None,
    *,
    vague: str | None = None,
) -> ConfigurationError:
    """Build the error for a name that nobody knows.

    Args:
        what: the name with what it was meant to be, as the message begins.
        name: the name alone.
        valid: valid names, and how each is written there.
        elsewhere: names that are valid in another place, with that place; proposed when one
            is the nearest, else not listed.
        vague: stands for ``what`` if nothing is near: the name is no typing error then, and
            may be a part of a password.
    """
    proposals = {**(elsewhere or {}), **valid}
    folded = {candidate.casefold(): text for candidate, text in proposals.items()}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    if close:
        remedy = f"did you mean {folded[close[0]]}?"
    else:
        remedy = f"valid: {', '.join(dict.fromkeys(valid.values())) or 'none'}"
        what = vague or what
    return ConfigurationError(f"{what} is unknown; {remedy}")


def is_secret(name: str) -> bool:
    """Tell whether values under a name must not be shown."""
    return _SECRET.search(name) is not None


def shown(name: str, value: object) -> str:
    """Write a value for a message; a secret, or what may hold one, only by its kind."""
    if not isinstance(value, str):
        return _kind(value)
    if is_secret(name) or "://" in value or "@" in value or len(value) > _LONGEST:
        return f"a str of length {len(value)}"
    return repr(value)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _type_of(parameter: inspect.Parameter) -> OptionType:
    if parameter.annotation is parameter.empty:
        return ANYTHING
    return read_annotation(parameter.annotation)
