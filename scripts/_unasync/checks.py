"""What is refused in the text of a source file, and in the text of its twin."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import tokenize_rt  # type: ignore[import-untyped]

from .trees import MARKER, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .table import Table
    from .trees import Module

_KEYWORDS = frozenset({"async", "await"})
_FALSE_WORDS = re.compile(r"(?i:await(?:s|ed|ing|ables?)?|async|asyncio|coroutines?)|Async\w*")
_WORDS = re.compile(r"\w+")
# Names with a blocking counterpart that unasync doesn't know: Python's, and our own package.
_UNKNOWN_TO_UNASYNC = frozenset({"aclosing", "aiter", "anext", "_async"})


def marker_missing(module: Module) -> Iterator[Problem]:
    """Refuse a source file without the marker, whose place the header takes in the twin."""
    if module.text.split("\n", 1)[0] != MARKER:
        yield Problem(module.path, 1, f"the first line must be `{MARKER}`")


def eaten_tokens(module: Module) -> Iterator[Problem]:
    """Refuse `await(` and the like: unasync drops whatever token follows the keyword."""
    for token, after in pairwise(tokenize_rt.src_to_tokens(module.text)):
        is_keyword = token.name == "NAME" and token.src in _KEYWORDS
        if is_keyword and after.name != tokenize_rt.UNIMPORTANT_WS:
            text = f"`{token.src}` must be followed by a space on the same line"
            yield Problem(module.path, token.line or 1, text)


def unsafe_fstrings(module: Module, table: Table) -> Iterator[Problem]:
    """Refuse f-strings that hold anything to replace: tokenizers see them differently.

    Up to Python 3.11 an f-string is one token, later each name in it is one. The literal parts
    are looked at, too.
    """
    for node in _outermost_fstrings(module.syntax):
        segment = ast.get_source_segment(module.text, node) or ""
        for word in dict.fromkeys(_WORDS.findall(segment)):
            if word in _KEYWORDS or table.rename(word) != word:
                text = f"`{word}` within an f-string: give it a name before the string"
                yield Problem(module.path, node.lineno, text)


def _outermost_fstrings(node: ast.AST) -> Iterator[ast.JoinedStr]:
    if isinstance(node, ast.JoinedStr):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _outermost_fstrings(child)


def never_applied(modules: Iterable[Module], explicit: Mapping[str, str]) -> list[str]:
    """List the explicit entries that replace nothing in any source file."""
    left = dict.fromkeys(explicit)
    for module in modules:
        for token in tokenize_rt.src_to_tokens(module.text):
            if token.name == "NAME":
                left.pop(token.src, None)
            elif token.name == "STRING":
                left.pop(token.src[1:-1], None)
    return list(left)


def line_counts(path: str, source: str, twin: str) -> Iterator[Problem]:
    """Refuse a twin whose lines aren't those of its source."""
    before, after = source.count("\n"), twin.count("\n")
    if before != after:
        text = f"the twin has {after} lines, its source {before}: rewrite what was dropped"
        yield Problem(path, min(before, after) + 1, text)


def leftovers(path: str, twin: str, table: Table) -> Iterator[Problem]:
    """Refuse words below the header that aren't true of the blocking face."""
    for number, line in enumerate(twin.split("\n")[1:], start=2):
        for word in dict.fromkeys(_WORDS.findall(line)):
            if word in _UNKNOWN_TO_UNASYNC and table.rename(word) == word:
                text = f"`{word}` is left over: enter it in EXPLICIT of scripts/run_unasync.py"
                yield Problem(path, number, text)
            elif _FALSE_WORDS.fullmatch(word) or table.rename(word) != word:
                text = f"`{word}` is left over: say it so that it is true of both faces"
                yield Problem(path, number, f"{text} (in code, import a pair under one name)")
