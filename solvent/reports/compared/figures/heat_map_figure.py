"""Heat map: what every arm changes, of every model on every benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from solvent.core.plotting import PAGE
from solvent.reports.compared.figures.chosen_arms import against_control, sentences
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
    asked,
    points,
    width_of,
    wrapped,
)
from solvent.reports.compared.figures.verdict_marks import handles, mark_of
from solvent.reports.compared.frames import Comparison

TITLE = "What every arm changes"
LABELS, BAR = 2.2, 0.75  # inches of names at most, and of the scale to the right
COLUMNS, ROWS = 7, 40  # of one figure
MOST = 3 * ROWS  # arms
SCALE = LinearSegmentedColormap.from_list(  # red is worse, blue better; safe for the colour-blind
    "worse to better", matplotlib.colormaps["RdBu"](np.linspace(0.1, 0.9, 257))
)
DARK = 0.5  # luminance below which letters are white
HATCH = {"facecolor": "white", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What several pages share.

    Attributes:
        values: differences and verdicts by name and family.
        heads: `over` (benchmark) and `label` (model) of every family.
        reach: points at which colours end.
    """

    values: pd.DataFrame
    heads: pd.DataFrame
    reach: float


def heat_map_plans(comparison: Comparison) -> list[Plan]:
    """Several where arms or families do not fit one; none for a single family, whose forest plot
    shows the same.
    """
    arms = against_control(comparison)
    if arms["family"].nunique() < 2:
        return []
    size = arms["difference_value"].abs()
    largest = size.groupby(arms["name"], sort=False).max()
    kept = largest[largest.index.isin(largest.nlargest(MOST).index)].index
    values = arms.drop_duplicates(["name", "family"]).set_index(["name", "family"])
    reach = 100 * max(float(size.quantile(0.8)), 2 * np.nan_to_num(arms["margin"].max()), 0.005)
    grid = Grid(values=values, heads=_heads(arms), reach=reach)
    found = [
        (rows, families)
        for families in portions(list(grid.heads.index), COLUMNS)
        for rows in portions(list(kept), ROWS)
    ]
    said = f"Shown are the {len(kept):,} of {len(largest):,} arms that change most."
    return [
        Plan(
            kind="heat map",
            stem=slug("heat-map", str(page) if page > 1 else ""),
            title=TITLE + (f" ({page} of {len(found)})" if len(found) > 1 else ""),
            caption=sentences(
                f"Paired difference in accuracy, arm minus control, in {AXIS}, and its verdict; "
                f"{asked(arms)} in each. White is no change; colours end at ±{reach:.1f} points; "
                "hatched: not run. The intervals stand in the forest plots and in the tables.",
                said if len(kept) < len(largest) else "",
            ),
            shades=True,
            draw=partial(_draw, grid, rows, families),
        )
        for page, (rows, families) in enumerate(found, 1)
    ]


def _heads(arms: pd.DataFrame) -> pd.DataFrame:
    """By benchmark, model below; where that names two families alike, by their titles."""
    families = arms.drop_duplicates("family").set_index("family")
    if families.duplicated(["benchmark", "model"]).any():
        return pd.DataFrame({"over": "", "label": families["title"]})
    order = {name: at for at, name in enumerate(dict.fromkeys(families["benchmark"]))}
    families = families.sort_values("benchmark", key=lambda each: each.map(order), kind="stable")
    return pd.DataFrame({"over": families["benchmark"], "label": families["model"]})


def _draw(grid: Grid, rows: Sequence[str], families: Sequence[str]) -> Figure:
    wide = min(LABELS, max(map(width_of, rows)) + 0.02)
    labels = [wrapped(name, wide) for name in rows]
    edges = np.cumsum([0.0, *(LINE * (label.count("\n") + 1) + 0.09 for label in labels)])
    left = EDGE + wide + GAP
    cell = (PAGE - left - BAR) / len(families)
    heads = [wrapped(grid.heads.at[each, "label"], cell - 0.06) for each in families]
    head = LINE * (max(each.count("\n") for each in heads) + 1) + 0.06
    over = LINE + 0.1 if grid.heads["over"].any() else 0.0
    shown = grid.values.reindex(pd.MultiIndex.from_product([rows, families]))
    legend = [*handles(shown["verdict"]), *_hatched(shown)]
    columns, below = legend_columns(legend) if legend else (1, 0.0)
    sheet = Sheet(TITLE, "", PAGE, over + head + edges[-1] + below + 0.15)
    axes = sheet.axes(left, over + head, cell * len(families), edges[-1])
    _fill(axes, shown, edges, len(families), grid.reach)
    for at, label in enumerate(labels):
        middle = over + head + (edges[at] + edges[at + 1]) / 2
        sheet.write(left - GAP, middle, label, ha="right")
    for at, label in enumerate(heads):
        sheet.write(left + cell * (at + 0.5), over + head - 0.04, label, ha="center", va="bottom")
    _write_over(sheet, list(grid.heads.loc[list(families), "over"]), left, cell)
    _draw_scale(sheet, grid.reach, over + head, edges[-1])
    if legend:
        sheet.legend(EDGE, over + head + edges[-1] + 0.08, legend, columns)
    return sheet.figure


def _hatched(shown: pd.DataFrame) -> list[Patch]:
    missing = shown["difference_value"].isna().any()
    return [Patch(**(HATCH | {"linewidth": 0.5}), label="not run")] if missing else []


def _fill(
    axes: Axes, shown: pd.DataFrame, edges: Sequence[float], columns: int, reach: float
) -> None:
    norm = Normalize(-reach, reach)
    values = 100 * shown["difference_value"].to_numpy(float).reshape(-1, columns)
    axes.set(xlim=(0, columns), ylim=(edges[-1], 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.pcolormesh(
        np.arange(columns + 1), edges, np.ma.masked_invalid(values), cmap=SCALE, norm=norm,
        edgecolors="white", linewidth=0.8,
    )  # fmt: skip
    verdicts = shown["verdict"].to_numpy().reshape(-1, columns)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.add_patch(Rectangle((column, edges[row]), 1, np.diff(edges)[row], **HATCH))
            continue
        red, green, blue, _ = SCALE(norm(value))
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        text = f"{points(value / 100)} {mark_of(verdicts[row, column]).sign}".strip()
        axes.text(
            column + 0.5, (edges[row] + edges[row + 1]) / 2, text, ha="center", va="center",
            fontsize=7, color="white" if light < DARK else "black",
        )  # fmt: skip


def _write_over(sheet: Sheet, over: Sequence[str], left: float, cell: float) -> None:
    """The benchmark, once over all its models."""
    starts = [at for at, each in enumerate(over) if at == 0 or each != over[at - 1]]
    for start, end in zip(starts, [*starts[1:], len(over)], strict=True):
        if over[start]:
            name = wrapped(over[start], cell * (end - start) - 0.06, lines=1)
            sheet.write(left + cell * (start + end) / 2, LINE / 2, name, ha="center")
            sheet.line(left + cell * start + 0.05, left + cell * end - 0.05, LINE + 0.05)


def _draw_scale(sheet: Sheet, reach: float, top: float, high: float) -> None:
    high = min(high, 2.0)
    axes = sheet.axes(PAGE - BAR + 0.12, top + 0.08, 0.1, max(0.3, high - 0.16))
    bar = sheet.figure.colorbar(
        ScalarMappable(Normalize(-reach, reach), SCALE), cax=axes, extend="both"
    )
    bar.outline.set_visible(False)
    bar.set_label("points")
