"""What the sections of the page show, made of the frames of a comparison; templates only write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from solvent.reports.compared.arm_texts import Line, by_family, lines
from solvent.reports.compared.frames import VERDICTS, Comparison
from solvent.reports.compared.page.arm_columns import SETS
from solvent.reports.compared.page.effect_tables import heat_map, slice_table
from solvent.reports.compared.page.family_plots import curves, forest, trade_off
from solvent.reports.compared.page.usage_cards import usage

ARMS = 1_500  # lines on the page: a browser grows slow beyond
ROLES = ("control", "primary", "positive control", "explored")  # in the order in which they matter


def sections(comparison: Comparison) -> dict[str, Any]:
    """By the names that the templates use."""
    titles = {each[0]["family"]: each[0]["title"] for each in by_family(comparison.arms)}
    every = [{**arm, "title": titles[arm["family"]]} for arm in lines(comparison.arms)]
    arms = _foremost(every)
    by_key = {arm["key"]: arm for arm in arms}
    compared = [arm for arm in every if arm["role"] != "control"]
    measured = [arm for arm in arms if arm.get("difference_value") is not None]
    return {
        "study": comparison.study,
        "baseline": comparison.baseline,
        "arms": arms,
        "arms_left_out": len(every) - len(arms),
        "by_key": by_key,
        "compared": len(compared),
        "primaries": [arm for arm in compared if arm["role"] == "primary"],
        "counts": _counts(compared),
        "verdicts": VERDICTS,
        "roles": [role for role in ROLES if any(arm["role"] == role for arm in arms)],
        "models": _distinct(every, "model"),
        "benchmarks": _distinct(every, "benchmark"),
        "sets": SETS,
        "titles": titles,
        "families": _families(comparison, arms, by_key),
        "heat": heat_map(measured, titles) if measured else None,
        "summaries": lines(comparison.summaries),
        "measures": lines(comparison.measures),
        "peaks": lines(comparison.peaks),
        "assay": lines(comparison.assay),
        "remarks": list(comparison.remarks),
        "usage": usage(comparison.usage),
        "provenance": dict(comparison.provenance),
    }


def _foremost(arms: Sequence[Line]) -> list[Line]:
    """As many as the page shows, in their order; those that matter most are kept."""
    if len(arms) <= ARMS:
        return list(arms)
    ranked = sorted(range(len(arms)), key=lambda place: (ROLES.index(arms[place]["role"]), place))
    return [arms[place] for place in sorted(ranked[:ARMS])]


def _distinct(arms: Sequence[Line], key: str) -> list[str]:
    return list(dict.fromkeys(str(arm[key]) for arm in arms))


def _counts(arms: Sequence[Line]) -> list[tuple[str, int, str]]:
    """Per verdict the number of arms, and how many of them are registered or known harms."""
    every = Counter(arm["verdict"] for arm in arms)
    among = Counter((arm["verdict"], arm["role"]) for arm in arms)

    def told(verdict: str) -> str:
        registered, harms = among[verdict, "primary"], among[verdict, "positive control"]
        parts = [f"{registered:,} registered"] if registered else []
        parts += [f"{harms:,} known harm{'' if harms == 1 else 's'}"] if harms else []
        return ", ".join(parts)

    return [(verdict, every[verdict], told(verdict)) for verdict in VERDICTS]


def _families(
    comparison: Comparison, arms: Sequence[Line], by_key: Mapping[str, Line]
) -> list[dict[str, Any]]:
    """Per family all that is drawn of it."""
    drawn = _grouped(lines(comparison.curves), lambda line: line["family"])
    slices = [line for line in lines(comparison.slices) if line["key"] in by_key]
    sliced = _grouped(slices, lambda line: by_key[line["key"]]["family"])
    return [
        {
            "title": held[0]["title"],
            "model": held[0]["model"],
            "benchmark": held[0]["benchmark"],
            "forest": forest(held),
            "curves": curves(drawn.get(family, []), by_key),
            "trade_off": trade_off(held),
            "slices": slice_table(
                sliced.get(family, []), [arm for arm in held if arm["role"] != "control"]
            ),
        }
        for family, held in _grouped(arms, lambda arm: arm["family"]).items()
    ]


def _grouped(every: Sequence[Line], of: Callable[[Line], str]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in every:
        found.setdefault(of(line), []).append(line)
    return found
