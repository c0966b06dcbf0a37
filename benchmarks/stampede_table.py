"""Markdown table of the stampedes of a stored result of the family ``loads``."""

from __future__ import annotations

from typing import Any

from harness.ratios import rounds_of, spread

HEAD = """| what happens | callers | 10 | 100 | 1,000 |
| --- | --- | --- | --- | --- |"""
COUNTS = ("10", "100", "1,000")
KINDS = ("tasks", "threads", "of both")


def report(result: dict[str, Any]) -> str:
    """Return the table: median and upper quartile of the rounds, in ms."""
    works = [work for work in result["works"] if work["name"].startswith("stampede")]
    title = f"Python {result['python']}, {result['date']}, {result['mode']} run; ms."
    return "\n".join([title, "", HEAD, *(_line(work, kind) for work in works for kind in KINDS)])


def _line(work: dict[str, Any], kind: str) -> str:
    what = work["title"].rpartition(": ")[2]
    rounds = rounds_of(work)
    cells = (_cell(rounds.get(f"{count} {kind}")) for count in COUNTS)
    return f"| {what} | {kind} | {' | '.join(cells)} |"


def _cell(figures: list[float] | None) -> str:
    if figures is None:
        return "failed"
    found = spread(figures)
    return f"{found.median:.1f} – {found.high:.1f}"
