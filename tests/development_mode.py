"""What a program in Python's development mode tells on its standard error."""

from __future__ import annotations

import re

_SLOW = re.compile(r"^Executing <.* took \d+\.\d+ seconds\n", re.MULTILINE)


def complaints(told: str) -> str:
    """Leave out that asyncio found a step slow: there, that is the machine's doing."""
    return _SLOW.sub("", told)
