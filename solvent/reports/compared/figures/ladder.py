"""Estimates with their intervals, one below the other, with their names to the left and their
numbers to the right: what forest plots and summaries are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solvent.core.plotting import COLOURS, PAGE
from solvent.reports.compared.figures.effect_axes import (
    LATTICE,
    draw_arrows,
    draw_margin,
    draw_points,
    reach,
)
from solvent.reports.compared.figures.figure_plan import EDGE, Sheet, legend_columns
from solvent.reports.compared.figures.lettering import (
    GAP,
    LINE,
    height_of,
    width_of,
    width_of_lines,
    wrapped,
)
from solvent.reports.compared.figures.verdict_marks import PLAIN, Mark

LABELS = 2.35  # inches of names, at most
LINES = 44  # of one figure: a page in print
LETTERS = 40  # about as many stand in a line of a name
HEAD, FOOT = 0.22, 0.46  # inches above the axes, for headings; and below, for ticks and their name


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One line of a ladder; shares, missing where there is none.

    Attributes:
        label: its name.
        section: heading under which it stands.
        value, low, high: estimate with its interval.
        outer: a wider interval, drawn thin (of prediction).
        beside: texts to the right.
    """

    label: str
    value: float
    low: float
    high: float
    section: str = ""
    outer: tuple[float, float] = (math.nan, math.nan)
    mark: Mark = PLAIN
    beside: tuple[str, ...] = ()


def rows_of_a_page(names: Sequence[str]) -> int:
    """How many rungs with such names one figure has room for."""
    lines = [1 + min(3, len(name) // LETTERS) for name in names]
    return max(1, round(LINES * len(names) / (0.4 * len(names) + 0.6 * sum(lines))))


def limits(rungs: Sequence[Rung], margin: float) -> tuple[float, float]:
    """Both ends of the axis, in points."""
    ends = [100 * end for each in rungs for end in (each.value, each.low, each.high, *each.outer)]
    band = 0.0 if math.isnan(margin) else 100 * margin
    return -reach([-end for end in ends], band), reach(ends, band)


def draw_ladder(
    *,
    title: str,
    subtitle: str,
    rungs: Sequence[Rung],
    headings: Sequence[str],
    margin: float,
    axis: str,
    legend: Sequence[Line2D] = (),
) -> Figure:
    """A figure across the page.

    Args:
        title: of it.
        subtitle: below it.
        rungs: from top to bottom.
        headings: of the texts beside them.
        margin: of equivalence, a share; missing: no band.
        axis: says what is measured.
        legend: below.
    """
    names = [name for each in rungs for name in (each.label, each.section)]
    wide = min(LABELS, max(map(width_of, names)) + 0.02)
    labels = [wrapped(each.label, wide) for each in rungs]
    beside = [
        max(width_of_lines(each) for each in (head, *(rung.beside[at] for rung in rungs)))
        for at, head in enumerate(headings)
    ]
    places, sections, high = _places(rungs, labels)
    columns, below = legend_columns(legend) if legend else (1, 0.0)
    sheet = Sheet(title, subtitle, PAGE, HEAD + high + FOOT + below)
    left = EDGE + wide + GAP
    axes = sheet.axes(left, HEAD, PAGE - left - sum(beside) - GAP * len(beside) - EDGE, high)
    axes.set(xlim=limits(rungs, margin), ylim=(high, 0), yticks=[], xlabel=axis)
    _draw(axes, rungs, places, margin)
    for place, label in zip(places, labels, strict=True):
        sheet.write(left - GAP, HEAD + place, label, ha="right")
    for place, section in sections:
        sheet.write(EDGE, HEAD + place, section, color=COLOURS[0])
    _write_beside(sheet, headings, beside, rungs, places)
    if legend:
        sheet.legend(EDGE, HEAD + high + FOOT - 0.02, legend, columns)
    return sheet.figure


def _places(
    rungs: Sequence[Rung], labels: Sequence[str]
) -> tuple[list[float], list[tuple[float, str]], float]:
    """Where the middle of every rung, and every heading, stands below the top; and the height."""
    places, sections, top, before = [], [], 0.03, ""
    for rung, label in zip(rungs, labels, strict=True):
        if rung.section != before:
            section = wrapped(rung.section, LABELS, lines=1)
            sections.append((top + 0.06 + LINE / 2, section))
            top += LINE + 0.08
            before = rung.section
        high = height_of(label)
        places.append(top + high / 2)
        top += high
    return places, sections, top + 0.03


def _write_beside(
    sheet: Sheet,
    headings: Sequence[str],
    widths: Sequence[float],
    rungs: Sequence[Rung],
    places: Sequence[float],
) -> None:
    left = PAGE - EDGE - sum(widths) - GAP * (len(widths) - 1)
    for at, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        sheet.write(left, HEAD - 0.1, heading, color="#444444")
        for place, rung in zip(places, rungs, strict=True):
            colour = rung.mark.colour if rung.beside[at].isupper() else "black"  # a verdict
            sheet.write(left, HEAD + place, rung.beside[at], color=colour)
        left += width + GAP


def _draw(axes: Axes, rungs: Sequence[Rung], places: Sequence[float], margin: float) -> None:
    axes.grid(axis="x", **LATTICE)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=7, steps=[1, 2, 5, 10])
    axes.spines["left"].set_visible(False)
    draw_margin(axes.axvspan, axes.axvline, margin)
    colours = [each.mark.colour for each in rungs]
    low, high = ([100 * getattr(each, end) for each in rungs] for end in ("low", "high"))
    axes.hlines(places, *_outer(rungs), colors=colours, linewidth=0.7)
    axes.hlines(places, low, high, colors=colours, linewidth=1.6)
    draw_points(axes, [100 * each.value for each in rungs], places, [each.mark for each in rungs])
    ends = np.array([[each.value, each.low, each.high] for each in rungs])
    draw_arrows(axes, places, 100 * np.nanmin(ends, 1), 100 * np.nanmax(ends, 1), colours)


def _outer(rungs: Sequence[Rung]) -> list[list[float]]:
    return [[100 * each.outer[end] for each in rungs] for end in (0, 1)]
