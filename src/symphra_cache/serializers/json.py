"""JSON, for what other programs should be able to read; refuses whatever JSON would change."""

from __future__ import annotations

from symphra_cache.serializers._base import JSON, BaseSerializer


class JSONSerializer(BaseSerializer):
    """Stores what JSON has: ``None bool int float str list dict``, with text as keys.

    Whatever would come back as something else raises ``SerializationError``: a tuple, a
    set, bytes, a key that is no ``str``, nan, inf, any subclass. Integers go to about
    4,300 digits, Python's limit of text. Text is UTF-8; a lone surrogate, which UTF-8
    proper lacks, is written as its three bytes and comes back as it was.

    Args:
        compress: compress payloads with ``"zlib"`` or ``"zstd"`` (needs the extra
            ``symphra-cache[zstd]``). Whatever it is, both are read.
        compress_over: payloads of more bytes than this are compressed, if it helps.

    Raises:
        ConfigurationError: an option is wrong, or zstd is missing.
    """

    __slots__ = ()

    codec = JSON

    def dumps(self, value: object) -> bytes:
        """Return the value's payload.

        Raises:
            SerializationError: a part can't be stored; names the path to it.
        """
        from symphra_cache.serializers import _json

        return _json.dumps(value, type(self).__name__)

    def loads(self, data: bytes) -> object:
        """Return the value of a payload that may come from anywhere.

        Raises:
            Exception: of any kind, if it is not a whole payload.
        """
        from symphra_cache.serializers import _json

        return _json.loads(data)
