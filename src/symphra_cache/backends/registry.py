"""Which factory makes the backend of a name; the name is also the scheme of its URLs.

Only names and factories live here. What a URL or a configuration means is in
``symphra_cache/config.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from symphra_cache.backends.base import Backend

    Factory: TypeAlias = Callable[..., Backend]

__all__ = ["Recipe", "find_recipe", "known_names", "register_backend"]


class Recipe(NamedTuple):
    """How a backend is made.

    Attributes:
        factory: called with the backend's options as keyword arguments.
        path_option: the option that the path of a URL stands for, if there is one.
    """

    factory: Factory
    path_option: str | None = None


# name -> (module, class, path_option). Names instead of classes, so that a program loads only
# the backends that it uses.
_BUILT_IN: dict[str, tuple[str, str, str | None]] = {
    "file": ("symphra_cache.backends.file", "FileBackend", "db_path"),
    "memory": ("symphra_cache.backends.memory", "MemoryBackend", None),
    "null": ("symphra_cache.backends.null", "NullBackend", None),
    "redis": ("symphra_cache.backends.redis", "RedisBackend", None),
    "redis+cluster": ("symphra_cache.backends.redis", "RedisBackend", None),
    "redis+sentinel": ("symphra_cache.backends.redis", "RedisBackend", None),
    "rediss": ("symphra_cache.backends.redis", "RedisBackend", None),
    "rediss+cluster": ("symphra_cache.backends.redis", "RedisBackend", None),
    "rediss+sentinel": ("symphra_cache.backends.redis", "RedisBackend", None),
    "unix": ("symphra_cache.backends.redis", "RedisBackend", None),
}

_registered: dict[str, Factory] = {}


def register_backend(name: str, factory: Callable[..., Any]) -> None:
    """Make one's own backend known to ``from_url``, ``from_config`` and ``from_env``.

    Its options are the parameters of the factory; their annotations (``int``, ``float``,
    ``bool``, ``str``, paths, ``Literal``, ``None`` and unions of them) say how the text of a
    URL or an environment variable is converted and what a configuration may hold. Options
    without such an annotation are passed on as they come.

    A factory with a parameter ``url`` gets the URL without its query; without one, a URL holds
    nothing but the name and the query: ``name://?option=value``.

    Registering the same factory again does nothing. May be called from any thread.

    Args:
        name: matches ``[a-z][a-z0-9+.-]*``; also the scheme of the URLs.
        factory: ``factory(**options)`` returns a backend; a class will do.

    Raises:
        ConfigurationError: the name is wrong or belongs to another factory, or the factory
            can't be called.
    """
    _check_name(name)
    if not callable(factory):
        raise ConfigurationError(
            f"factory of backend {name!r} must be callable, got {type(factory).__name__}; "
            "pass the class itself or a function that returns a backend"
        )
    # One atomic step, so it needs no lock that a fork could copy while it is held.
    built_in = find_recipe(name) if name in _BUILT_IN else None
    owner = built_in.factory if built_in else _registered.setdefault(name, factory)
    if owner != factory:
        raise ConfigurationError(
            f"backend name {name!r} already belongs to {_label(owner)}; "
            f"give {_label(factory)} another one"
        )


def find_recipe(name: str) -> Recipe | None:
    """Return how the backend of a name is made, ``None`` if nobody knows the name."""
    built_in = _BUILT_IN.get(name)
    if built_in is None:
        factory = _registered.get(name)
        return None if factory is None else Recipe(factory)
    from importlib import import_module

    module, attribute, path_option = built_in
    return Recipe(getattr(import_module(module), attribute), path_option)


def known_names() -> list[str]:
    """Return the names that `find_recipe` knows."""
    return [*_BUILT_IN, *_registered]


def _check_name(name: object) -> None:
    import re

    if isinstance(name, str) and re.fullmatch("[a-z][a-z0-9+.-]*", name):
        return
    got = f"{name[:64]!r}" if isinstance(name, str) else type(name).__name__
    raise ConfigurationError(
        f"name of a backend must match [a-z][a-z0-9+.-]*, got {got}; "
        "it is also the scheme of its URLs"
    )


def _label(factory: object) -> str:
    return getattr(factory, "__qualname__", None) or type(factory).__qualname__
