"""Results as JSON. A file tells all that its tables need, goals included.

So that a diff can be read, each contestant's rounds stand on one line.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.model import Measured, Mode

_NUMBERS = re.compile(r"\[[-+.\deE,\s]+\]")


def assembled(
    family: str, mode: Mode, system: dict[str, object], works: Iterable[Measured]
) -> dict[str, Any]:
    """Return a result as it is stored."""
    return {"family": family, "mode": mode.name, **system, "works": [_plain(one) for one in works]}


def _plain(measured: Measured) -> dict[str, Any]:
    work = measured.work
    return {
        "name": work.name,
        "title": work.title,
        "unit": work.unit,
        "references": list(work.references),
        "plot": work.plot,
        "goals": [_goal(asdict(goal)) for goal in work.goals],
        "lacks": {one.name: one.lacks for one in work.contestants if one.lacks},
        "absent": measured.absent,
        "contestants": [
            {
                "name": one.name,
                "operations": measured.operations[one.name],
                "rounds": [_rounded(figure) for figure in measured.rounds[one.name]],
            }
            for one in work.contestants
            if one.name in measured.rounds
        ],
    }


def _goal(goal: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing; a bound of 0 says something."""
    said = {name: value for name, value in goal.items() if value is not None}
    return {name: value for name, value in said.items() if name == "limit" or value != 0.0}


def _rounded(figure: float) -> float:
    """Keep five digits, more than any clock here tells."""
    return float(f"{figure:.5g}")


def dumped(result: dict[str, Any]) -> str:
    """Return a result as text."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n"


def loaded(path: Path) -> dict[str, Any]:
    """Read a stored result."""
    return json.loads(path.read_text(encoding="utf-8"))
