"""Draws hold.svg from what hold.py measured: how many leases are kept, of how many tasks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.ticker import StrMethodFormatter

HERE: Final = Path(__file__).parent
INK: Final = "#7d8590"
"""Readable on white as on black, for README.md is shown on both."""
STYLES: Final[dict[str, dict[str, Any]]] = {
    "ProgressReporter": {"color": "#2f9e63", "marker": "o", "linewidth": 2.5},
    "plain loops": {"color": "#e8590c", "marker": "s", "linewidth": 2.5},
}


def draw(results: list[dict[str, Any]], path: Path) -> None:
    leases = sorted({result["lease"] for result in results})
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    look: dict[Any, Any] = dict.fromkeys(inked, INK)
    with mpl.rc_context(look | {"svg.hashsalt": "aiodp", "font.size": 11}):
        figure, panels = plt.subplots(
            1, len(leases), figsize=(4.6 * len(leases), 4), sharey=True, squeeze=False
        )
        for axes, lease in zip(panels[0], leases, strict=True):
            _panel(axes, [result for result in results if result["lease"] == lease])
            axes.set_title(f"lease of {lease} s")
        panels[0][0].set_ylabel("leases kept for the hour")
        panels[0][0].legend(frameon=False, loc="upper left")
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})


def _panel(axes: Any, results: list[dict[str, Any]]) -> None:
    most = max(result["tasks"] for result in results)
    axes.plot([0, most], [0, most], color=INK, linestyle=":", linewidth=1)
    axes.annotate("all", (0.7 * most, 0.7 * most), ha="right", xytext=(-6, 0), **_POINTS)
    for capacity in {result["capacity"] for result in results} - {None}:
        axes.axhline(capacity, color=INK, linestyle="--", linewidth=1)
        text = f"what the quota can hold: {capacity:,}"
        # Where no other line is: left of the lines that climb, or below the one that is flat.
        x, side = (0.03 * most, "left") if capacity > most / 2 else (most, "right")
        axes.annotate(text, (x, capacity), ha=side, va="top", xytext=(0, -5), **_POINTS)
    for holder, style in STYLES.items():
        own = sorted(
            (result["tasks"], result["kept"]) for result in results if result["holder"] == holder
        )
        axes.plot(*zip(*own, strict=True), label=holder, clip_on=False, **style)
    axes.set_xlabel("tasks")
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


_POINTS: Final = {"textcoords": "offset points", "fontsize": 9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "hold.json")
    parser.add_argument("--to", type=Path, default=HERE / "hold.svg")
    options = parser.parse_args()
    draw(json.loads(options.results.read_text()), options.to)


if __name__ == "__main__":
    main()
