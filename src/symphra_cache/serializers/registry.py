"""The program's own types, by the names under which they are stored.

Stored bytes hold these names, never an import path: bytes can't make a program import
or call anything, and a class may move without losing what is cached. Reads take no
lock (a dict lookup is atomic); writes take one.
"""

from __future__ import annotations

import threading
from typing import overload

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum
    from typing import Any, TypeVar

    T = TypeVar("T", bound=type)
    E = TypeVar("E", bound=type[Enum])

_MAX_NAME = 255


class DataclassEntry:
    """A registered dataclass: its fields, and the blob that stands for both in bytes."""

    __slots__ = ("blobs", "cls", "fields", "name")

    def __init__(self, cls: type, name: str) -> None:
        from dataclasses import fields

        self.cls: type = cls
        self.name: str = name
        self.fields: tuple[str, ...] = tuple(field.name for field in fields(cls))
        # Name and fields together: after a change of fields, older bytes name a blob that
        # is not registered, and so are a miss instead of a half-filled object.
        self.blobs: dict[bytes, Any] = {"\0".join((name, *self.fields)).encode(): self}

    @property
    def blob(self) -> bytes:
        """The bytes that stand for this class and its fields."""
        return next(iter(self.blobs))

    def restore(self, values: list[object]) -> object:
        """Return an instance with these field values; runs no ``__init__``."""
        value: object = object.__new__(self.cls)
        for name, part in zip(self.fields, values, strict=True):
            object.__setattr__(value, name, part)  # past a frozen class's own
        return value


class EnumEntry:
    """A registered enum; its members are stored by name, those of a flag by value."""

    __slots__ = ("blobs", "cls", "is_flag", "name")

    def __init__(self, cls: type[Enum], name: str) -> None:
        from enum import Flag

        self.cls: type[Enum] = cls
        self.name: str = name
        self.is_flag: bool = issubclass(cls, Flag)
        self.blobs: dict[bytes, Any] = {name.encode(): self}
        if not self.is_flag:
            self.blobs = {self.blob_of(member): value for member, value in cls.__members__.items()}

    def blob_of(self, member: str) -> bytes:
        """Return the bytes that stand for a member."""
        return f"{self.name}\0{member}".encode("utf-8", "surrogatepass")


class Registry:
    """Classes by type (to write) and by blob (to read); one for each kind of type."""

    __slots__ = ("_by_name", "_lock", "_make", "by_blob", "by_type", "function")

    def __init__(self, function: str, make: Callable[[Any, str], Any]) -> None:
        self.function: str = function
        self._make = make
        self._lock = threading.Lock()
        self._by_name: dict[str, Any] = {}
        self.by_type: dict[type, Any] = {}
        self.by_blob: dict[bytes, Any] = {}

    def add(self, cls: type, name: str) -> None:
        """Register `cls` as `name`, in place of the same class before a module's reload."""
        entry = self._make(cls, name)
        with self._lock:
            self._check(cls, name)
            old = self._by_name.get(name)
            if old is not None:
                self.by_type.pop(old.cls, None)
                for blob in old.blobs:
                    self.by_blob.pop(blob, None)
            self._by_name[name] = entry
            self.by_type[cls] = entry
            self.by_blob.update(entry.blobs)

    def _check(self, cls: type, name: str) -> None:
        old = self._by_name.get(name)
        if old is not None and _identity(old.cls) != _identity(cls):
            raise ConfigurationError(
                f"{self.function}: the name {name!r} already belongs to "
                f"{_identity(old.cls)}; give {_identity(cls)} another one"
            )
        known = self.by_type.get(cls)
        if known is not None and known.name != name:
            raise ConfigurationError(
                f"{self.function}: {_identity(cls)} is already registered as "
                f"{known.name!r}; a class has one name"
            )


def _identity(cls: object) -> str:
    if isinstance(cls, type):
        return f"{cls.__module__}.{cls.__qualname__}"
    return f"an object of type {type(cls).__name__}"


dataclasses: Registry = Registry("register_dataclass", DataclassEntry)
enums: Registry = Registry("register_enum", EnumEntry)


@overload
def register_dataclass(cls: T, name: str) -> T: ...
@overload
def register_dataclass(cls: str) -> Callable[[T], T]: ...
@overload
def register_dataclass(*, name: str) -> Callable[[T], T]: ...
def register_dataclass(cls: object = None, name: str | None = None) -> object:
    """Let the MessagePack serializer store instances of a dataclass under a name.

    Stored are the fields, and restored they are set without ``__init__`` or
    ``__post_init__``; frozen and slotted classes work. Use it as a call or as a
    decorator above ``@dataclass``::

        @register_dataclass("user")
        @dataclass
        class User: ...

    Args:
        cls: the dataclass; as a decorator, its name instead.
        name: what stands for the class in stored bytes. Changing it, or the fields,
            makes what was stored before unreadable: a miss.

    Raises:
        ConfigurationError: not a dataclass, or the name or the class is taken.
    """
    return _register(dataclasses, _check_dataclass, cls, name)


@overload
def register_enum(cls: E, name: str) -> E: ...
@overload
def register_enum(cls: str) -> Callable[[E], E]: ...
@overload
def register_enum(*, name: str) -> Callable[[E], E]: ...
def register_enum(cls: object = None, name: str | None = None) -> object:
    """Let the MessagePack serializer store members of an enum under a name.

    Members are stored by their names, so their values may change; those of a ``Flag``
    by their values, combinations included. Use it as a call or as a decorator::

        @register_enum("colour")
        class Colour(Enum): ...

    Args:
        cls: the enum; as a decorator, its name instead.
        name: what stands for the class in stored bytes.

    Raises:
        ConfigurationError: not an enum, or the name or the class is taken.
    """
    return _register(enums, _check_enum, cls, name)


def _register(
    registry: Registry, check: Callable[[object], type], cls: object, name: str | None
) -> object:
    if cls is None or (isinstance(cls, str) and name is None):
        label = _check_name(registry, name if cls is None else cls)

        def decorate(decorated: T) -> T:
            registry.add(check(decorated), label)
            return decorated

        return decorate
    registry.add(check(cls), _check_name(registry, name))
    return cls


def _check_name(registry: Registry, name: object) -> str:
    try:
        if isinstance(name, str) and 0 < len(name.encode()) <= _MAX_NAME and "\0" not in name:
            return str(name)
    except UnicodeEncodeError:
        pass
    raise ConfigurationError(
        f"{registry.function}: a type is registered under a name, a str of 1 to "
        f"{_MAX_NAME} UTF-8 bytes without NUL, not {name!r:.60}"
    )


def _check_dataclass(cls: object) -> type:
    # Its own fields, not its base's: below @dataclass, a decorator sees the class unfinished.
    if not isinstance(cls, type) or "__dataclass_fields__" not in vars(cls):
        raise ConfigurationError(
            f"register_dataclass: {_identity(cls)} is not a dataclass; as a decorator, "
            "register_dataclass stands above @dataclass"
        )
    try:
        object.__new__(cls)
    except TypeError as error:
        raise ConfigurationError(
            f"register_dataclass: {_identity(cls)} can't be restored from its fields alone "
            f"({error}); convert it to another dataclass, or use PickleSerializer"
        ) from error
    return cls


def _check_enum(cls: object) -> type:
    from enum import EnumMeta

    if isinstance(cls, EnumMeta):
        return cls
    raise ConfigurationError(f"register_enum: {_identity(cls)} is not an Enum class")
