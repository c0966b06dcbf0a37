"""Decorated functions in classes: what a class holds, and what an object gives out.

See ``_decorating.py`` for how the functions are made.
"""

from __future__ import annotations

import sys
from functools import WRAPPER_ASSIGNMENTS, partial
from types import MethodType
from typing import TYPE_CHECKING, Any

from symphra_cache.exceptions import ConfigurationError

if TYPE_CHECKING:
    from types import FunctionType

__all__ = ["OF_ALL", "OF_CALLS", "CachedClassMethod", "CachedMethod"]

OF_CALLS = ("invalidate", "ainvalidate", "refresh", "arefresh", "key_for")
"""What a decorated function has that takes the arguments of a call."""

OF_ALL = ("invalidate_all", "ainvalidate_all", "stats", "original")
"""What else it has."""


class CachedMethod(partial[Any]):
    """A decorated function that was defined in a class; bound to an object where it has one.

    A `functools.partial` of the function, for these are called without a frame of their own, and
    `inspect` knows them. Attributes are those of the function, as with a bound method of Python's,
    but what takes the arguments of a call is bound to the object, too.
    """

    @classmethod
    def of(cls, function: FunctionType) -> CachedMethod:
        """Return the method that a function is."""
        method = cls(function)
        vars(method).update(
            (name, getattr(function, name))
            for name in WRAPPER_ASSIGNMENTS
            if hasattr(function, name)
        )
        return method

    def __get__(self, instance: Any, owner: type | None = None) -> CachedMethod:
        if instance is None or self.args:
            return self
        method = CachedMethod(self.func, instance)
        method.__dict__ = self.__dict__  # name, documentation and so on
        return method

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.func, name)
        if name in OF_CALLS:
            return partial(self._refused if self._is_hidden() else found, *self.args)
        if self.args and name in ("original", "__wrapped__"):
            return MethodType(found, *self.args)
        return found

    def _is_hidden(self) -> bool:
        """Tell whether a class method of Python's keeps from us which class was asked.

        Up to 3.12 it binds what it wraps. From 3.13 on it binds calls alone, and what it wraps
        can't tell it from a static method but by finding out who holds it.
        """
        if self.args or sys.version_info < (3, 13):
            return False
        own = vars(self)
        if "_hidden" not in own:
            own["_hidden"] = any(
                isinstance(each, classmethod) and not isinstance(each, CachedClassMethod)
                for each in self._holders()
            )
        return bool(own["_hidden"])

    def _holders(self) -> list[Any]:
        found: Any = sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr(found, "__dict__", {}).get(name)
        if getattr(found, "__func__", None) is self:
            return [found]
        import gc  # a class in a function can't be found by its name

        return gc.get_referrers(self)

    def _refused(self, *args: Any, **kwargs: Any) -> Any:
        raise ConfigurationError(
            f"{self.__qualname__} can't know its class: from Python 3.13 on, classmethod tells it "
            "to calls alone; put @cache.cached above @classmethod"
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CachedMethod)
            and self.func is other.func
            and [*map(id, self.args)] == [*map(id, other.args)]
        )

    def __hash__(self) -> int:
        return hash((self.func, *map(id, self.args)))

    def __repr__(self) -> str:
        bound = f" of {self.args[0]!r}" if self.args else ""
        return f"<cached {self.__module__}.{self.__qualname__}{bound}>"

    def __reduce__(self) -> Any:
        # As Python does it with methods, and with what a module holds.
        return (getattr, (self.args[0], self.__name__)) if self.args else self.__qualname__


class CachedClassMethod(classmethod):  # type: ignore[type-arg]
    """A decorated class method, whatever the version of Python."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method: Any = self.__func__
        return method.__get__(type(instance) if owner is None else owner)
