"""The twin folder on disk: what is in it, what differs, and bringing it up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from .trees import Problem, files_below, is_generated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass
class Twins:
    """The rendered texts by the path of the twin, and the generated files without a source."""

    texts: dict[str, str] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)

    def differences(self, root: Path) -> Iterator[Problem]:
        """Compare the files on disk with what they should be."""
        for path, text in self.texts.items():
            if not (root / path).exists():
                yield Problem(path, 1, "missing: its source has no twin yet")
            elif (found := _text(root / path)) != text:
                yield Problem(
                    path, _first_difference(found, text), "stale: not what its source says"
                )
        for path in self.orphans:
            yield Problem(path, 1, "orphan: its source is gone")

    def write(self, root: Path) -> Iterator[str]:
        """Bring the files on disk up to date; a file that is right isn't touched."""
        for path, text in self.texts.items():
            target = root / path
            if target.exists() and _text(target) == text:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
            yield f"wrote {path}"
        for path in self.orphans:
            (root / path).unlink()
            yield f"deleted {path}"


def orphans(root: Path, folder: str, expected: Iterable[str]) -> list[str]:
    """List the files in a twin folder that belong to no source."""
    known = set(expected)
    return [path for path in files_below(root, folder) if path not in known]


def hand_written(root: Path, folder: str, strays: Iterable[str]) -> Iterator[Problem]:
    """Refuse files in a twin folder that the generator didn't write."""
    without_source = set(strays)
    for path in files_below(root, folder):
        if is_generated(_text(root / path)):
            continue
        text = "has no generated header, so it was written by hand"
        if path in without_source:
            yield Problem(path, 1, f"{text}, and has no source: move it out of {folder}")
        else:
            yield Problem(path, 1, f"{text}: move what it says to its source, then delete it")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _first_difference(found: str, wanted: str) -> int:
    lines = zip_longest(found.split("\n"), wanted.split("\n"))
    return next(number for number, (left, right) in enumerate(lines, 1) if left != right)
