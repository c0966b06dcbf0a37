"""symphra_cache: one cache object for blocking and asyncio Python, on memory, SQLite and Redis."""

from symphra_cache.exceptions import (
    BackendUnavailableError,
    CacheClosedError,
    CacheError,
    ConfigurationError,
    CounterOverflowError,
    ForeignFileError,
    InvalidKeyError,
    InvalidLoaderError,
    InvalidPatternError,
    InvalidTTLError,
    NotAnIntegerError,
    RecursiveLoadError,
    SerializationError,
    UnkeyableArgumentError,
    UnsupportedLoopError,
    ValueTooLargeError,
)
from symphra_cache.manager import CacheManager
from symphra_cache.types import MISSING, CacheStats, Health

__version__ = "0.2.0"

__all__ = [
    "MISSING",
    "BackendUnavailableError",
    "CacheClosedError",
    "CacheError",
    "CacheManager",
    "CacheStats",
    "ConfigurationError",
    "CounterOverflowError",
    "ForeignFileError",
    "Health",
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
    "__version__",
]
