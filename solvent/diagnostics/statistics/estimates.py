"""Means with intervals over samples that may share an image, and verdicts against a margin.

Axes: N samples, C clusters (independent units).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from solvent.core.statistics import CHUNK, RESAMPLES, SEED, resampled, wilson

FEW_CLUSTERS = 30  # below, intervals are marked unreliable
BCA_CLUSTERS = 500  # below, intervals are bias-corrected and accelerated
ROUNDING = 1e-12  # spread of values below which it is rounding and they are equal

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "VACUOUS", "NOT APPLICABLE", "ERROR"]
"""VACUOUS: the inequality holds, but a model that ignores the image would meet it as well."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over samples; it never travels without its interval."""

    value: float
    low: float  # 95 % interval
    high: float
    lower: float  # one-sided 95 % bounds, which verdicts are made of
    upper: float
    n: int  # samples
    clusters: int  # independent units among them
    reliable: bool  # at least 30 clusters


def estimate(values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]) -> Estimate | None:
    """Mean with a bootstrap over whole clusters; None without samples.

    BCa below 500 clusters, percentile from there. Sources: Efron (1987),
    https://doi.org/10.1080/01621459.1987.10478410; Davison and Hinkley (1997), section 3.8.
    """
    return _means(values[:, None], clusters)[0] if len(values) else None


def estimate_columns(
    columns: Mapping[str, Float[np.ndarray, " N"]], clusters: Int[np.ndarray, " N"]
) -> dict[str, Estimate | None]:
    """`estimate` of many values per sample, each over the samples that have it (NaN: has not).

    Columns that the same samples have share their resamples, which is what makes it fast.
    """
    sharing: dict[bytes, list[str]] = defaultdict(list)
    for name, values in columns.items():
        sharing[np.isnan(values).tobytes()].append(name)
    found: dict[str, Estimate | None] = dict.fromkeys(columns)
    for names in sharing.values():
        rows = ~np.isnan(columns[names[0]])
        if rows.any():
            values = np.column_stack([columns[name][rows] for name in names])
            found |= zip(names, _means(values, clusters[rows]), strict=True)
    return found


def estimate_ratio(
    tops: Float[np.ndarray, " N"],
    bottoms: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
) -> Estimate | None:
    """Ratio of two means over the same samples, of which the lower one is no mean of negatives.

    None where fewer than 30 clusters have a lower value above 0: it may then be 0 in a resample.
    """
    above, below = (cluster_sums(values, clusters)[0] for values in (tops, bottoms))
    if (below > 0).sum() < FEW_CLUSTERS:
        return None
    return _ratios(above[:, None], below, len(tops))[0]


def proportion(hits: Bool[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]) -> Estimate | None:
    """Share of samples with Wilson's score interval; None without samples.

    Clusters are the trials: exact when the samples of a cluster agree, wide when they do not.
    Unlike a bootstrap, it knows that a share of 1 among few samples is uncertain.
    Source: Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953.
    """
    if len(hits) == 0:
        return None
    share, units = float(hits.mean()), len(np.unique(clusters))
    (low, high), (lower, upper) = (
        wilson(share * units, units, confidence) for confidence in (0.95, 0.9)
    )
    return Estimate(
        value=share,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        n=len(hits),
        clusters=units,
        reliable=units >= FEW_CLUSTERS,
    )


def _means(values: Float[np.ndarray, "N T"], clusters: Int[np.ndarray, " N"]) -> list[Estimate]:
    sums = [cluster_sums(column, clusters) for column in values.T]
    return _ratios(np.column_stack([top for top, _ in sums]), sums[0][1], len(values))


def _ratios(
    tops: Float[np.ndarray, "C T"], bottom: Float[np.ndarray, " C"], samples: int
) -> list[Estimate]:
    """Sum of every column over that of `bottom`, with intervals from the same resamples."""
    count = len(bottom)
    drawn = resampled(np.column_stack([tops, bottom]), np.zeros(count, dtype=int))
    return [
        _ratio(np.column_stack([top, bottom]), drawn[:, [column, -1]], samples)
        for column, top in enumerate(tops.T)
    ]


def _ratio(
    table: Float[np.ndarray, "C 2"], drawn: Float[np.ndarray, "R 2"], samples: int
) -> Estimate:
    value, count = float(np.divide(*table.sum(axis=0))), len(table)
    levels = (0.025, 0.975, 0.05, 0.95)
    low, high, lower, upper = [value] * 4
    if count > 1 and not np.allclose(table[:, 0], value * table[:, 1], rtol=0.0, atol=ROUNDING):
        ratios = np.divide(*drawn.T)
        if count < BCA_CLUSTERS:
            levels = _accelerated(levels, ratios, value, table)
        low, high, lower, upper = map(float, np.quantile(ratios, levels))
    return Estimate(
        value=value,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        n=samples,
        clusters=count,
        reliable=count >= FEW_CLUSTERS,
    )


def decide(mean: Estimate | None, margin: float) -> Verdict:
    """PASS when the mean is surely above the margin, FAIL when surely below it."""
    if mean is None:
        return "NOT APPLICABLE"
    if mean.lower > margin:
        return "PASS"
    return "FAIL" if mean.upper < margin else "INCONCLUSIVE"


def weakest(*verdicts: Verdict) -> Verdict:
    """What holds of conditions that must all hold: one FAIL fails, one doubt leaves doubt."""
    order: tuple[Verdict, ...] = ("ERROR", "NOT APPLICABLE", "FAIL", "INCONCLUSIVE", "VACUOUS")
    return next((verdict for verdict in order if verdict in verdicts), "PASS")


def _accelerated(
    levels: Sequence[float],
    drawn: Float[np.ndarray, " R"],
    value: float,
    table: Float[np.ndarray, "C 2"],
) -> Sequence[float]:
    """Levels of a percentile interval, corrected for bias and skewness (Efron 1987, eq. 6.8)."""
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if not 0 < below < 1:
        return levels
    without = np.divide(*(table.sum(axis=0) - table).T)  # the mean without each cluster
    gaps = without.mean() - without
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    shifted = norm.ppf(below) + norm.ppf(levels)
    return norm.cdf(norm.ppf(below) + shifted / (1 - acceleration * shifted))


def sign_flip(values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]) -> float:
    """One-sided p of a mean above 0: the signs of cluster sums are exchangeable under the null.

    Source: Fisher's randomisation test of paired differences, on clusters; as many random flips as
    `RESAMPLES`, the observed one among them. `scipy.stats.permutation_test` draws other flips,
    which would change p-values that are stored, and takes 40 times as long for 9,000 clusters.
    """
    sums, _ = cluster_sums(values, clusters)
    generator, total, exceeding = np.random.default_rng(SEED), sums.sum(), 1
    step = max(1, CHUNK // len(sums))
    for start in range(1, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        signs = 1.0 - 2.0 * generator.integers(2, size=(rows, len(sums)))
        exceeding += int((signs @ sums >= total - 1e-12 * np.abs(sums).sum()).sum())
    return exceeding / RESAMPLES


def holm(p_values: Sequence[float]) -> list[float]:
    """Family-wise adjusted p-values. Source: Holm (1979), https://www.jstor.org/stable/4615733."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def cluster_sums(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Sum of the values in every cluster, and how many there are."""
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, values), np.bincount(index).astype(float)
