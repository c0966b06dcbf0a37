"""How values become bytes: three serializers, and the registry of one's own types.

Importing this package loads none of the libraries behind it (MessagePack, json, pickle,
compression): each is loaded by the first constructor or value that needs it.
"""

from __future__ import annotations

from symphra_cache.serializers.json import JSONSerializer
from symphra_cache.serializers.messagepack import MessagePackSerializer
from symphra_cache.serializers.pickle import PickleSerializer, pickle_value
from symphra_cache.serializers.protocol import Serializer
from symphra_cache.serializers.registry import register_dataclass, register_enum

__all__ = [
    "JSONSerializer",
    "MessagePackSerializer",
    "PickleSerializer",
    "Serializer",
    "pickle_value",
    "register_dataclass",
    "register_enum",
]
