"""From a backend's name and options to the backend: by the schema of its factory."""

from __future__ import annotations

from typing import Any, NamedTuple

from symphra_cache._config_schema import Schema, Source, schema_of, shown, unknown
from symphra_cache._config_settings import read_settings
from symphra_cache._config_urls import looks_like_url
from symphra_cache.backends.registry import Recipe, find_recipe, known_names
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from symphra_cache._config_urls import Address

__all__ = ["Plan", "make_from_options", "make_from_url", "plan_for"]


class Plan(NamedTuple):
    """A backend that is known but not made."""

    name: str
    recipe: Recipe
    schema: Schema

    def read(self, source: Source, name: str, given: object) -> object:
        """Return the value of an option that the backend knows, from what was written."""
        expected = self.schema.type_of(name)
        if expected is not None and expected.settings:
            return read_settings(source, name, given, expected)
        return self.schema.read(source, name, given)

    def make(self, source: Source, options: dict[str, Any]) -> object:
        """Call the factory, once no option is missing."""
        for name in self.schema.required:
            if name not in options:
                raise ConfigurationError(
                    f"{source.place}{source.written(name)} is missing; "
                    f"backend {self.name!r} can't do without it"
                )
        return self.recipe.factory(**options)


def plan_for(what: str, name: str) -> Plan:
    """Look up a backend.

    Args:
        what: what the name was given as; messages begin with it.
        name: the name.

    Raises:
        ConfigurationError: nobody registered it.
    """
    recipe = find_recipe(name)
    if recipe is not None:
        return Plan(name, recipe, schema_of(recipe.factory))
    if looks_like_url(name):
        raise ConfigurationError(f"{what} must be the name of a backend, got a URL; give it as url")
    raise unknown(
        f"{what} {shown('', name)}", name, {known: repr(known) for known in known_names()}
    )


def make_from_options(
    plan: Plan, source: Source, options: Mapping[str, object], elsewhere: Mapping[str, str]
) -> object:
    """Make a backend of named options.

    Args:
        plan: the backend.
        source: where the options were found.
        options: text or values, as the source says.
        elsewhere: names that would be right in another place, with that place.

    Raises:
        ConfigurationError: an option is unknown, missing or of another type.
    """
    for name in options:
        if not isinstance(name, str):
            raise ConfigurationError(
                f"{source.place}names of options must be str, got {type(name).__name__}"
            )
        if plan.schema.type_of(name) is None:
            raise _unknown_option(plan, source, name, elsewhere)
    given = {name: plan.read(source, name, value) for name, value in options.items()}
    return plan.make(source, given)


def make_from_url(place: str, plan: Plan, address: Address, elsewhere: Mapping[str, str]) -> object:
    """Make the backend that a URL describes; arguments as for `make_from_options`.

    Raises:
        ConfigurationError: the URL has parts that the backend has no use for, or an option is
            unknown, repeated, missing or malformed.
    """
    source = Source(place, lambda name: f"option {name!r} of {plan.name}://", as_text=True)
    taken = _from_address(place, plan, address)
    texts: dict[str, str] = {}
    for name, text in address.query:
        if plan.schema.type_of(name) is None:
            hidden = address.query_may_hold_secret
            raise _unknown_option(plan, source, name, elsewhere, hidden=hidden)
        if name in taken:
            raise ConfigurationError(
                f"{place}{source.written(name)} is what the URL says before its query; "
                "leave it out of the query"
            )
        if name in texts:
            raise ConfigurationError(f"{place}{source.written(name)} is given twice; keep one")
        texts[name] = text
    given = {name: plan.read(source, name, text) for name, text in texts.items()}
    return plan.make(source, {**taken, **given})


def _from_address(place: str, plan: Plan, address: Address) -> dict[str, str]:
    """Return the options that the URL gives before its query."""
    if plan.recipe.path_option is not None:
        if address.host or address.path in ("", "/"):
            raise ConfigurationError(
                f"{place}{plan.name}:// URL must hold an absolute path and no host; write "
                f"{plan.name}:///var/cache/app.db, with three slashes (a relative path is "
                f"possible as option {plan.recipe.path_option!r} of from_config)"
            )
        return {plan.recipe.path_option: address.path}
    if "url" in plan.schema.options:
        return {"url": address.base}
    if address.host or address.path:
        raise ConfigurationError(
            f"{place}{plan.name}:// URL must hold no host and no path, for the backend has no "
            f"use for them; write {plan.name}://?option=value"
        )
    return {}


def _unknown_option(
    plan: Plan, source: Source, name: str, elsewhere: Mapping[str, str], *, hidden: bool = False
) -> ConfigurationError:
    valid = {option: repr(option) for option in plan.schema.options}
    return unknown(
        f"{source.place}option {name!r} of backend {plan.name!r}",
        name,
        valid,
        elsewhere,
        vague=f"{source.place}an option of backend {plan.name!r}" if hidden else None,
    )
