"""What a serializer of one's own has to offer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Serializer(Protocol):
    """Turns values into bytes and back; give an instance to a backend as ``serializer=``.

    ``codec`` is written into every frame, so that no cache ever reads what another
    serializer wrote: 1 to 127 belong to the library, 128 to 255 to programs. Whatever
    ``loads`` raises makes the entry a miss. An instance may also carry ``compress`` and
    ``compress_over`` with the meaning they have for the library's own serializers.
    """

    codec: int

    def dumps(self, value: object) -> bytes:
        """Return the value's bytes; raise ``SerializationError`` if it has none."""
        ...

    def loads(self, data: bytes) -> object:
        """Return the value; raise anything at all if the bytes are not a whole value."""
        ...
