"""What holds over benchmarks, models or both: random-effects means with prediction intervals."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.lines import Line2D

from solvent.reports.compared.arm_texts import margin_points
from solvent.reports.compared.figures.chosen_arms import against_control, sentences
from solvent.reports.compared.figures.figure_plan import Plan, portions, slug
from solvent.reports.compared.figures.ladder import Rung, draw_ladder, rows_of_a_page
from solvent.reports.compared.figures.lettering import AXIS, difference, span
from solvent.reports.compared.figures.verdict_marks import GREY
from solvent.reports.compared.frames import Comparison

OVER = {"both": "models and benchmarks", "benchmarks": "benchmarks", "models": "models"}


def summary_plans(comparison: Comparison) -> list[Plan]:
    """One per way to summarise that has an estimate, more where they do not fit one page."""
    there = comparison.summaries
    if there.empty:
        return []
    margin = against_control(comparison)["margin"].max()
    there = there[there["value"].notna()]
    return [
        plan
        for over in OVER
        if (rows := there[there["over"] == over]).size
        for plan in _plans(over, rows.sort_values("of", kind="stable"), margin)
    ]


def _plans(over: str, rows: pd.DataFrame, margin: float) -> list[Plan]:
    predicted = bool(rows["prediction_low"].notna().any())
    rungs = [_rung(row, predicted) for _, row in rows.iterrows()]
    found = portions(rungs, rows_of_a_page([rung.label for rung in rungs]))
    title = f"All {OVER[over]} together"
    caption = sentences(
        f"Random-effects summary over {OVER[over]} of each arm's paired difference in accuracy, in "
        f"{AXIS}: thick the 95 % interval of the mean (Hartung-Knapp), k of how many families: "
        f"{span(rows['k'])}.",
        "Thin: the 95 % prediction interval of one more family, where it can be estimated."
        if predicted
        else "There are too few families for prediction intervals.",
        f"Shaded: the margin of equivalence, ±{margin_points(margin)} points."
        if margin > 0
        else "",
        "An arrow leads to what lies beyond the axis.",
    )
    legend = [Line2D([], [], color=GREY, linewidth=1.6, label="95 % interval of the mean")]
    if predicted:
        legend.append(Line2D([], [], color=GREY, linewidth=0.7, label="95 % prediction interval"))
    return [
        Plan(
            kind="summary",
            stem=slug("summary", over, str(page) if page > 1 else ""),
            title=title + (f" ({page} of {len(found)})" if len(found) > 1 else ""),
            caption=caption,
            draw=partial(
                draw_ladder,
                title=title,
                subtitle="random effects: what an arm changes on average, and next time",
                rungs=portion,
                headings=("mean [95 %]", *(("prediction",) if predicted else ()), "k"),
                margin=margin,
                axis=AXIS,
                legend=legend,
            ),
        )
        for page, portion in enumerate(found, 1)
    ]


def _rung(row: pd.Series, predicted: bool) -> Rung:
    outer = row["prediction_low"], row["prediction_high"]
    ends = "–" if pd.isna(outer[0]) else difference(row["value"], *outer).partition(" ")[2]
    return Rung(
        label=str(row["name"]),
        value=row["value"],
        low=row["low"],
        high=row["high"],
        section=str(row["of"] or ""),
        outer=outer,
        beside=(
            difference(row["value"], row["low"], row["high"]),
            *((ends,) if predicted else ()),
            f"{row['k']:.0f}",
        ),
    )
