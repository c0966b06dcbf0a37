"""The rendering itself, by the ``unasync`` package, and what that package does to a name.

The only module that imports ``unasync``. Only its public interface is used, on files in a
temporary folder.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

with warnings.catch_warnings():
    # unasync imports setuptools, some versions of which warn on import about themselves.
    warnings.simplefilter("ignore")
    import unasync  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping

# What unasync replaces without being told, such as `__aenter__` and `AsyncIterator`.
OWN_TABLE: Mapping[str, str] = dict(unasync.Rule("_async", "_sync").token_replacements)


def rename(name: str, entries: Mapping[str, str]) -> str:
    """Return what unasync makes of a name, given the entries we hand to it."""
    replacement = entries.get(name, OWN_TABLE.get(name))
    if replacement is not None:
        return replacement
    if name.startswith("Async") and name[5:6].isupper():
        return name.replace("Async", "Sync", 1)
    return name


def render(texts: Mapping[str, str], entries: Mapping[str, str]) -> dict[str, str]:
    """Render the text of each file; the keys are relative paths and stay."""
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        rule = unasync.Rule(str(before), str(after), dict(entries))
        for path, text in texts.items():
            (before / path).parent.mkdir(parents=True, exist_ok=True)
            (before / path).write_text(text, encoding="utf-8", newline="\n")
        unasync.unasync_files([str(before / path) for path in texts], [rule])
        return {path: (after / path).read_text(encoding="utf-8") for path in texts}
