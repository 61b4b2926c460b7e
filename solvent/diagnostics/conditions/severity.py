"""Curves over severity: how large, how steady, how surely rising. Pure functions.

Axes: N samples, S severities, ascending.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import page_trend_test
from sklearn.isotonic import IsotonicRegression

from solvent.diagnostics.statistics.estimates import cluster_sums

MOST_ROWS = 500  # independent samples that the trend is tested on
FLAT = 1e-12  # spread below which a curve has no shape


def area(
    severities: Float[np.ndarray, " S"], moved: Float[np.ndarray, "N S"]
) -> Float[np.ndarray, " N"]:
    """Area under a curve over the severities that were run, divided by their range: in [0, 1]."""
    return np.trapezoid(moved, severities, axis=1) / (severities[-1] - severities[0])


def monotonicity(
    severities: Float[np.ndarray, " S"], moved: Float[np.ndarray, "N S"]
) -> float | None:
    """Share of the mean curve's variance that a never-falling curve explains, in [0, 1].

    None where the mean curve is flat. Source: isotonic least squares, Barlow and others (1972),
    Statistical inference under order restrictions.
    """
    rows = np.isfinite(moved).all(axis=1)
    mean = moved[rows].mean(axis=0) if rows.any() else np.zeros(len(severities))
    spread = ((mean - mean.mean()) ** 2).sum()
    if spread < FLAT:
        return None
    fitted = IsotonicRegression(increasing=True).fit_transform(severities, mean)
    return float(1 - ((mean - fitted) ** 2).sum() / spread)


def trend(moved: Float[np.ndarray, "N S"], clusters: Int[np.ndarray, " N"]) -> float | None:
    """One-sided p of no trend against a rising one, by Page's test on means of clusters.

    The severity 0, where nothing can move, is left out. None with fewer than three severities or
    two clusters. Source: Page (1963), https://doi.org/10.1080/01621459.1963.10500843.
    """
    rows = np.isfinite(moved).all(axis=1)
    if moved.shape[1] < 4 or len(np.unique(clusters[rows])) < 2:
        return None
    curves = [np.divide(*cluster_sums(column, clusters[rows])) for column in moved[rows, 1:].T]
    table = np.round(np.column_stack(curves)[:MOST_ROWS], 12)  # rounding must not rank ties
    return float(page_trend_test(table, method="asymptotic").pvalue)
