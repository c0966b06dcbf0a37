"""The fast form of the MessagePack payload: what ormsgpack packs by itself, and nothing else.

ormsgpack refuses most of what it would change, when asked to; what is left (it packs a
bytearray or a memoryview as bytes, and objects of its own) is looked for afterwards, in
the bytes first. Versions before 1.13.1 crash the process on some hostile lengths of arrays.
"""

from __future__ import annotations

import os

import ormsgpack
from ormsgpack import packb, unpackb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["OPTION", "SUSPECTS", "TAIL", "WORD", "Wrong", "is_plain", "packb", "unpackb"]

OPTION = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)

# The first bytes of everything that binary data and extension types are packed as. They
# occur within numbers and text too; bytes without any of them need no second look.
SUSPECTS = bytes((*range(0xC4, 0xCA), *range(0xD4, 0xD9)))

# ormsgpack ignores bytes after the value. So a payload is read as the first of two items,
# of which the second, this, must come out whole. Drawn by lot, lest a payload bring it along.
WORD = os.urandom(4).hex()
TAIL = b"\xa8" + WORD.encode()

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({list, dict})


class Wrong(ValueError):
    """A payload that no writer of ours has written."""


def is_plain(value: object) -> bool:
    """Tell whether a value that ormsgpack has packed holds nothing but what it keeps.

    Not recursive, for it may be nested deeper than Python's stack.
    """
    if type(value) in _SCALARS:
        return True
    if type(value) not in _CONTAINERS:
        return False
    todo: list[Any] = [value]
    while todo:
        container = todo.pop()
        items = container.values() if type(container) is dict else container
        odd = set(map(type, items)) - _SCALARS
        if odd:
            if not odd <= _CONTAINERS:
                return False
            todo += [item for item in items if type(item) in _CONTAINERS]
    return True
