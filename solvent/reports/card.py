"""The modality card: one figure that says how a model uses the image, for people who know none of
the tests.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from solvent.reports.figures import COLOURS, STYLE
from solvent.reports.judged import LINES, Line

CHIPS = {  # verdict -> colour, and how a person would say it
    "PASS": (COLOURS[2], "yes"),
    "FAIL": (COLOURS[1], "no"),
    "INCONCLUSIVE": (COLOURS[4], "not sure"),
    "VACUOUS": (COLOURS[3], "says nothing"),
    "NOT APPLICABLE": ("#999999", "not applicable"),
    "ERROR": ("#000000", "failed"),
}
ROW = 0.72  # inches per test
WRAP = 62  # characters of a line of reasons


def draw_card(findings: Mapping[str, Mapping[str, Any]], title: str, folder: Path) -> Path:
    """One row per test: the question, the verdict, the number with its interval, the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in LINES if name in findings]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(names), 1, figsize=(10, ROW * len(names) + 1.0), squeeze=False
        )
        for name, row in zip(names, axes[:, 0], strict=True):
            _draw_row(row, LINES[name], findings[name])
        figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=12)
        figure.text(
            0.01,
            0.005,
            "dot and line: mean and 95 % interval of the number that is judged; grey: a model that "
            "does not look",
            color="grey",
            fontsize=8,
        )
        figure.subplots_adjust(
            left=0.46, right=0.62, top=1 - 0.55 / figure.get_figheight(), bottom=0.06, hspace=1.1
        )
        path = folder / "modality_card.png"
        figure.savefig(path)
        plt.close(figure)
    return path


def _draw_row(axes: Axes, line: Line, finding: Mapping[str, Any]) -> None:
    colour, word = CHIPS[finding["verdict"]]
    place = {"transform": axes.transAxes, "va": "center"}
    axes.text(-2.95, 0.5, line.asks, weight="bold", fontsize=9.5, **place)
    axes.text(
        -0.5, 0.5, word, color="white", ha="center", fontsize=9, weight="bold", **place,
        bbox={"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "none"},
    )  # fmt: skip
    said = finding["reason"][:1].upper() + finding["reason"][1:]
    reason = textwrap.fill(said, WRAP, max_lines=3, placeholder=" ...")
    axes.text(1.12, 0.5, reason, fontsize=7.5, color="#333333", **place)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7, pad=1, length=2)
    axes.set_xlabel(line.unit, fontsize=7, labelpad=1)
    axes.axvline(line.neutral, color="grey", linewidth=1, linestyle=":")
    number = finding["metrics"].get(line.number)
    if isinstance(number, Mapping):
        axes.plot([number["low"], number["high"]], [0, 0], color=colour, linewidth=2.5)
        axes.plot(number["value"], 0, "o", color=colour, markersize=6)
        axes.margins(x=0.25)
    else:
        axes.text(0.5, 0.5, "no number", color="grey", ha="center", fontsize=7, **place)
        axes.set_xticks([])
    axes.set_ylim(-1, 1)
