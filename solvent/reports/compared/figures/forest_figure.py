"""Forest plot: the paired difference of every arm of a family, beside the margin of equivalence,
with its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from solvent.reports.compared.arm_texts import margin_points
from solvent.reports.compared.figures.chosen_arms import (
    NO_INTERVAL,
    against_control,
    clearest,
    left_out,
    named,
    seeds_too,
    sentences,
)
from solvent.reports.compared.figures.figure_plan import Plan, portions, slug
from solvent.reports.compared.figures.ladder import Rung, draw_ladder, rows_of_a_page
from solvent.reports.compared.figures.lettering import AXIS, asked, difference, percent, span
from solvent.reports.compared.figures.verdict_marks import mark_of
from solvent.reports.compared.frames import Comparison

MOST = 120  # arms of a family
SECTIONS = {"primary": "registered", "explored": "explored", "positive control":
            "positive control: a known harm"}  # fmt: skip


def forest_plans(comparison: Comparison) -> list[Plan]:
    """One per family, more where its arms do not fit one page."""
    controls = comparison.arms[comparison.arms["role"] == "control"].set_index("family")
    assay = _assay(comparison)
    plans = []
    for family, arms in against_control(comparison).groupby("family", sort=False):
        control = controls.loc[[family]].iloc[0] if family in controls.index else None
        shown = clearest(arms, MOST)
        said = left_out(len(shown), len(arms))
        plans += _family(family, shown, control, said, assay.get(family, ""))
    return plans


def _assay(comparison: Comparison) -> dict[str, str]:
    """By family, whether the benchmark would notice."""
    if comparison.assay.empty:
        return {}
    known = comparison.assay.dropna(subset=["sentence"])
    return dict(zip(known["family"], known["sentence"], strict=True))


def _family(
    family: str, arms: pd.DataFrame, control: pd.Series | None, said: str, assay: str
) -> list[Plan]:
    compared = f"minus {control['name']}" if control is not None else "minus its control"
    columns, roles = _columns(arms, compared), arms["role"].nunique() > 1
    rungs = [
        _rung(arm, columns, SECTIONS[role] if roles else "")
        for role in SECTIONS
        for _, arm in arms[arms["role"] == role].iterrows()
    ]
    title, margin = str(arms["title"].iloc[0]), arms["margin"].max()
    score = _score(control)
    about = ", ".join(filter(None, (score, asked(arms))))
    caption = sentences(
        f"Paired difference in accuracy, arm {compared}, of {title}, in {AXIS}, with 95 % "
        f"intervals over {seeds_too(arms)}; {asked(arms)}.",
        f"Shaded: the margin of equivalence, ±{margin_points(margin)} points."
        if margin > 0
        else "",
        f"{score}." if score else "",
        "An arrow leads to what lies beyond the axis.",
        NO_INTERVAL if arms["difference_low"].isna().any() else "",
        assay,
        said,
    )
    found = portions(rungs, rows_of_a_page([rung.label for rung in rungs]))
    return [
        Plan(
            kind="forest",
            family=family,
            stem=slug("forest", family, str(page) if page > 1 else ""),
            title=title + (f" ({page} of {len(found)})" if len(found) > 1 else ""),
            caption=caption,
            draw=partial(
                draw_ladder,
                title=title,
                subtitle=about,
                rungs=portion,
                headings=tuple(columns),
                margin=margin,
                axis=AXIS,
            ),
        )
        for page, portion in enumerate(found, 1)
    ]


def _columns(arms: pd.DataFrame, compared: str) -> dict[str, Callable[[pd.Series], str]]:
    """What stands beside the arms, by heading: how an arm's text is made."""
    columns = {
        f"{compared} [95 %]": lambda arm: difference(
            arm["difference_value"], arm["difference_low"], arm["difference_high"]
        )
    }
    if arms["n"].nunique() > 1:
        columns["n"] = lambda arm: span(pd.Series([arm["n"]]))
    if arms["verdict"].notna().any():
        columns["verdict"] = lambda arm: "–" if pd.isna(arm["verdict"]) else arm["verdict"]
    return columns


def _rung(arm: pd.Series, columns: Mapping[str, Callable[[pd.Series], str]], section: str) -> Rung:
    return Rung(
        label=named(arm),
        value=arm["difference_value"],
        low=arm["difference_low"],
        high=arm["difference_high"],
        section=section,
        mark=mark_of(arm["verdict"]),
        beside=tuple(text(arm) for text in columns.values()),
    )


def _score(control: pd.Series | None) -> str:
    if control is None or pd.isna(control["score_value"]):
        return ""
    score = percent(control["score_value"], control["score_low"], control["score_high"])
    chance = "" if pd.isna(control["chance"]) else f", chance {100 * control['chance']:.1f} %"
    return f"{control['name']}: {control['score_name']} {score}{chance}"
