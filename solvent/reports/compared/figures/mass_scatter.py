"""Points over the visual mass that was left: what trade-off figures draw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solvent.core.plotting import COLOURS, MARKERS, PAGE
from solvent.reports.compared.figures.effect_axes import LATTICE, draw_margin
from solvent.reports.compared.figures.figure_plan import EDGE, Sheet, legend_columns
from solvent.reports.compared.figures.lettering import GAP, LINE, wrapped
from solvent.reports.compared.figures.verdict_marks import Mark

BARS = 150  # points, beyond which intervals would hide them
LEFT, WIDE, HIGH = 0.55, 3.7, 2.7  # inches left of the axes, and of them
CROWD, APART = 8, 0.018  # points that are moved apart; how far, as a share of the axis
BELOW = 0.48  # inches for ticks and name of the axis
KEPT = "visual mass after / before"
OTHERS = Mark(shape=".", sign="", colour="0.6", full=True)


@dataclass(frozen=True, kw_only=True)
class Level:
    """A line across the figure.

    Attributes:
        label: in the legend.
        height: of it.
        ends: of its interval, missing where it has none.
        dash: of the line.
    """

    label: str
    height: float
    ends: tuple[float, float] = (math.nan, math.nan)
    dash: str = "-"

    def handle(self) -> Line2D:
        """For the legend."""
        return Line2D([], [], color="black", linewidth=0.9, linestyle=self.dash, label=self.label)


@dataclass(frozen=True, kw_only=True)
class View:
    """What is drawn.

    Attributes:
        title: of the figure.
        points: `kept` (visual mass after over before), `value`, `low`, `high`, `series`, and
            whether it is a known `harm`.
        styles: of the series that have a name; the others are grey dots.
        axis: what stands at the vertical one.
        margin: of equivalence around 0, a share; None: 0 is nothing special.
        levels: lines across.
    """

    title: str
    points: pd.DataFrame
    styles: dict[str, Mark]
    axis: str
    margin: float | None = None
    levels: Sequence[Level] = ()


def styles_of(series: Iterable[str], groups: Iterable[str]) -> dict[str, Mark]:
    """A mark per series. Those of a group share its colour, and no two of a colour their shape;
    where every series is a group, shapes differ, too.
    """
    groups = list(groups)
    alone = len(set(groups)) == len(groups)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    used: Counter[int] = Counter()
    found = {}
    for name, group in zip(series, groups, strict=True):
        colour = numbers[group] % len(COLOURS)
        shape = numbers[group] if alone else used[colour]
        found[name] = Mark(
            shape=MARKERS[shape % len(MARKERS)], sign="", colour=COLOURS[colour],
            full=alone or shape // len(MARKERS) % 2 == 0,
        )  # fmt: skip
        used[colour] += 1
    return found


def draw_masses(view: View) -> Figure:
    """One panel with names to its right, or below where these are many; and a second one without
    the known harm where that is so far away that all others would lie on each other.
    """
    handles = [style.handle(name) for name, style in view.styles.items()]
    others = ~view.points["series"].isin(view.styles)
    if others.any():
        handles.append(OTHERS.handle(f"{others.sum():,} other arms"))
    handles += [level.handle() for level in view.levels]
    panels = {"": view.points}
    if _is_far(view.points):
        near = view.points[~view.points["harm"]]
        panels = {"all arms": view.points, "without the known harm": near}
    names = _wrapped(handles, PAGE - LEFT - WIDE - GAP - EDGE)
    _, high = legend_columns(names, room=0)
    if len(panels) > 1 or high > 1.5 * HIGH:
        return _draw_below(view, panels, _wrapped(handles, PAGE / 3 - 0.1))
    sheet = Sheet(view.title, "", PAGE, max(HIGH, high) + 0.06 + BELOW)
    _draw_panel(sheet.axes(LEFT, 0.06, WIDE, max(HIGH, high)), view, view.points)
    sheet.legend(LEFT + WIDE + GAP, 0.06, names, 1)
    return sheet.figure


def _is_far(points: pd.DataFrame) -> bool:
    near = points[~points["harm"]]
    spans = [
        rows[["value", "high"]].max(axis=None) - rows[["value", "low"]].min(axis=None)
        for rows in (near, points)
    ]
    return len(near) > 1 and 2 * spans[0] < spans[1]


def _draw_below(view: View, panels: Mapping[str, pd.DataFrame], names: Sequence[Line2D]) -> Figure:
    columns, high = legend_columns(names)
    top = LINE + 0.06 if len(panels) > 1 else 0.06
    sheet = Sheet(view.title, "", PAGE, top + HIGH + BELOW + high)
    each = PAGE / len(panels)
    for at, (name, points) in enumerate(panels.items()):
        sheet.write(LEFT + at * each, LINE / 2, name)
        _draw_panel(sheet.axes(LEFT + at * each, top, each - LEFT - EDGE, HIGH), view, points)
    sheet.legend(EDGE, top + HIGH + BELOW, names, columns)
    return sheet.figure


def _wrapped(handles: Sequence[Line2D], width: float) -> list[Line2D]:
    """The same, with names for a legend so wide."""
    names = [wrapped(str(handle.get_label()), width - 0.4) for handle in handles]
    found = [copy(handle) for handle in handles]
    for handle, name in zip(found, names, strict=True):
        handle.set_label(name)
    return found


def _draw_panel(axes: Axes, view: View, points: pd.DataFrame) -> None:
    axes.grid(**LATTICE)
    axes.set_axisbelow(True)
    if view.margin is not None:
        draw_margin(axes.axhspan, axes.axhline, view.margin)
    axes.axvline(1, color="grey", linestyle=":", linewidth=0.8)
    _draw_series(axes, points, view.styles)
    low, high = axes.get_ylim()
    _draw_levels(axes, [each for each in view.levels if low - (high - low) / 2 < each.height])
    axes.set(xlabel=KEPT, ylabel=wrapped(view.axis, HIGH, lines=1))


def _draw_series(axes: Axes, points: pd.DataFrame, styles: dict[str, Mark]) -> None:
    bars = len(points) <= BARS
    points = points.assign(kept=beside_each_other(points["kept"])) if bars else points
    for series, rows in points.groupby("series", sort=False):
        mark = styles.get(series, OTHERS)
        if bars:
            axes.vlines(rows["kept"], rows["low"], rows["high"], color=mark.colour, linewidth=0.8)
        axes.scatter(
            rows["kept"], rows["value"], s=18, marker=mark.shape, edgecolors=mark.colour,
            facecolors=mark.colour if mark.full else "white", linewidths=0.9, zorder=3,
        )  # fmt: skip


def beside_each_other(kept: pd.Series) -> pd.Series:
    """Visual masses, moved apart where up to `CROWD` of them are so close that points would hide
    each other.
    """
    apart = APART * max(float(kept.max() - kept.min()), 1e-9)
    bins = (kept / apart).round()
    place, size = kept.groupby(bins).cumcount(), kept.groupby(bins).transform("size")
    moved = kept.groupby(bins).transform("mean") + (place - (size - 1) / 2) * apart
    return kept.where((size == 1) | (size > CROWD), moved)


def _draw_levels(axes: Axes, levels: Sequence[Level]) -> None:
    for level in levels:
        axes.axhline(level.height, color="black", linewidth=0.9, linestyle=level.dash, zorder=1)
        if not math.isnan(level.ends[0]):
            axes.axhspan(*level.ends, color="black", alpha=0.1, linewidth=0)
