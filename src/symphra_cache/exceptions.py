"""Every error that the library raises on purpose, in one tree.

Each also inherits from the builtin that a caller would expect, so that
``except ValueError`` or ``except ConnectionError`` keep working::

    CacheError
    ├── InvalidKeyError          (ValueError)       a key, or the name of a lock
    ├── InvalidTTLError          (ValueError)       a time to live
    ├── InvalidPatternError      (ValueError)       a pattern of scan, delete_matching
    ├── SerializationError       (TypeError)        a value that can't be stored
    ├── ValueTooLargeError       (ValueError)       a value beyond a size limit
    ├── NotAnIntegerError        (TypeError)        incr or decr of something else
    ├── CounterOverflowError     (OverflowError)    incr or decr beyond 64 bits
    ├── InvalidLoaderError       (TypeError)        a loader that can't be run, or its result
    ├── UnkeyableArgumentError   (TypeError)        an argument that can't be part of a key
    ├── RecursiveLoadError       (RuntimeError)     a load that would wait for itself
    ├── ConfigurationError       (ValueError)       a wrong option, URL or file
    │   └── ForeignFileError                        a file that is not a cache of ours
    ├── CacheClosedError         (RuntimeError)     use after close
    ├── UnsupportedLoopError     (RuntimeError)     an event loop other than asyncio's
    └── BackendUnavailableError  (ConnectionError)  an outage; never a miss
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BackendUnavailableError",
    "CacheClosedError",
    "CacheError",
    "ConfigurationError",
    "CounterOverflowError",
    "ForeignFileError",
    "InvalidKeyError",
    "InvalidLoaderError",
    "InvalidPatternError",
    "InvalidTTLError",
    "NotAnIntegerError",
    "RecursiveLoadError",
    "SerializationError",
    "UnkeyableArgumentError",
    "UnsupportedLoopError",
    "ValueTooLargeError",
]


class CacheError(Exception):
    """Base of every error of this library."""


class InvalidKeyError(CacheError, ValueError):
    """A key is not a non-empty ``str`` of at most 1,024 UTF-8 bytes."""


class InvalidTTLError(CacheError, ValueError):
    """A ttl is not a number of seconds, a ``timedelta`` or ``None``, or is out of range."""


class InvalidPatternError(CacheError, ValueError):
    """A pattern is not a non-empty ``str``."""


class SerializationError(CacheError, TypeError):
    """A value can't be represented by the serializer; names the path to the offending part."""


class ValueTooLargeError(CacheError, ValueError):
    """A serialized value is larger than ``max_value_bytes`` (or ``max_bytes``)."""


class NotAnIntegerError(CacheError, TypeError):
    """``incr`` or ``decr`` met an entry that is not a plain integer; the entry is unchanged."""


class CounterOverflowError(CacheError, OverflowError):
    """``incr`` or ``decr`` would leave the signed 64-bit range; the entry is unchanged."""


class InvalidLoaderError(CacheError, TypeError):
    """A loader is a coroutine function where nobody can await, or returns what it must not."""


class UnkeyableArgumentError(CacheError, TypeError):
    """No key can be made of the arguments of a call; names the one in question and its type."""


class RecursiveLoadError(CacheError, RuntimeError):
    """A load would wait for itself: a key inside its own load, or in a circle of loads."""


class ConfigurationError(CacheError, ValueError):
    """An option, a URL, a configuration file or a combination of them is wrong."""


class ForeignFileError(ConfigurationError):
    """The path names a file that is not a cache of ours; it is left byte-identical."""


class CacheClosedError(CacheError, RuntimeError):
    """The cache was used after ``close`` or ``aclose``."""


class UnsupportedLoopError(CacheError, RuntimeError):
    """An ``a…`` method was awaited outside asyncio, under trio for example."""


class BackendUnavailableError(CacheError, ConnectionError):
    """The backend can't be reached or refuses to work; the cause is chained.

    Attributes:
        failed: the keys of a bulk call that could not be done (empty for single-key calls).
    """

    def __init__(self, message: str, *, failed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.failed: list[str] = list(failed)
