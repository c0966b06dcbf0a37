r"""Patterns of ``scan`` and ``delete_matching``: one meaning on every backend.

``*`` any run of characters, ``?`` one character, ``[a-z]`` one of a set, ``[^a]`` one outside a
set, ``\`` takes the next character literally. An unclosed ``[`` is itself. Over characters, not
bytes, which is why no server's own matching is used.
"""

from __future__ import annotations

import re

from symphra_cache.exceptions import InvalidPatternError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["compile_pattern", "escape_pattern"]

_SPECIAL = re.compile(r"[*?\[\\]")


def compile_pattern(pattern: object) -> Callable[[str], object] | None:
    """Return a predicate over keys; ``None`` when every key matches.

    Raises:
        InvalidPatternError: the pattern is not a non-empty ``str``.
    """
    if not isinstance(pattern, str) or not pattern:
        got = "an empty str" if isinstance(pattern, str) else type(pattern).__name__
        raise InvalidPatternError(
            f"pattern must be a non-empty str, got {got}; '*' matches every key"
        )
    if not pattern.strip("*"):
        return None
    return re.compile(_translated(str.__str__(pattern)), re.DOTALL).fullmatch


def escape_pattern(text: str) -> str:
    """Return the pattern that matches one text and no other."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _translated(pattern: str) -> str:
    """Write the pattern as a regular expression that never backtracks over a ``*``.

    Each run between two stars is found at its first place and then held by an atomic group:
    if the rest does not match from there, no later place could help, since a star follows.
    """
    runs: list[list[str]] = [[]]
    for token in _tokens(pattern):
        if token == "*":
            runs.append([])
        else:
            runs[-1].append(token)
    first, *rest = ("".join(run) for run in runs)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{run})" for run in middle if run) + ".*" + last


def _tokens(pattern: str) -> Iterator[str]:
    """Yield ``"*"`` for a star, else the regular expression of one character or set."""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            yield "*"
        elif character == "?":
            yield "."
        elif character == "[" and (closing := _closing(pattern, at)) is not None:
            yield _set(pattern[at:closing])
            at = closing + 1
        elif character == "\\" and at < len(pattern):
            yield re.escape(pattern[at])
            at += 1
        else:
            # An escaped star ("\\*") must not be mistaken for the bare one above.
            yield re.escape(character)


def _closing(pattern: str, at: int) -> int | None:
    """Return where the set that begins at ``at`` closes, ``None`` if it never does."""
    while at < len(pattern):
        if pattern[at] == "]":
            return at
        at += 2 if pattern[at] == "\\" else 1
    return None


def _set(body: str) -> str:
    """Write the inside of ``[…]`` as a regular expression."""
    negated = body.startswith("^")
    members = _members(body[1:] if negated else body)
    if not members:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{members}]"


def _members(body: str) -> str:
    """Write characters and ranges; a range given backwards counts as given forwards."""
    characters: list[tuple[str, bool]] = []  # (character, whether it is a bare dash)
    at = 0
    while at < len(body):
        escaped = body[at] == "\\" and at + 1 < len(body)
        at += escaped
        characters.append((body[at], body[at] == "-" and not escaped))
        at += 1
    members = []
    at = 0
    while at < len(characters):
        start = characters[at][0]
        if at + 2 < len(characters) and characters[at + 1][1]:
            low, high = sorted((start, characters[at + 2][0]))
            members.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            members.append(re.escape(start))
            at += 1
    return "".join(members)
