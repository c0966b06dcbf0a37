"""Errors that name the path to the part of a value that can't be stored.

The path is built while the walk unwinds, so that a value that can be stored pays
nothing for it.
"""

from __future__ import annotations

from symphra_cache.exceptions import SerializationError

MAX_DEPTH = 100
_SHOWN_KEY = 40
_SHOWN_STEPS = 20
_SIMPLE_KEYS = frozenset({type(None), bool, int, float, bytes, str})
_BUILTINS = (str, int, float, bytes, bytearray, tuple, list, dict, set, frozenset)


class Unstorable(Exception):
    """Raised at the offending part; every container on the way out adds its step.

    Args:
        culprit: the offending part's type, as the message should name it.
        remedy: what to do about it.
    """

    def __init__(self, culprit: str, remedy: str) -> None:
        super().__init__(culprit)
        self.culprit = culprit
        self.remedy = remedy
        self.steps: list[str] = []

    def within(self, step: str) -> None:
        """Add the step that leads from the container to the part that raised."""
        self.steps.append(step)

    def error(self, by: str = "") -> SerializationError:
        """Return the public error; `by` names the serializer."""
        steps = self.steps[::-1]
        if len(steps) > _SHOWN_STEPS:  # of a circle, say: its beginning and its end will do
            steps[_SHOWN_STEPS // 2 : -_SHOWN_STEPS // 2] = [" ... "]
        path = "value" + "".join(steps)
        by = by and f" by {by}"
        return SerializationError(f"{path}: {self.culprit} can't be stored{by}; {self.remedy}")


def too_deep() -> Unstorable:
    """Return the error of a container below `MAX_DEPTH`, which a circle always reaches."""
    return Unstorable(
        f"a value that contains itself, or is nested deeper than {MAX_DEPTH} containers,",
        "flatten it or break the circle",
    )


def key_step(key: object) -> str:
    """Return the step to a dict's value, like ``['items']``."""
    if type(key) not in _SIMPLE_KEYS:
        return f"[{type(key).__qualname__}]"
    if isinstance(key, (str, bytes)) and len(key) > _SHOWN_KEY:
        return f"[{key[:_SHOWN_KEY]!r}...]"
    if type(key) is int and key.bit_length() > 128:  # its text may be longer than Python allows
        return "[int]"
    return f"[{key!r}]"


def plain_base(kind: type) -> type | None:
    """Return the builtin that `kind` is derived from, if it is."""
    if kind in _BUILTINS:
        return None
    return next((base for base in kind.__mro__ if base in _BUILTINS), None)
