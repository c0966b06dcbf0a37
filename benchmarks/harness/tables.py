"""Markdown tables of a result; a pure function of the stored JSON."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from harness.ratios import measured, needed, ratios, rounds_of, spread, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.ratios import Rounds, Spread

Work = dict[str, Any]
SIGNS = {"at most": "≤", "at least": "≥", "equal": "="}


def report(result: dict[str, Any]) -> str:
    """Return everything that a result gives: where it is from, the goals, and each work."""
    parts = [_origin(result), _goals(result["works"])]
    parts += [_work(work) for work in result["works"]]
    return "\n\n".join(parts) + "\n"


def _origin(result: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    dirty = " with changes that are not committed" if result["dirty"] else ""
    return (
        f"Python {result['python']}, {result['system']}, {result['cores']} cores, "
        f"{result['date']}, commit `{result['commit'][:12]}`{dirty}; {result['mode']} run. "
        f"Peers: {packages}."
    )


def _goals(works: Iterable[Work]) -> str:
    rows = [_goal_row(work, goal) for work in works for goal in work["goals"]]
    return _table(("row", "work", "what", "goal", "median", "quartiles", "verdict"), rows)


def _goal_row(work: Work, goal: dict[str, Any]) -> Sequence[str]:
    bound = f"{SIGNS[goal['kind']]} {goal['limit']:g}" if "limit" in goal else "–"
    start = (goal["row"], work["name"], _bounded(goal), bound)
    absent = [name for name in needed(goal) if name not in rounds_of(work)]
    if absent:
        return (*start, "–", "–", f"not measured: no figure of {', '.join(absent)}")
    found = spread(measured(rounds_of(work), goal))
    return (*start, _number(found.median), _quartiles(found), verdict(found.median, goal))


def _bounded(goal: dict[str, Any]) -> str:
    """Say what a goal bounds."""
    subject, peer = goal["subject"], goal.get("peer")
    if peer is None:
        return subject
    if "growth" in goal:
        return f"growth of {subject} / growth of {peer}"
    return f"{subject} / {peer}" + (f", both less {goal['minus']}" if "minus" in goal else "")


def _work(work: Work) -> str:
    rounds = rounds_of(work)
    unit = f" ({work['unit']})" if work["unit"] else ""
    references = [name for name in work["references"] if name in rounds]
    head = ("contestant", f"median{unit}", "quartiles", *(f"/ {name}" for name in references))
    notes: list[str] = []
    rows = [_row(work, rounds, name, references, notes) for name in rounds]
    rows += [_absent_row(name, why, len(head)) for name, why in work["absent"].items()]
    text = f"**{work['name']}.** {work['title']}, {_counted(rounds)}.\n\n{_table(head, rows)}"
    return text + "".join(f"\n\n{note}" for note in _footnotes(notes))


def _row(
    work: Work, rounds: Rounds, name: str, references: Sequence[str], notes: list[str]
) -> Sequence[str]:
    found = spread(rounds[name])
    against = [_number(median(ratios(rounds, name, peer))) for peer in references]
    shown = name + _mark(work["lacks"].get(name, ""), notes)
    return (shown, _number(found.median), _quartiles(found), *against)


def _absent_row(name: str, why: str, width: int) -> Sequence[str]:
    return (name, f"can't run: {why}", *[""] * (width - 2))


def _mark(lacks: str, notes: list[str]) -> str:
    """Return the number of a footnote, a new one if nobody had it."""
    if not lacks:
        return ""
    if lacks not in notes:
        notes.append(lacks)
    return f" ({notes.index(lacks) + 1})"


def _footnotes(notes: Sequence[str]) -> list[str]:
    text = "; ".join(f"({number}) {note.replace(';', ',')}" for number, note in enumerate(notes, 1))
    return [text + "."] if notes else []


def _counted(rounds: Rounds) -> str:
    count = len(next(iter(rounds.values()), []))
    return "1 round" if count == 1 else f"{count} rounds"


def _quartiles(found: Spread) -> str:
    return f"{_number(found.low)} – {_number(found.high)}"


def _number(figure: float) -> str:
    """Return three digits or what stands before the point; four after it say nothing."""
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    if abs(figure) >= 10:
        return f"{figure:.1f}"
    return f"{figure:.2f}" if abs(figure) >= 1 else f"{figure:.3f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
