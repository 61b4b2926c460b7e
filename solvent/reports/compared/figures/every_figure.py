"""All figures of a comparison: which are drawn where a study has more than anyone looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib

from solvent.core.plotting import PAPER
from solvent.reports.compared.figures.chosen_arms import with_floats
from solvent.reports.compared.figures.curve_figure import curve_plans
from solvent.reports.compared.figures.figure_plan import WITHOUT_CLOCK, Drawn, Plan, save
from solvent.reports.compared.figures.forest_figure import forest_plans
from solvent.reports.compared.figures.heat_map_figure import heat_map_plans
from solvent.reports.compared.figures.slice_figure import slice_plans
from solvent.reports.compared.figures.summary_figure import summary_plans
from solvent.reports.compared.figures.trade_off_figure import overview_plans, trade_off_plans
from solvent.reports.compared.frames import Comparison

KINDS: tuple[Callable[[Comparison], list[Plan]], ...] = (
    heat_map_plans,
    forest_plans,
    summary_plans,
    overview_plans,
    curve_plans,
    trade_off_plans,
    slice_plans,
)
PER_FAMILY = (forest_plans, curve_plans, trade_off_plans, slice_plans)
MOST = 48  # figures of one comparison


def draw_all(
    comparison: Comparison, folder: Path, formats: Sequence[str] = ("png", "pdf")
) -> list[Drawn]:
    """Draw what there is to show, kind by kind.

    Args:
        comparison: equal ones give equal files.
        folder: of the files; it is made.
        formats: "png", "pdf" or "svg".

    Raises:
        ValueError: another format.
    """
    if unknown := set(formats) - WITHOUT_CLOCK.keys():
        raise ValueError(
            f"expected figures as {', '.join(WITHOUT_CLOCK)}, got {', '.join(sorted(unknown))}: "
            "leave it out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(PAPER):
        return [save(plan, folder, formats) for plan in chosen_plans(comparison)]


def chosen_plans(comparison: Comparison) -> list[Plan]:
    """At most `MOST`, of every kind about equally many; the last of a kind says what was left
    out.
    """
    if comparison.arms.empty:
        return []
    given = with_floats(comparison)
    few, there = _first_families(given), given.arms["family"].nunique()
    found = [kind(few if kind in PER_FAMILY else given) for kind in KINDS]
    taken = [0] * len(found)
    while sum(taken) < min(MOST, sum(map(len, found))):
        for at, plans in enumerate(found):
            if sum(taken) < MOST:
                taken[at] = min(taken[at] + 1, len(plans))
    chosen = [_cut(plans, number, there) for plans, number in zip(found, taken, strict=True)]
    return _told_apart([plan for plans in chosen for plan in plans])


def _first_families(comparison: Comparison) -> Comparison:
    """Those that could be drawn one by one; to look at thousands would take longer than to draw."""
    arms, curves, slices = comparison.arms, comparison.curves, comparison.slices
    families = dict.fromkeys(arms["family"])
    if len(families) <= MOST:
        return comparison
    arms = arms[arms["family"].isin(list(families)[:MOST])]
    curves = curves[curves["family"].isin(arms["family"])] if len(curves) else curves
    slices = slices[slices["key"].isin(arms["key"])] if len(slices) else slices
    return replace(comparison, arms=arms, curves=curves, slices=slices)


def _cut(plans: Sequence[Plan], number: int, families: int) -> list[Plan]:
    """The first ones.

    Args:
        plans: of one kind.
        number: of those that are kept.
        families: of the comparison.
    """
    kept = list(plans[:number])
    if not kept:
        return []
    shown = len({plan.family for plan in kept})
    said = ""
    if kept[0].family and shown < families and (number < len(plans) or families > MOST):
        said = f"Such a figure is drawn of {shown:,} of {families:,} families"
    elif number < len(plans):
        said = f"{len(plans) - number:,} more such figures are not drawn"
    if said:
        caption = f"{kept[-1].caption} {said}; all numbers are in the tables."
        kept[-1] = replace(kept[-1], caption=caption)
    return kept


def _told_apart(plans: Sequence[Plan]) -> list[Plan]:
    """Stems that would be the same are numbered."""
    seen: dict[str, int] = {}
    found = []
    for plan in plans:
        number = seen[plan.stem] = seen.get(plan.stem, 0) + 1
        found.append(replace(plan, stem=f"{plan.stem}-{number}") if number > 1 else plan)
    return found
