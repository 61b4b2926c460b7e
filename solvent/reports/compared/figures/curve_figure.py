"""Curves of differences: over layers, and over the dose of a numeric setting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from solvent.core.plotting import COLOURS, COLUMN, PAGE
from solvent.reports.compared.arm_texts import margin_points
from solvent.reports.compared.figures import curve_ticks
from solvent.reports.compared.figures.chosen_arms import sentences
from solvent.reports.compared.figures.effect_axes import BAND, LATTICE, draw_margin
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
    LINE,
    counts,
    difference,
    wrapped,
)
from solvent.reports.compared.frames import Comparison

PANELS = 6  # of one figure
HIGH = 1.5  # inches of a panel
BESIDE = 0.5  # inches for ticks and name of the axis to the left
POINTWISE = "difference, with its 95 % interval"
SIMULTANEOUS = "95 % band of the whole curve"
PEAK = "the best, on images that did not choose it"


def curve_plans(comparison: Comparison) -> list[Plan]:
    """One per family and setting, with a panel per curve; more where these do not fit one page."""
    if comparison.curves.empty:
        return []
    arms = comparison.arms.drop_duplicates("key").set_index("key")
    peaks = comparison.peaks.set_index("curve") if len(comparison.peaks) else comparison.peaks
    known = comparison.curves[comparison.curves["difference_value"].notna()]
    plans = []
    for (family, kind, setting), rows in known.groupby(["family", "kind", "setting"], sort=False):
        panels = [
            curve.sort_values("x", kind="stable")
            for _, curve in rows.groupby("curve", sort=False)
            if curve["x"].nunique() > 1
        ]
        own = arms[arms.index.isin(rows["key"])]
        title = str(own["title"].iloc[0]) if len(own) else str(family)
        for page, some in enumerate(portions(panels, PANELS), 1):
            stem = slug(
                kind, family, setting if kind == "dose" else "", str(page) if page > 1 else ""
            )
            plans.append(_plan(stem, kind, title, some, peaks, own["margin"].max()))
    return plans


def _plan(
    stem: str, kind: str, title: str, panels: Sequence[pd.DataFrame], peaks: pd.DataFrame,
    margin: float,
) -> Plan:  # fmt: skip
    curves = pd.concat(panels)
    best = [(panel, _peak(panel, peaks)) for panel in panels]
    banded = curves["band_low"].notna().any()
    setting = "layers" if kind == "layers" else str(curves["setting"].iloc[0])
    title = f"{title}, by {setting}"
    caption = sentences(
        f"Paired difference in accuracy, arm minus control, of {title}, in {AXIS}; "
        f"{counts(curves['n'], 'question')}. Bars: 95 % interval of each point.",
        "Coloured band: simultaneous, 95 % for the whole curve." if banded else
        "There is no simultaneous band: too few images.",
        f"Shaded: the margin of equivalence, ±{margin_points(margin)} points."
        if margin > 0 else "",
        *(_said(panel, peak) for panel, peak in best if peak is not None),
    )  # fmt: skip
    return Plan(
        kind=kind, family=str(curves["family"].iloc[0]), stem=stem, title=title, caption=caption,
        draw=partial(_draw, title, best, setting, margin),
    )  # fmt: skip


def _peak(panel: pd.DataFrame, peaks: pd.DataFrame) -> pd.Series | None:
    curve = panel["curve"].iloc[0]
    found = peaks.loc[[curve]].iloc[0] if curve in peaks.index else None
    there = found is not None and not pd.isna(found["value"]) and found["key"] in set(panel["key"])
    return found if there else None


def _said(panel: pd.DataFrame, peak: pd.Series) -> str:
    measured = difference(peak["value"], peak["low"], peak["high"])
    return (
        f"Of {panel['title'].iloc[0]}, {peak['name']} was best on one half of the images "
        f"({difference(peak['chosen_value'], 0, 0).partition(' ')[0]}); on the other half it "
        f"changes {measured} points ({peak['n']:,.0f} questions)."
    )


def _draw(
    title: str,
    panels: Sequence[tuple[pd.DataFrame, pd.Series | None]],
    setting: str,
    margin: float,
) -> Figure:
    columns = min(2, len(panels))
    total = PAGE if columns > 1 else COLUMN
    width = total / columns - BESIDE - 2 * EDGE
    headings = [wrapped(panel["title"].iloc[0], width, lines=3) for panel, _ in panels]
    over = LINE * (max(each.count("\n") for each in headings) + 1) + 0.04
    below = 0.46 + max(_depth(panel, width) for panel, _ in panels)
    lines = -(-len(panels) // columns)
    legend = _legend(panels, margin)
    across, high = legend_columns(legend, total - 2 * EDGE)
    sheet = Sheet(title, "", total, lines * (over + HIGH + below) + high + 0.1)
    limits = _limits([panel for panel, _ in panels], margin)
    for at, ((panel, peak), heading) in enumerate(zip(panels, headings, strict=True)):
        left = total / columns * (at % columns) + BESIDE + EDGE
        top = (at // columns) * (over + HIGH + below) + over
        sheet.write(left, top - 0.04, heading, va="bottom")
        axes = sheet.axes(left, top, width, HIGH)
        axes.set_ylim(limits)
        axes.set_ylabel("points" if at % columns == 0 else "")
        _draw_curve(axes, panel, peak, margin)
        _set_axis(axes, panel, setting, width)
    sheet.legend(EDGE, lines * (over + HIGH + below) + 0.04, legend, across)
    return sheet.figure


def _depth(panel: pd.DataFrame, width: float) -> float:
    """Inches that names of layers need below the axis, beyond those of one line."""
    labels = _labels(panel)
    places, _ = curve_ticks.layer_places(panel["x"], width)
    if panel["kind"].iloc[0] == "dose" or not curve_ticks.slanted(places, labels):
        return 0.0
    return curve_ticks.depth(labels) - LINE


def _labels(panel: pd.DataFrame) -> list[str]:
    return [curve_ticks.short(str(label)) for label in panel["label"]]


def _limits(panels: Sequence[pd.DataFrame], margin: float) -> tuple[float, float]:
    """The same in all panels, so that they can be compared: all bands and the margin."""
    columns = ["difference_value", "difference_low", "difference_high", "band_low", "band_high"]
    ends = 100 * pd.concat(panels)[columns].stack()
    least = 130 * margin if margin > 0 else 0.5
    low, high = min(ends.min(), -least), max(ends.max(), least)
    beyond = 0.04 * (high - low)
    return low - beyond, high + beyond


def _draw_curve(axes: Axes, panel: pd.DataFrame, peak: pd.Series | None, margin: float) -> None:
    axes.grid(axis="y", **LATTICE)
    axes.set_axisbelow(True)
    draw_margin(axes.axhspan, axes.axhline, margin)
    x, colour = panel["x"], COLOURS[1]
    band = panel.dropna(subset=["band_low", "band_high"])
    axes.fill_between(band["x"], 100 * band["band_low"], 100 * band["band_high"], color=colour,
                      alpha=0.18, linewidth=0)  # fmt: skip
    axes.vlines(x, 100 * panel["difference_low"], 100 * panel["difference_high"], color=colour,
                linewidth=1)  # fmt: skip
    axes.plot(x, 100 * panel["difference_value"], "o-", color=colour, markersize=3, linewidth=1.2)
    if peak is not None:
        place = panel.loc[panel["key"] == peak["key"], "x"].iloc[0]
        aside = axes.transData + ScaledTranslation(0.07, 0, axes.figure.dpi_scale_trans)
        axes.vlines(place, 100 * peak["low"], 100 * peak["high"], color="black", linewidth=0.8,
                    transform=aside)  # fmt: skip
        axes.plot(place, 100 * peak["value"], "*", color="black", markersize=6, transform=aside)


def _set_axis(axes: Axes, panel: pd.DataFrame, setting: str, width: float) -> None:
    labels, x = _labels(panel), list(panel["x"])
    if panel["kind"].iloc[0] == "dose":
        curve_ticks.set_dose_axis(axes, panel["x"])
        curve_ticks.set_dose_ticks(axes, x, labels)
        axes.set_xlabel(wrapped(setting, width, 7.5, lines=1))
        return
    places, limits = curve_ticks.layer_places(panel["x"], width)
    axes.set_xlim(limits)
    slant = curve_ticks.slanted(places, labels)
    curve_ticks.set_layer_ticks(axes, x, places, labels, slant)
    axes.set_xlabel("decoder layers that were changed")


def _legend(panels: Sequence[tuple[pd.DataFrame, pd.Series | None]], margin: float) -> list[Artist]:
    colour = COLOURS[1]
    sure = any(panel["difference_low"].notna().any() for panel, _ in panels)
    label = POINTWISE if sure else "difference"
    found: list[Artist] = [
        Line2D([], [], color=colour, marker="o", markersize=3, linewidth=1.2, label=label)
    ]
    if any(panel["band_low"].notna().any() for panel, _ in panels):
        found.append(Patch(color=colour, alpha=0.18, linewidth=0, label=SIMULTANEOUS))
    if margin > 0:
        found.append(Patch(**BAND, label="margin of equivalence"))
    if any(peak is not None for _, peak in panels):
        found.append(Line2D([], [], color="black", marker="*", markersize=6, linewidth=0.8,
                            label=PEAK))  # fmt: skip
    return found
