"""What the three serializers share: the options of compression, checked once."""

from __future__ import annotations

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from symphra_cache.serializers.protocol import Serializer

MESSAGEPACK = 1
JSON = 2
PICKLE = 3
_FIRST_FOREIGN, _LAST = 128, 255  # codecs below are the library's own


class BaseSerializer:
    """Options only; safe to share between threads, since nothing changes after ``__init__``."""

    __slots__ = ("compress", "compress_over")

    codec: int

    def __init__(
        self, *, compress: Literal["zlib", "zstd"] | None = None, compress_over: int = 1024
    ) -> None:
        if type(compress_over) is not int or compress_over < 0:
            raise ConfigurationError(
                "compress_over must be a number of bytes, an int of at least 0, "
                f"not {_shown(compress_over)}"
            )
        if compress is not None and (type(compress) is not str or compress not in _KINDS):
            raise ConfigurationError(
                f"compress must be None, 'zlib' or 'zstd', not {_shown(compress)}"
            )
        if compress == "zstd":
            _require_zstd()
        self.compress: Literal["zlib", "zstd"] | None = compress
        self.compress_over: int = compress_over

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(compress={self.compress!r}, "
            f"compress_over={self.compress_over!r})"
        )


_KINDS = ("zlib", "zstd")


def _shown(value: object) -> str:
    """Name a wrong argument by its type, and by itself where that is short and safe."""
    name = type(value).__name__
    return f"{name} {value!r:.60}" if isinstance(value, (str, int, float)) else name


def _require_zstd() -> None:
    try:
        import zstandard  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "compress='zstd' needs the zstandard library: "
            "install symphra-cache[zstd], or take compress='zlib'"
        ) from error


def checked_codec(serializer: Serializer) -> int:
    """Return the codec of a serializer, or raise ``ConfigurationError`` if it is none."""
    for method in "dumps", "loads":
        if isinstance(serializer, type) or not callable(getattr(serializer, method, None)):
            raise ConfigurationError(
                "serializer must be an instance with codec, dumps and loads, for example "
                f"MessagePackSerializer(), not {_described(serializer)}"
            )
    codec = getattr(serializer, "codec", None)
    first = 1 if isinstance(serializer, BaseSerializer) else _FIRST_FOREIGN
    if type(codec) is not int or not first <= codec <= _LAST:
        raise ConfigurationError(
            f"{_described(serializer)}: codec must be an int from {_FIRST_FOREIGN} to "
            f"{_LAST} (those below are the library's own), not {codec!r:.60}"
        )
    return codec


def _described(serializer: object) -> str:
    if isinstance(serializer, type):
        return f"the class {serializer.__qualname__}"
    return f"an object of type {type(serializer).__qualname__}"
