"""Own picture against those of other questions: is what a picture does due to which one it is?

Axes: N samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import DIFFERENCE
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import measured
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, estimate, p_above
from solvent.diagnostics.statistics.floors import Gap, mean_gap
from solvent.diagnostics.swaps import SWAPS

OTHER = "swap"
RIGHT_MARGIN = 0.02  # probability of the right option that the own picture must surely add


def over_others(statistic: Gap, answers: Answers) -> Float[np.ndarray, " N"]:
    """A statistic under `real` minus its mean under a sample's swaps; NaN where it has none."""
    if not any(name in answers.scores for name in SWAPS):
        return np.full(len(answers), np.nan)
    return statistic("real") - mean_gap(statistic, answers, SWAPS)


def right_contrast(answers: Answers) -> Float[np.ndarray, " N"]:
    """P(right option) with the own picture minus its mean with others, in [-1, 1].

    A model that reacts to there being a picture, whichever it is, has 0.
    """
    rows = np.arange(len(answers))
    return over_others(lambda name: answers.probabilities(name)[rows, answers.gold], answers)


@dataclass(frozen=True, kw_only=True)
class Due:
    """Whether what an image wins is due to which image it is."""

    contrast: Estimate | None  # P(right option) with the own picture minus that with one other
    p_value: float | None  # of a mean at most `RIGHT_MARGIN`

    def gate(self, verdict: Verdict) -> Verdict:
        """A PASS needs a contrast that is surely above the margin. Where it surely is not, a model
        that ignores its pictures would pass as well; where nothing is known, nothing is settled.
        """
        if verdict != "PASS":
            return verdict
        own = decide(self.contrast, RIGHT_MARGIN)
        gates: dict[Verdict, Verdict] = {"PASS": "PASS", "FAIL": "VACUOUS"}
        return gates.get(own, "INCONCLUSIVE")

    def unless(self, verdict: Verdict) -> str:
        """What a reason adds where the verdict is not left as it is; else nothing."""
        if self.gate(verdict) == verdict:
            return ""
        if self.contrast is None:
            return "; but no picture of another question was shown to compare with"
        return (
            "; but with its own picture instead of another one the right option is likelier by "
            f"{measured(self.contrast)}"
        )


def due_to_own(answers: Answers) -> Due:
    """Of samples whose right option is that of their own picture, as conflicts are."""
    if OTHER not in answers.scores or not len(answers):
        return Due(contrast=None, p_value=None)
    rows = np.arange(len(answers))
    own, other = (answers.probabilities(name)[rows, answers.gold] for name in (REFERENCE, OTHER))
    known = np.isfinite(own - other)
    values, clusters = (own - other)[known], answers.clusters[known]
    return Due(
        contrast=estimate(values, clusters, DIFFERENCE),
        p_value=p_above(values, clusters, RIGHT_MARGIN, DIFFERENCE),
    )


def either(*claims: tuple[Estimate | None, float]) -> Verdict:
    """PASS where one mean is surely above its margin, FAIL where all are surely below theirs.

    A picture that answers another question as clearly as its own one leaves entropy and confidence
    as they are, and the right option does not; so one of two claims is enough. Each is held to its
    95 % interval (97.5 % one-sided), because there are two chances.
    """
    known = [(mean, margin) for mean, margin in claims if mean is not None]
    sure = [(mean, margin) for mean, margin in known if mean.doubt is None and mean.low is not None]
    if any(mean.low > margin for mean, margin in sure if mean.low is not None):
        return "PASS"
    below = [mean.high is not None and mean.high < margin for mean, margin in sure]
    return "FAIL" if claims and len(sure) == len(claims) and all(below) else "INCONCLUSIVE"


def p_of_either(*p_values: float | None) -> float | None:
    """p of the hypothesis that neither claim of `either` holds, by Bonferroni; None where one has
    none.
    """
    known = [p for p in p_values if p is not None]
    return min(1.0, len(known) * min(known)) if known and len(known) == len(p_values) else None


def agreed(verdicts: Mapping[str, Verdict], first: str) -> Verdict:
    """What is said against the first way to have no image, unless two ways say the opposite."""
    if {"PASS", "FAIL"} <= set(verdicts.values()):
        return "INCONCLUSIVE"
    return verdicts[first]
