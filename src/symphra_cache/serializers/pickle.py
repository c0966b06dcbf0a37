"""Pickle, for whatever nothing else can store: signed, since pickles run code when read."""

from __future__ import annotations

from symphra_cache.exceptions import ConfigurationError
from symphra_cache.serializers._base import PICKLE, BaseSerializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

_MIN_SECRET = 32
_PURPOSE = b"symphra_cache frame signature 1"
_REMEDY = (
    "take at least 32 random bytes, the same in every process that shares the cache, "
    "for example from secrets.token_hex(32), and keep them out of the source code"
)

# Bound at first use: this module must be cheap to import.
_dumps: Callable[[object, int], bytes] | None = None
_loads: Callable[[bytes], Any] | None = None
_digest: Callable[[bytes, bytes, str], bytes] | None = None


class PickleSerializer(BaseSerializer):
    """Stores whatever pickle can, signed with a secret.

    Bytes read from a file or a server are unpickled only after their signature has been
    verified, so that nobody without the secret can make a program run code. Frames that
    are unsigned, signed otherwise, or moved to another key are misses.

    Args:
        secret: ``bytes``, a ``str``, or a list of them, each at least 32 bytes. The first
            signs, all verify: to change the secret, put the new one in front and drop
            the old one when what it signed has expired.
        sign_integers: on Redis, sign integers too; this gives up ``incr``.
        compress: compress payloads with ``"zlib"`` or ``"zstd"`` (needs the extra
            ``symphra-cache[zstd]``). Whatever it is, both are read.
        compress_over: payloads of more bytes than this are compressed, if it helps.

    Raises:
        ConfigurationError: an option is wrong, or zstd is missing.
    """

    __slots__ = ("_keys", "sign_integers")

    codec = PICKLE

    def __init__(
        self,
        secret: bytes | str | Sequence[bytes | str] | None = None,
        *,
        sign_integers: bool = False,
        compress: Literal["zlib", "zstd"] | None = None,
        compress_over: int = 1024,
    ) -> None:
        super().__init__(compress=compress, compress_over=compress_over)
        if type(sign_integers) is not bool:
            raise ConfigurationError(
                f"sign_integers must be True or False, not {type(sign_integers).__name__}"
            )
        self.sign_integers: bool = sign_integers
        self._keys = _keys_of(secret)

    def dumps(self, value: object) -> bytes:
        """Return the value's pickle.

        Raises:
            SerializationError: a part can't be pickled; names the path to it.
        """
        return pickle_value(value)

    def loads(self, data: bytes) -> object:
        """Return the value of a pickle, which must come from a verified frame.

        Raises:
            Exception: of any kind, if it can't be unpickled here.
        """
        global _loads
        if _loads is None:
            from pickle import loads

            _loads = loads
        value: object = _loads(data)
        return value

    def _sign(self, name: bytes, body: bytes) -> bytes:
        """Return the signature of a frame (all but the signature) stored under `name`."""
        return _signature(self._keys[0], name, body)

    def _verify(self, name: bytes, body: bytes, signature: bytes) -> bool:
        """Tell whether one of the secrets made this signature; takes constant time for each."""
        from hmac import compare_digest

        return any(compare_digest(_signature(key, name, body), signature) for key in self._keys)


def _signature(key: bytes, name: bytes, body: bytes) -> bytes:
    global _digest
    if _digest is None:
        from hmac import digest

        _digest = digest
    # The name's length goes first, so that no byte can pass from the name to the frame.
    return _digest(key, b"".join((len(name).to_bytes(4), name, body)), "sha256")


def _keys_of(secret: object) -> tuple[bytes, ...]:
    from hmac import digest

    secrets = secret if isinstance(secret, (list, tuple)) else (secret,)
    if not secrets or secret is None:
        raise ConfigurationError(f"PickleSerializer needs a secret: {_REMEDY}")
    # Derived keys, so that a secret that serves elsewhere too never signs the same bytes
    # for two purposes, and so that the secret itself is not kept.
    return tuple(digest(_secret_bytes(one), _PURPOSE, "sha256") for one in secrets)


def _secret_bytes(secret: object) -> bytes:
    # Nothing in these messages is made from the secret itself, its length apart.
    if isinstance(secret, str):
        try:
            secret = secret.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"PickleSerializer: a secret has no UTF-8 form; {_REMEDY}"
            ) from None
    if not isinstance(secret, bytes):
        raise ConfigurationError(
            f"PickleSerializer: a secret is bytes or str, not {type(secret).__name__}; {_REMEDY}"
        )
    if len(secret) < _MIN_SECRET:
        raise ConfigurationError(
            f"PickleSerializer: a secret of {len(secret)} bytes is too short; {_REMEDY}"
        )
    return secret


def pickle_value(value: object) -> bytes:
    """Pickle any value; for bytes that never leave the process no signature is needed.

    Raises:
        SerializationError: a part can't be pickled; names the path to it.
    """
    global _dumps
    if _dumps is None:
        from pickle import dumps

        _dumps = dumps
    try:
        return _dumps(value, 5)
    except MemoryError:
        raise
    except Exception as error:
        from symphra_cache.serializers import _culprit

        raise _culprit.find(value, error) from error
