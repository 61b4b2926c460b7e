"""A verdict per arm, by rule, and the sentence that a paper could print.

Margins and names follow trials of equivalence and non-inferiority (Piaggio et al. 2012, CONSORT,
https://doi.org/10.1001/jama.2012.87802): WORSE is a loss beyond the margin, EQUIVALENT lies inside
it on both sides (two one-sided tests, Schuirmann 1987, https://doi.org/10.1007/BF01068419), NOT
INFERIOR on the lower one, BETTER is above zero. What fails is not shown; that is no verdict on the
arm. Equivalence and non-inferiority need a benchmark that would notice a harm (assay sensitivity,
ICH E10): a set that the model answers without its picture shows nothing about attention to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solvent.reports.compared.arm_texts import margin_points, points
from solvent.reports.compared.frames import Verdict
from solvent.studies.comparison.paired_statistics.margin_claims import Claims
from solvent.studies.comparison.paired_statistics.paired import PairedEstimate

ENDS = ("value", "low", "high")
ALPHA = 0.05
OF = {
    "WORSE": "worse than {control} by more than the margin of {margin} points",
    "EQUIVALENT": "equivalent to {control} within {margin} points",
    "NOT INFERIOR": "not inferior to {control} by the margin of {margin} points",
    "BETTER": "better than {control}",
    "NOT SHOWN": "neither equivalence within {margin} points nor a loss beyond them is shown",
}


@dataclass(frozen=True, kw_only=True)
class Assay:
    """Whether a benchmark would notice that a model does not look."""

    shown: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def margin_of(accuracy: float, chance: float, margin: float, share: float | None) -> float:
    """The margin of equivalence: as registered, or as a share of what the control is above chance,
    whichever is smaller. At or below chance there is nothing to take a share of.

    Args:
        accuracy: of the control, in [0, 1].
        chance: in [0, 1].
        margin: in accuracy.
        share: of the difference of the two; None: the margin alone counts.
    """
    above = accuracy - chance
    return margin if share is None or above <= 0 else min(margin, share * above)


def judge(
    claims: Claims,
    estimate: PairedEstimate,
    margin: float,
    assay: Assay,
    needed: int,
    equal: float | None,
) -> Judged:
    """The verdict.

    Args:
        claims: p of each, corrected for how many were made.
        estimate: of the difference; its `level` is the p below which a claim is shown.
        margin: of equivalence.
        assay: of the benchmark.
        needed: questions that would show equivalence were there no difference.
        equal: p of equal accuracy, corrected.
    """

    def shown(p: float | None) -> bool:
        return p is not None and p < estimate.level

    if estimate.doubt:
        return Judged(verdict="NOT SHOWN", reason=estimate.doubt)
    if shown(claims.p_worse):
        return Judged(verdict="WORSE", reason="the loss is surely beyond the margin")
    if shown(claims.p_equivalent) and assay.shown:
        lean = " (and surely above zero)" if shown(claims.p_better) else ""
        return Judged(verdict="EQUIVALENT", reason=f"surely inside the margin{lean}")
    if shown(claims.p_better):
        return Judged(verdict="BETTER", reason="surely above zero")
    if shown(claims.p_not_inferior):
        if assay.shown:
            return Judged(verdict="NOT INFERIOR", reason="surely above the lower margin")
        return Judged(
            verdict="NOT SHOWN", reason=f"no loss beyond the margin, but {assay.sentence}"
        )
    return Judged(verdict="NOT SHOWN", reason=_open(estimate, margin, assay, needed, equal))


def _open(
    estimate: PairedEstimate, margin: float, assay: Assay, needed: int, equal: float | None
) -> str:
    """Why neither is shown, and what would show it."""
    if alone := _alone(estimate, margin):
        return f"the interval lies {alone}, but that is not sure once corrected for all arms"
    lost = estimate.value < 0 and equal is not None and equal < ALPHA
    if estimate.value <= -margin:
        if lost:
            return "a loss is sure, but not that it is beyond the margin"
        return "a loss may or may not be there, and be beyond the margin"
    if estimate.value >= margin:
        return "the gain that was seen is beyond the margin, but not surely above zero"
    if lost:
        return "a loss is sure, but not that it is within the margin"
    if needed <= estimate.n:  # the difference itself lies near the margin
        return "the interval reaches beyond the margin"
    noticing = "" if assay.shown else f", and {assay.sentence}"
    return f"too few questions: equivalence would take about {needed:,}{noticing}"


def _alone(estimate: PairedEstimate, margin: float) -> str | None:
    """What the interval would show were this the only arm."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return None
    if high < -margin:
        return "beyond the margin"
    if low > -margin:
        return "inside the margin" if high < margin else "above the lower margin"
    return None


def sentence(arm: Mapping[str, Any]) -> str:
    """What a paper could print of an arm, by its line of `Comparison.arms`."""
    value, low, high = (points(arm[f"difference_{end}"]).replace("-", "−") for end in ENDS)
    margin = margin_points(arm["margin"])
    said = OF[arm["verdict"]].format(control=arm["control"], margin=margin)
    known = not math.isnan(arm["difference_low"])
    interval = f"95 % interval {low} to {high}" if known else "no interval"
    draws = f", {arm['seeds']} seeds" if arm["seeds"] > 1 else ""
    images = f" about {counted(arm['clusters'], 'image')}" if arm["clusters"] != arm["n"] else ""
    why = f" ({arm['reason']})" if arm["verdict"] == "NOT SHOWN" else ""
    name = arm["name"].replace(", layers ", " in layers ").replace(", shown ", " shown ")
    return (
        f"On {arm['benchmark']}, {name} changes the accuracy of {arm['model']} by {value} "
        f"points ({interval}; {counted(arm['n'], 'question')}{images}{draws}): {said}{why}."
    )


def counted(number: int, noun: str) -> str:
    """`1 image`, `3,000 images`"""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
