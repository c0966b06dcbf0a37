"""What is documented of the benchmarks is what their stored results give. Nothing is timed here."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
DOCUMENT = ROOT / "docs" / "en" / "performance.md"
STORED = sorted((BENCHMARKS / "results").glob("*.json"))

# Ours took 2, 30 and 4, the peer 1, 10 and 4: the rounds' ratios are 2, 3 and 1, their median 2.
# The ratio of the medians would be 1.
RESULT: dict[str, Any] = {
    "family": "tiny",
    "mode": "quick",
    "commit": "0123456789abcdef",
    "dirty": False,
    "date": "2026-01-02",
    "python": "3.11.0",
    "system": "Linux x86_64",
    "cores": 2,
    "packages": {"peer": "1.0"},
    "works": [
        {
            "name": "read",
            "title": "A read",
            "unit": "ns",
            "references": ["peer"],
            "plot": False,
            "goals": [
                {"row": "T1", "subject": "ours", "peer": "peer", "limit": 2, "kind": "at most"},
                {"row": "T2", "subject": "ours", "peer": "peer", "limit": 1.6, "kind": "at most"},
                {"row": "T3", "subject": "ours", "limit": 5, "kind": "at least"},
                {
                    **{"row": "T4", "subject": "ours", "peer": "peer", "minus": "floor"},
                    **{"limit": 9, "kind": "at most"},
                },
                {
                    **{"row": "T5", "subject": "ours", "peer": "peer"},
                    **{"growth": ["floor", "peer"], "limit": 9, "kind": "at most"},
                },
                {"row": "T7", "subject": "ours", "peer": "floor", "kind": "at most"},
                {"row": "T6", "subject": "ours", "peer": "gone", "limit": 1, "kind": "at most"},
                {"row": "T8", "subject": "ours", "limit": 0, "kind": "at most"},
            ],
            "lacks": {"peer": "no time to live"},
            "absent": {"gone": "ModuleNotFoundError: No module named 'gone'"},
            "contestants": [
                {"name": "ours", "operations": 10, "rounds": [2.0, 30.0, 4.0]},
                {"name": "peer", "operations": 10, "rounds": [1.0, 10.0, 4.0]},
                {"name": "floor", "operations": 10, "rounds": [0.5, 5.0, 2.0]},
            ],
        }
    ],
}


def make_tables(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as its users do."""
    return subprocess.run(
        [sys.executable, BENCHMARKS / "make_tables.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def written(tmp_path: Path) -> str:
    """Return the page that the tiny result gives."""
    (tmp_path / "tiny.json").write_text(json.dumps(RESULT))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: tiny -->\nold\n<!-- end -->\nafter\n")
    told = make_tables("--document", page, "--results", tmp_path)
    assert told.returncode == 0, told.stderr
    return page.read_text(encoding="utf-8")


def row(page: str, start: str) -> list[str]:
    """Return the cells of the first row that starts so."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {start}"))
    return line.strip("| ").split(" | ")


def test_the_documented_tables_are_what_the_stored_results_give() -> None:
    told = make_tables("--check")
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_stale_page_fails_the_check_and_shows_the_difference(tmp_path: Path) -> None:
    page = Path(shutil.copy(DOCUMENT, tmp_path))
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"\b(UNMET|met)\b(?= [|(])", "stale", text), encoding="utf-8")
    told = make_tables("--check", "--document", page)
    assert told.returncode == 1
    assert re.search(r"^-.*stale", told.stdout, re.MULTILINE)
    assert "stale" in page.read_text(encoding="utf-8")


def test_only_what_stands_between_the_markers_is_replaced(written: str) -> None:
    assert written.startswith("before\n<!-- results: tiny -->\n")
    assert written.endswith("<!-- end -->\nafter\n")
    assert "old" not in written


def test_ratios_are_formed_within_rounds(written: str) -> None:
    assert row(written, "T1")[-3:] == ["2.00", "1.50 – 2.50", "met"]
    assert row(written, "ours")[-1] == "2.00"


def test_the_verdict_says_by_how_much_a_goal_is_missed(written: str) -> None:
    assert row(written, "T2")[-1] == "UNMET (1.25 × goal)"
    assert row(written, "T3")[-1] == "UNMET (0.80 × goal)"


def test_a_goal_of_none_at_all_is_a_goal(written: str) -> None:
    assert row(written, "T8")[-4:] == ["≤ 0", "4.00", "3.00 – 17.0", "UNMET (by 4)"]


def test_without_a_limit_there_is_no_verdict(written: str) -> None:
    assert row(written, "T7")[-4:] == ["–", "4.00", "3.00 – 5.00", "for information"]


def test_a_floor_is_taken_off_within_rounds(written: str) -> None:
    # 1.5 / 0.5, 25 / 5 and 2 / 2.
    assert row(written, "T4")[-3] == "3.00"


def test_growth_is_a_ratio_of_ratios_within_rounds(written: str) -> None:
    # (2 / 1) / (0.5 / 1), (30 / 10) / (5 / 10) and (4 / 4) / (2 / 4).
    assert row(written, "T5")[-3:] == ["4.00", "3.00 – 5.00", "met"]


def test_who_cannot_run_is_told_with_the_reason(written: str) -> None:
    assert row(written, "T6")[-1] == "not measured: no figure of gone"
    assert "can't run: ModuleNotFoundError: No module named 'gone'" in written


def test_what_a_peer_lacks_is_a_footnote(written: str) -> None:
    assert row(written, "peer")[0] == "peer (1)"
    assert "(1) no time to live." in written


def test_what_is_not_measured_yet_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results: absent -->\nold\n<!-- end -->\n")
    told = make_tables("--document", page, "--results", tmp_path)
    assert told.returncode == 0, told.stderr
    assert "\nNot measured yet.\n" in page.read_text(encoding="utf-8")
    assert make_tables("--check", "--document", page, "--results", tmp_path).returncode == 0


def test_there_are_stored_results() -> None:
    assert {path.name for path in STORED} >= {
        *("file-3.11.json", "file-3.13.json"),
        *("memory-3.11.json", "memory-3.13.json"),
    }


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_result_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r'[" (][~.]?/\w+/|[A-Za-z]:\\\\', text)
    about = {name: value for name, value in json.loads(text).items() if name != "works"}
    assert about.keys() == RESULT.keys() - {"works"}
    assert platform.node() not in about.values()


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_every_contestant_has_a_figure_for_each_round(path: Path) -> None:
    for work in json.loads(path.read_text(encoding="utf-8"))["works"]:
        counts = {len(one["rounds"]) for one in work["contestants"]}
        assert len(counts) == 1, work["name"]
