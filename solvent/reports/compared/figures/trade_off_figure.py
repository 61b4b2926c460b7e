"""Trade-off: how well an arm scores, against how much attention the image kept."""

from __future__ import annotations

from functools import partial

import pandas as pd

from solvent.reports.compared.figures.chosen_arms import (
    against_control,
    clearest,
    named,
    seeds_too,
    sentences,
)
from solvent.reports.compared.figures.figure_plan import Plan, slug
from solvent.reports.compared.figures.lettering import AXIS, asked, percent
from solvent.reports.compared.figures.mass_scatter import (
    BARS,
    Level,
    View,
    draw_masses,
    styles_of,
)
from solvent.reports.compared.frames import Comparison

MOST = 28  # series with a name of their own
MASS = (
    "against the visual mass that it leaves: the share of attention that the image receives, after "
    "the change over before it, mean over all layers"
)


def overview_plans(comparison: Comparison) -> list[Plan]:
    """One of all families, where there are several and any arm changes the visual mass."""
    rows = _measured(against_control(comparison))
    return [] if rows["family"].nunique() < 2 or _flat(rows) else [_all_families(rows)]


def trade_off_plans(comparison: Comparison) -> list[Plan]:
    """One per family, as far as the visual mass was measured and any arm changes it."""
    arms = against_control(comparison)
    sizes = arms["family"].value_counts()
    controls = comparison.arms[comparison.arms["role"] == "control"].drop_duplicates("family")
    plans = []
    for family, rows in _measured(arms).groupby("family", sort=False):
        if not _flat(rows):
            control = controls[controls["family"] == family]
            plans.append(_one_family(str(family), rows, control, sizes[family] - len(rows)))
    return plans


def _measured(arms: pd.DataFrame) -> pd.DataFrame:
    """Those of which the visual mass is known, with the share of it that is `kept`."""
    arms = arms.assign(kept=arms["visual_mass_after"] / arms["visual_mass_before"])
    return arms[arms["kept"].between(0, float("inf"), inclusive="left")]


def _flat(rows: pd.DataFrame) -> bool:
    """Whether there is no trade-off to see: nothing changes the visual mass."""
    return rows["kept"].round(3).nunique() < 2


def _points(rows: pd.DataFrame, what: str, series: pd.Series) -> pd.DataFrame:
    """In percent, as `View` wants them."""
    columns = [f"{what}_{each}" for each in ("value", "low", "high")]
    points = (100 * rows[columns]).set_axis(["value", "low", "high"], axis=1)
    points = points.assign(
        kept=rows["kept"], series=series, harm=rows["role"] == "positive control"
    )
    return points[points["value"].notna()]


def _all_families(rows: pd.DataFrame) -> Plan:
    by = rows["title"] if rows["title"].nunique() <= MOST else rows["model"]
    names = list(dict.fromkeys(by))
    view = View(
        title="Visual mass and accuracy, all families",
        points=_points(rows, "difference", by),
        styles=styles_of(names[:MOST], names[:MOST]),
        axis="points of accuracy",
        margin=float(rows["margin"].max()),
    )
    shown = (
        f"Lines: 95 % intervals over {seeds_too(rows)}."
        if len(rows) <= BARS
        else "Intervals would hide the points; they stand in the forest plots."
    )
    caption = sentences(
        f"Paired difference in accuracy of every arm minus its control, in {AXIS}, {MASS}; "
        f"{asked(rows)} in each family.",
        shown,
    )
    return _plan("trade-off-all", view, caption)


def _one_family(family: str, rows: pd.DataFrame, control: pd.DataFrame, missing: int) -> Plan:
    series = pd.Series([named(arm) for _, arm in rows.iterrows()], index=rows.index)
    few = clearest(rows, MOST)
    title, name = str(rows["title"].iloc[0]), str(rows["score_name"].iloc[0])
    points = _points(rows, "score", series)
    view = View(
        title=f"{title}: visual mass and {name}",
        points=points,
        styles=styles_of(series[few.index], few["intervention"]),
        axis=f"{name}, %",
        levels=_levels(control, points),
    )
    caption = sentences(
        f"{name.capitalize()} of every arm of {title}, in percent, with 95 % intervals over "
        f"{seeds_too(rows)}, {MASS}; {asked(rows)}.",
        "Line and grey band: the control with its interval." if view.levels else "",
        "Points that would hide each other stand side by side." if len(points) <= BARS else "",
        f"Named are {len(few)} of {len(rows):,} arms, the clearest."
        if len(few) < len(rows)
        else "",
        f"Arms left out whose visual mass was not measured: {missing:,}." if missing else "",
    )
    return _plan(slug("trade-off", family), view, caption, family)


def _plan(stem: str, view: View, caption: str, family: str = "") -> Plan:
    return Plan(
        kind="trade-off", family=family, stem=stem, title=view.title, caption=caption,
        draw=partial(draw_masses, view),
    )  # fmt: skip


def _levels(control: pd.DataFrame, points: pd.DataFrame) -> list[Level]:
    """The control's score, and chance where scores come near it."""
    if control.empty or pd.isna(control["score_value"].iloc[0]):
        return []
    arm = control.iloc[0]
    score = percent(arm["score_value"], arm["score_low"], arm["score_high"])
    ends = 100 * arm["score_low"], 100 * arm["score_high"]
    height, chance = 100 * arm["score_value"], 100 * arm["chance"]
    levels = [Level(label=f"{arm['name']}: {score}", height=height, ends=ends)]
    low, high = points["value"].min(), max(points["value"].max(), height)
    if low - chance < (high - low) / 2:
        levels.append(Level(label=f"chance: {chance:.1f} %", height=chance, dash=":"))
    return levels
