"""Managers from URLs, mappings, files and the environment, on one validated schema.

Each function returns the keyword arguments for `CacheManager`, the finished backend among
them. Options of a backend are the parameters of its factory (see `register_backend`), those of
a manager the parameters of its constructor. Text, from a URL or the environment, is converted
by the option's own type; values of a mapping or a file have types and are only checked. Values
in range, such as a ``max_size`` above 0, are the constructors' business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from symphra_cache._config_backends import Plan, make_from_options, make_from_url, plan_for
from symphra_cache._config_schema import Schema, Source, schema_of, unknown
from symphra_cache._config_urls import looks_like_url, read_url
from symphra_cache._manager import ManagerState
from symphra_cache.backends.registry import find_recipe
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["from_config", "from_env", "from_url"]

_OPTIONS = "OPTIONS__"


def from_url(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the manager that a URL describes.

    The query holds the options of the backend. The path of a ``file://`` URL is its
    ``db_path``; a registered factory with a parameter ``url`` gets the URL without its query;
    any other URL holds nothing but scheme and query.

    Args:
        url: for example ``memory://?max_size=1000``.
        options: of the manager, with their own types.

    Raises:
        ConfigurationError: the URL or an option is wrong.
    """
    address = read_url("", url)
    plan = plan_for("url scheme", address.scheme)
    valid = {name: repr(name) for name in _manager_schema().options}
    in_query = {name: f"{plan.name}://?{name}=…, in the URL" for name in plan.schema.options}
    for name in options:
        if name not in valid:
            raise unknown(f"option {name!r} of the manager", name, valid, in_query)
    beside = {name: f"{name}=…, an argument of from_url" for name in valid}
    return {"backend": make_from_url("", plan, address, beside), **options}


def from_config(config: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
    """Return the arguments of the manager that a mapping or a file describes.

    Keys: ``backend`` (a name) with ``options`` (a mapping), or ``url``; and the options of the
    manager. A file (``.toml``, ``.json``, ``.yaml``, ``.yml``, in UTF-8) holds the same in a
    table ``symphra_cache``, in TOML also ``tool.symphra_cache``, or as a whole if it has
    neither. Relative paths in it are relative to the working directory.

    Raises:
        ConfigurationError: the file or an option is wrong.
    """
    if isinstance(config, Mapping):
        return _from_table("", config)
    path = os.fspath(config) if isinstance(config, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise ConfigurationError(
            f"config must be a mapping or the path of a file, got {type(config).__name__}"
        )
    if looks_like_url(path):
        raise ConfigurationError(
            "config must be a mapping or the path of a file, got a URL; "
            "use CacheManager.from_url(...) or the key 'url'"
        )
    from symphra_cache._config_files import read_table

    return _from_table(f"{path}: ", read_table(path))


def from_env(prefix: str) -> dict[str, Any]:
    """Return the arguments of the manager that environment variables describe.

    ``URL``, or ``BACKEND`` with ``OPTIONS__MAX_SIZE`` and the like, and the options of the
    manager such as ``NAMESPACE``; all in upper case, after the prefix. Every variable under the
    prefix must be one of them, so two caches need prefixes of which neither begins the other.

    Raises:
        ConfigurationError: a variable is wrong, unknown or missing.
    """
    if not isinstance(prefix, str) or not prefix:
        got = "an empty str" if isinstance(prefix, str) else type(prefix).__name__
        raise ConfigurationError(
            f"prefix must be a non-empty str, got {got}; 'SYMPHRA_CACHE_' is the default"
        )
    found = {
        name.removeprefix(prefix): text
        for name, text in os.environ.items()
        if name.startswith(prefix)
    }
    plan = None
    if "BACKEND" in found:
        plan = plan_for(f"environment variable {prefix}BACKEND: backend", found["BACKEND"])
    _check_variables(prefix, found, plan)
    return _from_variables(prefix, found, plan)


# --- mappings -------------------------------------------------------------------------


def _from_table(place: str, table: Mapping[str, Any]) -> dict[str, Any]:
    manager = _manager_schema().options
    _check_keys(place, table, manager)
    arguments = {name: value for name, value in table.items() if name in manager}
    make = _from_url_key if "url" in table else _from_backend_key
    return {"backend": make(place, table, manager), **arguments}


def _check_keys(place: str, table: Mapping[str, Any], manager: Iterable[str]) -> None:
    valid = {key: repr(key) for key in ("backend", "options", "url", *manager)}
    name = table.get("backend")
    recipe = find_recipe(name) if isinstance(name, str) else None
    inside = schema_of(recipe.factory).options if recipe else ()
    for key in table:
        if not isinstance(key, str):
            raise ConfigurationError(f"{place}keys must be str, got {type(key).__name__}")
        if key not in valid:
            elsewhere = {option: f"{option!r} in 'options'" for option in inside}
            raise unknown(f"{place}key {key!r}", key, valid, elsewhere)
    if "url" in table:
        for key in ("backend", "options"):
            if key in table:
                raise ConfigurationError(
                    f"{place}key {key!r} must not stand beside 'url'; keep one of them, "
                    "for a URL holds backend and options"
                )
    elif "backend" not in table:
        raise ConfigurationError(
            f"{place}key 'backend' or 'url' is missing; give backend the name 'memory', for example"
        )


def _from_url_key(place: str, table: Mapping[str, Any], manager: Iterable[str]) -> object:
    where = f"{place}key 'url': "
    address = read_url(where, table["url"])
    plan = plan_for(f"{where}scheme", address.scheme)
    beside = {name: f"the key {name!r} beside 'url'" for name in manager}
    return make_from_url(where, plan, address, beside)


def _from_backend_key(place: str, table: Mapping[str, Any], manager: Iterable[str]) -> object:
    name, options = table["backend"], table.get("options", {})
    if not isinstance(name, str):
        raise ConfigurationError(
            f"{place}key 'backend' must be the name of a backend, got {type(name).__name__}; "
            "a backend object is for CacheManager(...)"
        )
    plan = plan_for(f"{place}backend", name)
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f"{place}key 'options' must be a mapping, got {type(options).__name__}"
        )
    source = Source(place, lambda option: f"options.{option}", as_text=False)
    beside = {option: f"the key {option!r} beside 'options'" for option in manager}
    return make_from_options(plan, source, options, beside)


# --- environment ----------------------------------------------------------------------


def _check_variables(prefix: str, found: Mapping[str, str], plan: Plan | None) -> None:
    """Refuse variables that nobody knows, and combinations that make no sense."""
    inside = [_OPTIONS + name.upper() for name in plan.schema.options] if plan else []
    manager = [name.upper() for name in _manager_schema().options]
    valid = {name: prefix + name for name in ("URL", "BACKEND", *manager, *inside)}
    # Whoever forgot OPTIONS__ is told so.
    elsewhere = {name.removeprefix(_OPTIONS): prefix + name for name in inside}
    for name in found:
        if name not in valid and not _may_be_option(name, plan):
            raise unknown(f"environment variable {prefix}{name}", name, valid, elsewhere)
    if "URL" in found:
        for name in found:
            if name == "BACKEND" or name.startswith(_OPTIONS):
                raise ConfigurationError(
                    f"environment variable {prefix}{name} must not stand beside {prefix}URL; "
                    "keep one of them, for a URL holds backend and options"
                )
    elif plan is None:
        raise ConfigurationError(
            f"environment variable {prefix}BACKEND or {prefix}URL is missing; "
            f"set {prefix}BACKEND=memory, for example (options in {prefix}{_OPTIONS}…)"
        )


def _may_be_option(name: str, plan: Plan | None) -> bool:
    """Tell whether a variable that no signature names may be an option all the same."""
    if not name.startswith(_OPTIONS):
        return False
    return plan is None or (plan.schema.others is not None and name == name.upper() != _OPTIONS)


def _from_variables(prefix: str, found: Mapping[str, str], plan: Plan | None) -> dict[str, Any]:
    schema = _manager_schema()
    source = Source("", lambda name: f"environment variable {prefix}{name.upper()}", as_text=True)
    arguments = {
        name: schema.read(source, name, found[name.upper()])
        for name in schema.options
        if name.upper() in found
    }
    if plan is None:
        backend = _from_url_variable(prefix, found["URL"], schema)
    else:
        backend = _from_option_variables(prefix, found, plan)
    return {"backend": backend, **arguments}


def _from_url_variable(prefix: str, url: str, manager: Schema) -> object:
    place = f"environment variable {prefix}URL: "
    address = read_url(place, url)
    plan = plan_for(f"{place}scheme", address.scheme)
    beside = {name: f"environment variable {prefix}{name.upper()}" for name in manager.options}
    return make_from_url(place, plan, address, beside)


def _from_option_variables(prefix: str, found: Mapping[str, str], plan: Plan) -> object:
    start = f"{prefix}{_OPTIONS}"
    source = Source("", lambda name: f"environment variable {start}{name.upper()}", as_text=True)
    by_variable = {_OPTIONS + name.upper(): name for name in plan.schema.options}
    texts = {
        by_variable.get(name) or name.removeprefix(_OPTIONS).lower(): text
        for name, text in found.items()
        if name.startswith(_OPTIONS)
    }
    return make_from_options(plan, source, texts, {})


def _manager_schema() -> Schema:
    """Return the options of a manager; the backend is none of them."""
    schema = schema_of(ManagerState)
    return schema._replace(
        options={name: kind for name, kind in schema.options.items() if name != "backend"}
    )
