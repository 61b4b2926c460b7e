"""The difference of two scores that are no plain means: macro means, F1, both answers of a pair.

Axes: N questions, C clusters, G groups of clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from solvent.core.intervals import CONFIDENCE
from solvent.diagnostics.statistics.estimates import FEW_BOUNDED
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.paired import with_seeds

GROUPS = 50  # of clusters that are left out together: so many scores are computed
SEED = 0
Score = Callable[[Int[np.ndarray, " M"]], tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class ScoreDifference:
    """Score of an arm minus that of its control, over the same questions."""

    value: float
    low: float | None  # 95 % interval over clusters; None where there is none
    high: float | None
    groups: int  # of clusters, each left out once


def score_difference(
    score: Score,
    layout: Layout,
    by_seed: Sequence[float] = (),
    pulls: Float[np.ndarray, " N"] | None = None,
    seed: int = SEED,
) -> ScoreDifference | None:
    """By the jackknife over groups of clusters (Efron and Stein 1981): the variance is
    (G - 1) / G times the sum of squared deviations of the differences without one group from their
    mean. The quantile is that of t with as many degrees of freedom as the fourth powers of these
    deviations leave: G - 1, fewer where few groups make most of the variance. One effective
    question at each bound of a difference is added to the variance, as in `solvent.core.intervals`,
    so that two scores which agree on a few questions are not certain to agree on all. Seeds are
    crossed with questions, as in `compare`.

    No interval below 20 effective clusters, or where a score without some group is no number; None
    where the score itself is none.

    Args:
        score: of the arm (mean over seeds) and of its control, given the numbers of the questions
            to score.
        layout: of the questions.
        by_seed: the difference of scores of every seed over all questions, where there are several.
        pulls: by how much the score rises with a question's credit, where questions count unequally
            (in a mean over categories, 1 / (categories x questions of its category)). Without them
            few questions of a small category are trusted too much.
        seed: by which clusters are shared out.
    """
    value = _difference(score, np.arange(layout.questions))
    if not np.isfinite(value):
        return None
    weights = layout.sizes if pulls is None else layout.sums(pulls)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    without = _without_groups(score, layout, seed) if effective >= FEW_BOUNDED else np.array([])
    count = len(without)
    if not count or not np.isfinite(without).all():
        return ScoreDifference(value=value, low=None, high=None, groups=count)
    squares = (without - without.mean()) ** 2
    variance = (count - 1) / count * float(squares.sum()) + 2 / (effective + 2) ** 2
    seeds = len(by_seed)
    between = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    freedom = _freedom(squares)
    parts = [(float(np.sqrt(variance)), freedom), *with_seeds(variance, freedom, between, seeds)]
    half = max(float(student.ppf(0.5 + CONFIDENCE / 2, each)) * error for error, each in parts)
    return ScoreDifference(
        value=value, low=max(-1.0, value - half), high=min(1.0, value + half), groups=count
    )


def _without_groups(score: Score, layout: Layout, seed: int) -> Float[np.ndarray, " G"]:
    """The difference without each of at most 50 groups of clusters."""
    clusters = len(layout.sizes)
    shuffled = np.random.default_rng(seed).permutation(clusters)
    groups = np.array_split(shuffled, min(GROUPS, clusters))
    kept = [np.setdiff1d(shuffled, each) for each in groups]
    return np.array([_difference(score, layout.rows_of(each)) for each in kept])


def _freedom(squares: Float[np.ndarray, " G"]) -> float:
    """Of a variance that is their sum: 2 sum(d^2)^2 / (sum(d^4) - sum(d^2)^2 / G), G of normal
    deviations, about 2 where one is all.
    """
    count, total = len(squares), float(squares.sum())
    excess = float((squares**2).sum()) - total**2 / count
    return min(count - 1.0, max(1.0, 2 * total**2 / excess)) if excess > 0 else count - 1.0


def _difference(score: Score, rows: Int[np.ndarray, " M"]) -> float:
    arm, control = score(rows)
    return float(arm) - float(control)
