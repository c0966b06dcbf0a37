"""SVG plots of a result: a bar for each contestant, its quartiles as a whisker.

The one part of the reporting that needs matplotlib. The same result gives the same bytes.
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.ratios import rounds_of, spread

if TYPE_CHECKING:
    from pathlib import Path

OURS, OTHERS = "#00695c", "#90a4ae"


def plot(result: dict[str, Any], folder: Path, prefix: str) -> list[Path]:
    """Draw those works of a result that have a plot; return the files."""
    mpl.rcParams.update({"svg.hashsalt": "symphra_cache", "svg.fonttype": "none"})
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _draw(work, folder / f"{prefix}-{work['name']}.svg", f"Python {result['python']}")
        for work in result["works"]
        if work["plot"] and work["contestants"]
    ]


def _draw(work: dict[str, Any], path: Path, where: str) -> Path:
    spreads = {name: spread(figures) for name, figures in rounds_of(work).items()}
    names = sorted(spreads, key=lambda name: spreads[name].median, reverse=True)
    found = [spreads[name] for name in names]
    figure = Figure(figsize=(8, 0.9 + 0.32 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(
        names,
        [one.median for one in found],
        xerr=([one.median - one.low for one in found], [one.high - one.median for one in found]),
        color=[OURS if name.startswith("symphra_cache") else OTHERS for name in names],
        error_kw={"elinewidth": 1},
    )
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{work['unit'] or 'share'}, median and quartiles ({where})")
    figure.suptitle(fill(work["title"].replace("`", ""), 90), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    return path
