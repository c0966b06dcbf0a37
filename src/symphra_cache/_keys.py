"""What a key and a namespace may be, and how the two make the name of an entry.

Stored name: ``path/of/namespaces:key`` in UTF-8. A namespace can hold neither ``:`` nor ``/``,
so the first ``:`` ends the path and no two (namespace, key) pairs share a name. The path of a
backend that is used without a manager is empty.
"""

from __future__ import annotations

from symphra_cache.exceptions import ConfigurationError, InvalidKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    V = TypeVar("V")

__all__ = [
    "MAX_KEY_BYTES",
    "checked_key",
    "checked_keys",
    "checked_mapping",
    "checked_namespace",
    "encoded_key",
    "named_keys",
    "named_mapping",
]

MAX_KEY_BYTES = 1024
# A text of so many characters is not too long, whatever they are.
_SHORT = MAX_KEY_BYTES // 4
# What keys mostly stand in, which can be iterated and is no single key.
_COLLECTIONS = frozenset({list, tuple, set, frozenset, dict, type({}.keys())})

_NAMESPACE_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
)
_MAX_NAMESPACE = 64


def checked_key(key: object) -> str:
    """Return the key as an exact ``str``.

    Raises:
        InvalidKeyError: it is no ``str``, empty, longer than 1,024 UTF-8 bytes, or holds a
            lone surrogate.
    """
    if type(key) is not str:
        if not isinstance(key, str):
            raise InvalidKeyError(
                f"key must be a str, got {type(key).__name__}; convert it yourself, "
                "so that 1 and '1' can't be mixed up"
            )
        # The text of a subclass (a StrEnum, say), whatever its __str__ returns.
        key = str.__str__(key)
    # Plain ASCII, the common case, needs no encoding to be measured.
    if key.isascii():
        size = len(key)
    else:
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise InvalidKeyError(
                "key must be encodable as UTF-8, got a str with a lone surrogate; "
                "remove it or escape the key"
            ) from None
    if not size:
        raise InvalidKeyError("key must not be empty, got a str of length 0")
    if size > MAX_KEY_BYTES:
        raise InvalidKeyError(
            f"key must be at most {MAX_KEY_BYTES} UTF-8 bytes, got a str of {size}; "
            "shorten it or hash its long part"
        )
    return key


def encoded_key(key: object) -> bytes:
    """Return the key in UTF-8; refuses what `checked_key` refuses."""
    return checked_key(key).encode()


def checked_keys(keys: Iterable[object]) -> list[str]:
    """Return the keys of a bulk call, each once, in the order asked.

    Raises:
        InvalidKeyError: ``keys`` is a single ``str`` or bytes, not iterable, or holds a wrong key.
    """
    if isinstance(keys, (str, bytes, bytearray)):
        raise InvalidKeyError(
            f"keys must be an iterable of keys, got a single {type(keys).__name__}; "
            "put it into a list"
        )
    try:
        return list(dict.fromkeys(map(checked_key, keys)))
    except TypeError:
        if hasattr(type(keys), "__iter__"):
            raise  # the iterable's own error
        raise InvalidKeyError(
            f"keys must be an iterable of keys, got {type(keys).__name__}"
        ) from None


def named_keys(prefix: bytes, keys: Iterable[object]) -> dict[str, bytes]:
    """Return the keys of a bulk call, each once, in the order asked, with their stored names.

    Args:
        prefix: what stands before each key in its name.
        keys: the keys; refused is what `checked_keys` refuses.
    """
    if type(keys) not in _COLLECTIONS:
        keys = checked_keys(keys)
    names = {}
    for key in keys:
        # Nearly all pass here; what is left to be found out about them, encoding does.
        if type(key) is not str or not 0 < len(key) <= _SHORT:
            key = checked_key(key)
        try:
            names[key] = prefix + key.encode()
        except UnicodeEncodeError:
            checked_key(key)
            raise
    return names


def named_mapping(prefix: bytes, mapping: Mapping[str, V]) -> tuple[dict[str, bytes], list[V]]:
    """Return the keys of what ``set_many`` was given with their stored names, and the values.

    Args:
        prefix: what stands before each key in its name.
        mapping: keys and values; refused is what `checked_mapping` refuses.
    """
    if type(mapping) is not dict:
        mapping = checked_mapping(mapping)
    pairs = list(mapping.items())
    names = named_keys(prefix, [key for key, _ in pairs])
    if len(names) != len(pairs):
        # Keys of types of their own, which differ though their text does not.
        return named_mapping(prefix, checked_mapping(dict(pairs)))
    return names, [value for _, value in pairs]


def checked_mapping(mapping: Mapping[str, V]) -> dict[str, V]:
    """Return what ``set_many`` was given as a ``dict`` of checked keys.

    Raises:
        InvalidKeyError: ``mapping`` is no mapping, or holds a wrong key.
    """
    if not hasattr(mapping, "items"):
        raise InvalidKeyError(
            f"mapping must be a mapping of keys to values, got {type(mapping).__name__}; "
            "wrap the pairs in dict(...)"
        )
    return {checked_key(key): value for key, value in mapping.items()}


def checked_namespace(name: object) -> str:
    """Return the name of a namespace.

    Raises:
        ConfigurationError: it does not match ``[A-Za-z0-9_.-]{1,64}``.
    """
    if isinstance(name, str):
        name = str.__str__(name)
        if 0 < len(name) <= _MAX_NAMESPACE and _NAMESPACE_CHARACTERS.issuperset(name):
            return name
        got = repr(name) if len(name) <= _MAX_NAMESPACE else f"a str of length {len(name)}"
    else:
        got = type(name).__name__
    raise ConfigurationError(
        f"namespace must match [A-Za-z0-9_.-]{{1,64}}, got {got}; "
        "nest with cache.namespace('a').namespace('b') instead of separators"
    )
