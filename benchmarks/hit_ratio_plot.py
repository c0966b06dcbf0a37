"""Draws what `bench_hit_ratio.py` measured; the same figures give the same file.

python benchmarks/hit_ratio_plot.py hit_ratio.json hit_ratio.svg
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# How each row's figures look; in colours that the colour-blind tell apart.
SERIES: dict[str, dict[str, Any]] = {
    "optimum": {"label": "optimum (Belady)", "marker": "|", "s": 90, "color": "#555555"},
    "lru": {"label": "LRU", "marker": "o", "s": 55, "edgecolors": "#0072b2", "facecolors": "none"},
    "s3fifo": {"label": "S3-FIFO", "marker": "D", "s": 16, "color": "#d55e00"},
}
STYLE = {"svg.hashsalt": "symphra_cache", "svg.fonttype": "none", "font.size": 9}


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw one panel for each capacity: streams downwards, hit ratio to the right."""
    shares = sorted({row["share"] for row in figures["rows"]})
    with import_module("matplotlib").rc_context(STYLE):
        figure = import_module("matplotlib.figure").Figure((9, 4.2), layout="constrained")
        panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for panel, share in zip(panels, shares, strict=True):
            fill(panel, [row for row in figures["rows"] if row["share"] == share])
        panels[0].invert_yaxis()
        handles, legends = panels[0].get_legend_handles_labels()
        figure.legend(handles, legends, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def fill(panel: Any, rows: list[dict[str, Any]]) -> None:
    """Draw the rows of one capacity."""
    places = range(len(rows))
    for name, look in SERIES.items():
        panel.scatter([row[name] for row in rows], places, zorder=3, **look)
    panel.set_yticks(places, [row["stream"] for row in rows])
    panel.set_title(f"capacity {rows[0]['capacity']:,} ({rows[0]['share']:.0%} of the keys)")
    panel.set_xlabel("hit ratio")
    panel.set_xlim(-0.02, 1.0)
    panel.grid(axis="x", color="#dddddd")
    panel.set_axisbelow(True)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8")), target)
