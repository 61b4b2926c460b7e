"""The difference of two scores that are no plain means: macro means, F1, both answers of a pair.

Axes: N questions, C clusters, R seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
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
    score: Score, layout: Layout, by_seed: Sequence[float] = (), seed: int = SEED
) -> ScoreDifference | None:
    """By the jackknife over groups of clusters (Efron and Stein 1981): the variance is
    (G - 1) / G times the sum of squared deviations of the differences without one group from their
    mean, and the quantile is that of t with G - 1 degrees of freedom. One effective question at
    each bound of a difference is added to the variance, as in `solvent.core.intervals`, so that two
    scores which agree on a few questions are not certain to agree on all. Seeds are crossed with
    questions, as in `compare`.

    No interval below 20 effective clusters, or where a score without some group is no number; None
    where the score itself is none.

    Args:
        score: of the arm (mean over seeds) and of its control, given the numbers of the questions
            to score.
        layout: of the questions.
        by_seed: the difference of scores of every seed over all questions, where there are several.
        seed: by which clusters are shared out.
    """
    value = _difference(score, np.arange(layout.questions))
    if not np.isfinite(value):
        return None
    clusters, sizes = len(layout.sizes), layout.sizes
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    groups = np.array_split(
        np.random.default_rng(seed).permutation(clusters), min(GROUPS, clusters)
    )
    nothing = ScoreDifference(value=value, low=None, high=None, groups=len(groups))
    if effective < FEW_BOUNDED:
        return nothing
    everything = np.arange(clusters)
    without = np.array(
        [_difference(score, layout.rows_of(np.setdiff1d(everything, each))) for each in groups]
    )
    if not np.isfinite(without).all():
        return nothing
    count = len(groups)
    spread = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    variance = spread + 2 / (effective + 2) ** 2
    seeds = len(by_seed)
    between = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    parts = [(float(np.sqrt(variance)), count - 1.0)]
    parts += with_seeds(variance, count - 1.0, between, seeds)
    half = max(float(student.ppf(0.5 + CONFIDENCE / 2, freedom)) * e for e, freedom in parts)
    return ScoreDifference(
        value=value, low=max(-1.0, value - half), high=min(1.0, value + half), groups=count
    )


def _difference(score: Score, rows: Int[np.ndarray, " M"]) -> float:
    arm, control = score(rows)
    return float(arm) - float(control)
