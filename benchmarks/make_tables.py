"""Puts the tables of stored results into the documentation, or checks that they are there.

    python benchmarks/make_tables.py            writes the tables
    python benchmarks/make_tables.py --plots    and the plots, which needs matplotlib
    python benchmarks/make_tables.py --check    fails, with a diff, if the tables are stale

A document says with ``<!-- results: memory-3.11 -->`` where the tables of
``results/memory-3.11.json`` go, and with ``<!-- hit ratios -->`` where that of
``results/hit-ratios/memory.json`` goes, and with ``<!-- stampedes: loads-3.11 -->`` where one of
stampedes goes; they end with ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import re
import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hit_ratio_table
import stampede_table
from harness.results import loaded
from harness.tables import report

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = Path(__file__).resolve().parent
PAGES = HOME.parent / "docs" / "en"
DOCUMENTS = (PAGES / "performance.md", PAGES / "advanced" / "loads.md")
SECTION = re.compile(r"(<!-- results: (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
STAMPEDES = re.compile(r"(<!-- stampedes: (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
HIT_RATIOS = re.compile(r"(<!-- hit ratios -->\n).*?(<!-- end -->)", re.DOTALL)


def updated(text: str, results: Path) -> str:
    """Return a document with the tables that the stored results give."""

    def filled(found: re.Match[str], report: Callable[[Any], str], path: Path) -> str:
        shown = report(loaded(path)).rstrip("\n") if path.exists() else "Not measured yet."
        return f"{found[1]}\n{shown}\n\n<!-- end -->"

    def section(found: re.Match[str]) -> str:
        return filled(found, report, results / f"{found['name']}.json")

    def stampedes(found: re.Match[str]) -> str:
        return filled(found, stampede_table.report, results / f"{found['name']}.json")

    def ratios(found: re.Match[str]) -> str:
        return filled(found, hit_ratio_table.report, results / "hit-ratios" / "memory.json")

    return HIT_RATIOS.sub(ratios, STAMPEDES.sub(stampedes, SECTION.sub(section, text)))


def check(document: Path, text: str) -> bool:
    """Tell whether a document is up to date; show what differs."""
    stored = document.read_text(encoding="utf-8")
    lines = stored.splitlines(keepends=True), text.splitlines(keepends=True)
    sys.stdout.writelines(unified_diff(*lines, document.name, "what the results give"))
    return stored == text


def draw(results: Path, plots: Path) -> None:
    """Draw the plots of all stored results."""
    import hit_ratio_plot
    from harness.plots import plot

    for path in sorted(results.glob("*.json")):
        plot(loaded(path), plots, path.stem)
    for path in sorted(results.glob("hit-ratios/*.json")):
        hit_ratio_plot.draw(loaded(path), plots / f"hit-ratios-{path.stem}.svg")


def main() -> int:
    """Write or check."""
    arguments = _parser().parse_args()
    is_current = True
    for document in arguments.document or DOCUMENTS:
        text = updated(document.read_text(encoding="utf-8"), arguments.results)
        if arguments.check:
            is_current &= check(document, text)
        else:
            document.write_text(text, encoding="utf-8")
    if arguments.plots:
        draw(arguments.results, DOCUMENTS[0].parent / "plots")
    return 0 if is_current else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Tables of stored results.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    parser.add_argument("--plots", action="store_true", help="draw the plots, too")
    parser.add_argument("--results", type=Path, default=HOME / "results", metavar="FOLDER")
    parser.add_argument(
        "--document", type=Path, action="append", metavar="FILE", help="only this one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
