"""Options that consist of settings themselves, such as a near cache: how a configuration says them.

In a mapping or a file they are a mapping; as text, in a URL or the environment,
``max_size=1000,max_staleness=5``. ``true`` stands for the defaults, ``false`` for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from symphra_cache._config_schema import Source, schema_of, shown, unknown
from symphra_cache._config_types import OptionType
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._config_schema import Schema

__all__ = ["read_settings"]

# As for any option that is true or false.
_BOOL = OptionType(frozenset({"bool", "none"}))


def read_settings(source: Source, name: str, given: object, expected: OptionType) -> object:
    """Return the settings of an option, from what was written.

    Args:
        source: where.
        name: of the option.
        given: text or a value, as the source says.
        expected: its type, which names the class of the settings.

    Raises:
        ConfigurationError: a setting is unknown or of another type.
    """
    module, _, name_of_kind = expected.settings.partition(":")
    kind = getattr(import_module(module), name_of_kind)
    what = f"{source.place}{source.written(name)}"
    schema = schema_of(kind)
    if source.as_text and isinstance(given, str):
        given = _of_text(given)
    if given is None or given is False:
        return None
    if isinstance(given, kind):
        return given
    if given is True:
        given = {}
    if not isinstance(given, Mapping):
        known = ", ".join(map(repr, schema.options))
        wanted = f"{next(iter(schema.options))}=…" if source.as_text else f"a mapping of {known}"
        got = shown(name, given)
        raise ConfigurationError(f"{what} must be {wanted}, true, false or None, got {got}")
    return kind(**_read_each(source, name, given, schema))


def _read_each(
    source: Source, name: str, given: Mapping[object, object], schema: Schema
) -> dict[str, object]:
    inside = Source(
        source.place, lambda setting: f"{setting!r} in {source.written(name)}", source.as_text
    )
    found: dict[str, object] = {}
    for setting, value in given.items():
        if not isinstance(setting, str) or setting not in schema.options:
            valid = {option: repr(option) for option in schema.options}
            written = f"{source.place}{inside.written(str(setting))}"
            raise unknown(written, str(setting), valid)
        found[setting] = schema.read(inside, setting, value)
    return found


def _of_text(text: str) -> object:
    """Return what a text says: true, false, nothing, or the texts of settings; else itself."""
    try:
        return _BOOL.converted(text)
    except ValueError:
        parts = [part.partition("=") for part in text.split(",")]
    if all(setting and equals for setting, equals, _ in parts):
        return {setting.strip(): value.strip() for setting, _, value in parts}
    return text
