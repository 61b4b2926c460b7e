"""The modality card: one figure that says how a model uses the image, for people who know none of
the tests.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from solvent.core.plotting import interval_of
from solvent.core.text import visible
from solvent.core.types import Facts
from solvent.reports.facts import Found, facts_of, in_order
from solvent.reports.figures import COLOURS, STYLE

CHIPS = {  # verdict -> colour, and how a person would say it
    "PASS": (COLOURS[2], "yes"),
    "FAIL": (COLOURS[1], "no"),
    "INCONCLUSIVE": (COLOURS[4], "not sure"),
    "VACUOUS": (COLOURS[3], "says nothing"),
    "COUPLED": (COLOURS[3], "flows, used?"),
    "NOT APPLICABLE": ("#999999", "not applicable"),
    "ERROR": ("#000000", "failed"),
}
ROW = 0.72  # inches per test
WRAP, WRAP_ASKS = 62, 44  # characters of a line of reasons, and of what is asked


def draw_card(findings: Mapping[str, Found], title: str, folder: Path) -> Path:
    """One row per test: the question, the verdict, the number with its interval, the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    tests = in_order({name: facts_of(name, finding) for name, finding in findings.items()})
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(tests), 1, figsize=(10, ROW * len(tests) + 1.0), squeeze=False
        )
        for (name, facts), row in zip(tests.items(), axes[:, 0], strict=True):
            _draw_row(row, facts, findings[name])
        figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=12)
        figure.text(
            0.01,
            0.005,
            "dot and line: mean and 95 % interval of the number that is judged; grey: a model that "
            "does not look",
            color="grey",
            fontsize=8,
        )
        height = figure.get_figheight()  # inches; few tests need as much room for what is below
        figure.subplots_adjust(
            left=0.46,
            right=0.62,
            top=1 - 0.55 / height,
            bottom=max(0.06, 0.49 / height),
            hspace=1.1,
        )
        path = folder / "modality_card.png"
        figure.savefig(path)
        plt.close(figure)
    return path


def _draw_row(axes: Axes, facts: Facts, finding: Found) -> None:
    colour, word = CHIPS[finding["verdict"]]
    place = {"transform": axes.transAxes, "va": "center"}
    asks = textwrap.fill(visible(facts.asks), WRAP_ASKS, max_lines=3, placeholder=" ...")
    axes.text(-2.95, 0.5, asks, weight="bold", fontsize=9.5, **place)
    axes.text(
        -0.5, 0.5, word, color="white", ha="center", fontsize=9, weight="bold", **place,
        bbox={"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "none"},
    )  # fmt: skip
    said = visible(finding["reason"][:1].upper() + finding["reason"][1:])
    reason = textwrap.fill(said, WRAP, max_lines=3, placeholder=" ...")
    axes.text(1.12, 0.5, reason, fontsize=7.5, color="#333333", **place)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7, pad=1, length=2)
    axes.set_xlabel(visible(facts.unit), fontsize=7, labelpad=1)
    if facts.neutral is not None:
        axes.axvline(facts.neutral, color="grey", linewidth=1, linestyle=":")
    number = finding["metrics"].get(facts.number)
    if isinstance(number, Mapping):
        axes.plot(interval_of(number), [0, 0], color=colour, linewidth=2.5)
        axes.plot(number["value"], 0, "o", color=colour, markersize=6)
        axes.margins(x=0.25)
    else:
        axes.text(0.5, 0.5, "no number", color="grey", ha="center", fontsize=7, **place)
        axes.set_xticks([])
    axes.set_ylim(-1, 1)
