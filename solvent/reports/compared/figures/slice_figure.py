"""Per-slice effects: what every arm of a family changes in every slice, a column per slice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solvent.core.plotting import COLOURS, PAGE
from solvent.reports.compared.arm_texts import margin_points
from solvent.reports.compared.figures.chosen_arms import (
    against_control,
    clearest,
    left_out,
    named,
    sentences,
)
from solvent.reports.compared.figures.effect_axes import (
    LATTICE,
    draw_arrows,
    draw_margin,
    draw_points,
    reach,
)
from solvent.reports.compared.figures.figure_plan import (
    EDGE,
    Plan,
    Sheet,
    legend_columns,
    portions,
    slug,
)
from solvent.reports.compared.figures.lettering import (
    AXIS,
    GAP,
    LINE,
    counts,
    height_of,
    span,
    width_of,
    wrapped,
)
from solvent.reports.compared.figures.verdict_marks import GREY, Mark
from solvent.reports.compared.frames import Comparison

LABELS = 2.0  # inches of names, at most
COLUMNS, ROWS = 5, 40  # of one figure
SURE = 0.05  # p, adjusted over the slices of an arm
CHANGED = Mark(shape="o", sign="", colour=COLOURS[1], full=True)
UNSURE = Mark(shape="o", sign="", colour=GREY, full=False)


def slice_plans(comparison: Comparison) -> list[Plan]:
    """One per family, more where its slices do not fit one page."""
    slices = comparison.slices
    if slices.empty:
        return []
    arms = against_control(comparison).drop_duplicates("key").set_index("key")
    known = slices[slices["difference_value"].notna() & slices["key"].isin(arms.index)]
    family = known["key"].map(arms["family"])
    return [
        plan
        for name, rows in known.groupby(family, sort=False)
        for plan in _family(str(name), rows, arms[arms.index.isin(rows["key"])])
    ]


def _family(family: str, slices: pd.DataFrame, arms: pd.DataFrame) -> list[Plan]:
    shown = clearest(arms, ROWS)
    columns = list(slices.groupby(["tag", "value"], sort=False).groups)
    if len(columns) < 2:
        return []  # one slice is all questions
    table = slices.drop_duplicates(["key", "tag", "value"]).set_index(["key", "tag", "value"])
    title, margin = str(arms["title"].iloc[0]), float(arms["margin"].max())
    found = portions(columns, COLUMNS)
    caption = sentences(
        f"Paired difference in accuracy of every arm in every slice of {title}, in {AXIS}, with "
        f"95 % intervals over images; {counts(slices['n'], 'question')} in a slice. Filled: "
        f"p below {SURE:g}, adjusted over the slices of the arm (Benjamini-Hochberg).",
        f"Shaded: the margin of equivalence, ±{margin_points(margin)} points."
        if margin > 0
        else "",
        "An arrow leads to what lies beyond the axis.",
        left_out(len(shown), len(arms)),
    )
    return [
        Plan(
            kind="slices",
            family=family,
            stem=slug("slices", family, str(page) if page > 1 else ""),
            title=f"{title}, by slice" + (f" ({page} of {len(found)})" if len(found) > 1 else ""),
            caption=caption,
            draw=partial(_draw, f"{title}, by slice", shown, table, some, margin),
        )
        for page, some in enumerate(found, 1)
    ]


def _draw(
    title: str,
    arms: pd.DataFrame,
    table: pd.DataFrame,
    columns: Sequence[tuple[str, str]],
    margin: float,
) -> Figure:
    names = [named(arm) for _, arm in arms.iterrows()]
    wide = min(LABELS, max(map(width_of, names)) + 0.02)
    labels = [wrapped(name, wide) for name in names]
    heights = [height_of(label) for label in labels]
    places = np.cumsum(heights) - np.array(heights) / 2
    high = sum(heights)
    left = EDGE + wide + GAP
    width = (PAGE - left - EDGE) / len(columns)
    panels = [_panel(table, arms.index, column) for column in columns]
    heads = [
        _head(panel, column, width - GAP) for panel, column in zip(panels, columns, strict=True)
    ]
    over = LINE * (max(head.count("\n") for head in heads) + 1) + 0.06
    legend = _legend(pd.concat(panels))
    across, below = legend_columns(legend)
    sheet = Sheet(title, "", PAGE, over + high + 0.46 + below)
    for place, label in zip(places, labels, strict=True):
        sheet.write(left - GAP, over + place, label, ha="right")
    ends = _ends(panels, margin)
    for at, (panel, head) in enumerate(zip(panels, heads, strict=True)):
        sheet.write(left + at * width, over - 0.04, head, va="bottom")
        axes = sheet.axes(left + at * width, over, width - GAP, high)
        axes.set(xlim=ends, ylim=(high, 0), yticks=[], xlabel="points")
        _draw_panel(axes, panel, places, margin)
    sheet.legend(EDGE, over + high + 0.44, legend, across)
    return sheet.figure


def _panel(table: pd.DataFrame, keys: pd.Index, column: tuple[str, str]) -> pd.DataFrame:
    """One slice of all arms, empty lines where an arm lacks it."""
    own = table.xs(column, level=("tag", "value"))
    return own.reindex(keys)


def _head(panel: pd.DataFrame, column: tuple[str, str], width: float) -> str:
    control = panel["control_accuracy"].dropna()
    lines = [
        wrapped(" = ".join(map(str, column)), width),
        wrapped(f"n = {span(panel['n'])}", width),
    ]
    if len(control):
        lines.append(wrapped(f"control {100 * control.iloc[0]:.1f} %", width))
    return "\n".join(lines)


def _ends(panels: Sequence[pd.DataFrame], margin: float) -> tuple[float, float]:
    """Of the axis, the same in all slices."""
    columns = ["difference_value", "difference_low", "difference_high"]
    ends = 100 * pd.concat(panels)[columns].stack().to_numpy()
    return -reach(-ends, 100 * margin), reach(ends, 100 * margin)


def _legend(shown: pd.DataFrame) -> list[Line2D]:
    known = shown[shown["difference_value"].notna()]
    sure = known["p_adjusted"] < SURE
    found = [CHANGED.handle(f"adjusted p below {SURE:g}")] if sure.any() else []
    return found if sure.all() else [*found, UNSURE.handle(f"adjusted p not below {SURE:g}")]


def _draw_panel(axes: Axes, panel: pd.DataFrame, places: np.ndarray, margin: float) -> None:
    axes.grid(axis="x", **LATTICE)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
    axes.spines["left"].set_visible(False)
    draw_margin(axes.axvspan, axes.axvline, margin)
    there = panel["difference_value"].notna().to_numpy()
    panel, places = panel[there], places[there]
    value, low, high = (
        100 * panel[f"difference_{each}"].to_numpy(float) for each in ("value", "low", "high")
    )
    marks = [CHANGED if p < SURE else UNSURE for p in panel["p_adjusted"].fillna(1)]
    colours = [mark.colour for mark in marks]
    axes.hlines(places, low, high, colors=colours, linewidth=1.2)
    draw_points(axes, value, places, marks, size=10)
    draw_arrows(axes, places, np.fmin(low, value), np.fmax(high, value), colours)
