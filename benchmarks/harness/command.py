"""The command line of the measuring programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model import FULL, QUICK
from harness.results import assembled, dumped
from harness.rounds import measure
from harness.system import described
from harness.tables import report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model import Work


def main(family: str, works: Sequence[Work], packages: tuple[str, ...]) -> None:
    """Measure a family, print its tables, and write the result where it is asked for."""
    arguments = _parser(family, works).parse_args()
    mode = QUICK if arguments.quick else FULL
    chosen = [work for work in works if work.name in (arguments.work or _names(works))]
    system = described(packages)
    measured = [measure(family, work, mode) for work in chosen]
    result = assembled(family, mode, system, measured)
    print(report(result))
    if arguments.output:
        arguments.output.write_text(dumped(result), encoding="utf-8")
        print(f"Stored as {arguments.output}", file=sys.stderr)


def _names(works: Sequence[Work]) -> list[str]:
    return [work.name for work in works]


def _parser(family: str, works: Sequence[Work]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"Measures the family {family}.")
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument(
        "--work", action="append", choices=_names(works), help="only this one; may be repeated"
    )
    return parser
