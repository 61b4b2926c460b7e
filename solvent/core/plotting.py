"""What drawings have in common: colours, style, and shapes that several of them show.

Axes are handed in, so that whoever only owns a drawing loads no matplotlib. Colours are those of
Okabe and Ito, safe for colour-blind readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.dpi": 150,
    "text.parse_math": False,  # a data set may hold $ signs
    "savefig.bbox": "tight",
}
COLUMN, PAGE = 3.3, 7.0  # inches: how wide a figure stands in a paper's column, or across both
PAPER = {  # exactly as wide as drawn, so that no letter is smaller than 7 points in print
    **STYLE,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "savefig.bbox": None,
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
    "svg.hashsalt": "solvent",  # equal figures have equal bytes
}
MARKERS = "osD^vP*X"  # tell apart what has the same colour
Number = Mapping[str, Any]
"""A mean as it is stored: value, low and high, and more that is not drawn."""


def draw_nothing(axes: Axes) -> None:
    """Say that there is nothing to show."""
    axes.text(0.5, 0.5, "nothing to show", color="grey", ha="center", transform=axes.transAxes)
    axes.set_axis_off()


def interval_of(estimate: Number) -> list[float]:
    """Both ends; not a number, which is not drawn, where there is no interval."""
    return [math.nan if estimate[end] is None else float(estimate[end]) for end in ("low", "high")]


def draw_estimate(axes: Axes, place: float, estimate: Number, colour: str) -> None:
    """A point with its interval, lying on the row `place`."""
    axes.plot(interval_of(estimate), [place, place], color=colour, linewidth=1.5)
    axes.plot(estimate["value"], place, "o", color=colour, markersize=4)


def draw_bar(axes: Axes, place: float, estimate: Number, colour: str) -> None:
    """A bar with its interval, standing in the column `place`."""
    axes.bar(place, estimate["value"], color=colour, width=0.6)
    axes.plot([place, place], interval_of(estimate), color="black", linewidth=1.2)


def draw_curve(
    axes: Axes, x: Sequence[float], points: Sequence[Number], colour: str, label: str | None = None
) -> None:
    """Means joined by a line, inside the band of their intervals."""
    axes.plot(
        x, [point["value"] for point in points], "o-", color=colour, markersize=3, label=label
    )
    axes.fill_between(
        x,
        [interval_of(point)[0] for point in points],
        [interval_of(point)[1] for point in points],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )


def legend_below(axes: Axes, distance: float = 0.25) -> None:
    """Draw the legend that `axes` have, if any, under them, where it hides no data.

    Args:
        axes: Their labelled drawings.
        distance: From the axis down to the legend, as a share of the axes' height.
    """
    legend = axes.get_legend()
    if legend is None:
        return
    labels = [text.get_text() for text in legend.get_texts()]
    axes.legend(
        handles=legend.legend_handles, labels=labels, title=legend.get_title().get_text() or None,
        loc="upper center", bbox_to_anchor=(0.5, -distance), ncols=min(3, len(labels)),
        frameon=False, fontsize=7, title_fontsize=7, columnspacing=1.0,
    )  # fmt: skip
