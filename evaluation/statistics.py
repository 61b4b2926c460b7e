"""Paired comparison of two cells that answered the same samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.types import Prediction

RESAMPLES = 5000


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean credit of one cell minus that of another, over the same samples."""

    value: float  # in [-1, 1]
    low: float  # 95 % interval, cluster bootstrap over images
    high: float
    n: int  # samples
    clusters: int  # images
    p: float  # two-sided exact McNemar test of equal accuracy, samples taken as independent


def paired_difference(
    treated: Sequence[Prediction], baseline: Sequence[Prediction]
) -> PairedDifference:
    """Compare two cells sample by sample.

    The interval is a percentile cluster bootstrap (Field and Welsh 2007,
    https://doi.org/10.1111/j.1467-9868.2007.00593.x): samples that share an image are drawn
    together. The test is McNemar's (1947), https://doi.org/10.1007/BF02295996.

    Raises `ValueError` when the two cells did not answer the same samples.
    """
    ours, theirs = ({row.uid: row for row in rows} for rows in (treated, baseline))
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"cells can be paired only over the same samples; {len(ours.keys() ^ theirs.keys())} "
            f"of {len(ours.keys() | theirs.keys())} occur in one of them only"
        )
    clusters: dict[str, list[float]] = defaultdict(list)
    for uid, row in ours.items():
        clusters[row.groups.get("image", uid)].append(row.credit - theirs[uid].credit)
    sums = np.array([sum(values) for values in clusters.values()])
    sizes = np.array([len(values) for values in clusters.values()])
    drawn = np.random.default_rng(0).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES
    )
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), (0.025, 0.975))
    differences = [value for values in clusters.values() for value in values]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return PairedDifference(
        value=float(sums.sum() / sizes.sum()),
        low=float(low),
        high=float(high),
        n=len(differences),
        clusters=len(clusters),
        p=float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
    )
