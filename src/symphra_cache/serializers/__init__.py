"""How values become bytes: three serializers, and the registry of one's own types.

Importing this package loads none of the libraries behind it (MessagePack, json, pickle,
compression): each is loaded by the first constructor or value that needs it.
"""

from __future__ import annotations

from symphra_cache.serializers.json import JSONSerializer
from symphra_cache.serializers.messagepack import MessagePackSerializer
from symphra_cache.serializers.pickle import PickleSerializer
from symphra_cache.serializers.registry import register_dataclass, register_enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache.serializers.protocol import Serializer

__all__ = [
    "JSONSerializer",
    "MessagePackSerializer",
    "PickleSerializer",
    "Serializer",
    "register_dataclass",
    "register_enum",
]


def __getattr__(name: str) -> object:
    # A protocol needs `typing`, which a program that only runs has no use for.
    if name == "Serializer":
        from symphra_cache.serializers.protocol import Serializer

        return Serializer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
