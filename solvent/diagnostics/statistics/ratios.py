"""Intervals of quantities that are not plain means: ratios, angles, coefficients.

Axes: N samples, J values of each, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from solvent.core.statistics import resampled
from solvent.diagnostics.statistics.estimates import Estimate, cluster_sums, few, of_ends

LEVELS = (0.025, 0.975)  # verdicts, too: values without bounds need the 95 % interval


def function_of_means(
    values: Float[np.ndarray, "N J"],
    clusters: Int[np.ndarray, " N"],
    function: Callable[[Float[np.ndarray, "R J"]], Float[np.ndarray, " R"]],
) -> Estimate | None:
    """A function of J means, with a percentile bootstrap over whole clusters. A verdict needs as
    many effective clusters as that on a mean.

    None where the function has no value; resamples in which it has none are left out. Source:
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    if len(values) == 0:
        return None
    sums = np.column_stack([cluster_sums(column, clusters)[0] for column in values.T])
    sizes = cluster_sums(values[:, 0], clusters)[1]
    table = np.column_stack([sums, sizes])
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(function(values.mean(axis=0)[None])[0])
        drawn = resampled(table, np.zeros(len(sizes), dtype=int))
        spread = function(drawn[:, :-1] / drawn[:, -1:])
    if not np.isfinite(value):
        return None
    ends = np.quantile(spread[np.isfinite(spread)], LEVELS)
    return of_ends(value, (*ends, *ends), len(values), len(sizes), few(clusters))


def fieller(
    numerator: float,
    denominator: float,
    covariance: Float[np.ndarray, "2 2"],
    samples: int,
    clusters: int,
) -> Estimate | None:
    """The ratio of two estimated numbers, with Fieller's interval, t with clusters - 1 freedoms.

    The interval holds every ratio r for which numerator - r denominator may be 0. None where the
    denominator itself may be 0 at 95 %: no bounded interval exists then.

    Source: Fieller (1954), Some problems in interval estimation,
    https://doi.org/10.1111/j.2517-6161.1954.tb00159.x.
    """
    if clusters < 2:
        return None
    ends = []
    for level in (0.975, 0.95):
        t2 = student.ppf(level, clusters - 1) ** 2
        squared = denominator**2 - t2 * covariance[1, 1]
        if squared <= 0:
            return None
        middle = numerator * denominator - t2 * covariance[0, 1]
        rest = numerator**2 - t2 * covariance[0, 0]
        half = np.sqrt(max(middle**2 - squared * rest, 0.0))
        ends += [float((middle - half) / squared), float((middle + half) / squared)]
    low, high, lower, upper = ends
    return of_ends(numerator / denominator, (low, high, lower, upper), samples, clusters)


def coefficient(
    value: float, error: float, samples: int, clusters: int, doubt: str | None = None
) -> Estimate:
    """A regression coefficient from its standard error, t with clusters - 1 freedoms."""
    ends = value + student.ppf(LEVELS, clusters - 1) * error
    return of_ends(value, (*ends, *ends), samples, clusters, doubt)
