"""The family ``loads`` of benchmarks/ measures what it says; peers need not be installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
MEASURING = """
import sys
from dataclasses import replace
from families.loads import WORKS
from harness.model import Mode
from harness.rounds import measure

(work,) = [work for work in WORKS if work.name == sys.argv[1]]
wanted = sys.argv[2:]
few = tuple(each for each in work.contestants if each.name in wanted)
measured = measure("loads", replace(work, contestants=few, rounds=(1, 1)), Mode("tiny", 1, 100_000))
for name in wanted:
    print(name, measured.absent.get(name) or f"{measured.rounds[name][0]:.1f}")
"""
HITS = ("symphra_cache", "symphra_cache, key= a template")


def shown(work: str, *contestants: str) -> dict[str, str]:
    """Measure a work, once; return each contestant's figure, or why there is none."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURING, work, *contestants],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return dict(line.rsplit(" ", 1) for line in told.stdout.splitlines())


@pytest.mark.parametrize("work", ["cached", "cached-text", "acached"])
def test_hits_are_hits(work: str) -> None:
    figures = shown(work, *HITS)
    assert figures.keys() == {*HITS}
    assert all(float(figure) < 1_000_000 for figure in figures.values())


@pytest.mark.parametrize("work", ["flight-tasks", "flight-threads", "flight-mixed"])
def test_a_flight_takes_as_long_as_its_loader(work: str) -> None:
    figures = shown(work, "symphra_cache", "symphra_cache, file")
    assert all(50 <= float(figure) < 5_000 for figure in figures.values())


@pytest.mark.parametrize("count", ["10", "100", "1,000"])
@pytest.mark.parametrize("name", ["", "-raising", "-cancelled", "-closed", "-dead"])
def test_a_stampede_ends_with_exactly_one_load(name: str, count: str) -> None:
    """A figure counts only if it does, and if all had its outcome."""
    crowds = [f"{count} {kind}" for kind in ("tasks", "threads", "of both")]
    figures = shown(f"stampede{name}", *crowds)
    assert figures.keys() == {*crowds}
    assert all(0 <= float(figure) < 20_000 for figure in figures.values())
