"""Reading the table of a configuration out of a TOML, JSON or YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["read_table"]

_TABLE = "symphra_cache"
_QUOTED = re.compile(r"""(['"])(?!<)..+\1""")  # not '<block end>', nor a single character


def read_table(path: str | os.PathLike[str]) -> Mapping[str, object]:
    """Return the configuration that a file holds.

    It is the table ``symphra_cache`` of the file, in TOML also ``tool.symphra_cache``; in a
    file without one, the whole file.

    Raises:
        ConfigurationError: the file can't be read or parsed, or holds no table.
    """
    file = Path(path)
    parse = _PARSERS.get(file.suffix.lower())
    if parse is None:
        raise ConfigurationError(
            f"config file must end in {', '.join(_PARSERS)}, got {str(file)!r}; "
            "the ending tells how it is read"
        )
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: NUL in the path, bytes beyond UTF-8
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"config file {str(file)!r} can't be read: {reason}; "
            "it must be an existing file in UTF-8"
        ) from error
    return _table(file, _parsed(file, parse, text))


def _parsed(file: Path, parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except ImportError as error:
        raise ConfigurationError(
            f"config file {str(file)!r} needs PyYAML; pip install 'symphra-cache[yaml]', "
            "or write it in TOML or JSON"
        ) from error
    except Exception as error:  # each parser has its own errors, and a deep file ends in more
        raise ConfigurationError(
            f"config file {str(file)!r} is no valid {file.suffix[1:].upper()}: {error}"
        ) from error


def _table(file: Path, whole: object) -> Mapping[str, object]:
    """Find our table in a parsed file."""
    top = _mapping(file, "the top level", whole)
    found = [(_TABLE, top[_TABLE])] if _TABLE in top else []
    tool = top.get("tool")
    if file.suffix.lower() == ".toml" and isinstance(tool, Mapping) and _TABLE in tool:
        found.append((f"tool.{_TABLE}", tool[_TABLE]))
    if len(found) > 1:
        raise ConfigurationError(
            f"config file {str(file)!r} holds both [{_TABLE}] and [tool.{_TABLE}]; keep one"
        )
    return _mapping(file, *found[0]) if found else top


def _mapping(file: Path, what: str, value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    got = "nothing" if value is None else type(value).__name__
    raise ConfigurationError(
        f"config file {str(file)!r}: {what} must be a table, got {got}; "
        "write keys such as backend and options into it"
    )


def _parse_toml(text: str) -> object:
    import tomllib

    return tomllib.loads(text)


def _parse_json(text: str) -> object:
    import json

    return json.loads(text)


def _parse_yaml(text: str) -> object:
    import yaml

    try:
        # From a stream: of a str, PyYAML would quote the offending line, password and all.
        return yaml.safe_load(StringIO(text))
    except yaml.MarkedYAMLError as error:
        # An unquoted password that starts with * or ! is taken for an alias or a tag.
        error.problem = _QUOTED.sub("…", error.problem or "")
        raise


_PARSERS = {
    ".toml": _parse_toml,
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
