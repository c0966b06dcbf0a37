"""The backends. Each is loaded when its name is first used, with what it needs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache.backends.file import FileBackend as FileBackend
    from symphra_cache.backends.memory import MemoryBackend as MemoryBackend
    from symphra_cache.backends.null import NullBackend as NullBackend
    from symphra_cache.backends.redis import CircuitBreaker as CircuitBreaker
    from symphra_cache.backends.redis import NearCache as NearCache
    from symphra_cache.backends.redis import RedisBackend as RedisBackend
    from symphra_cache.backends.registry import register_backend as register_backend

__all__ = [
    "CircuitBreaker",
    "FileBackend",
    "MemoryBackend",
    "NearCache",
    "NullBackend",
    "RedisBackend",
    "register_backend",
]

_MODULES = {
    "CircuitBreaker": "redis",
    "FileBackend": "file",
    "MemoryBackend": "memory",
    "NearCache": "redis",
    "NullBackend": "null",
    "RedisBackend": "redis",
    "register_backend": "registry",
}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
