"""Means of many quantities at once, one per layer and head, with intervals over clusters.

Axes: N samples, C clusters (independent units), L layers, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import false_discovery_control, t

SAME = 1e-4  # a mean this close to the value it is compared with is that value: float32 upstream


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Means with cluster-robust errors; NaN where nothing was measured."""

    value: Float[np.ndarray, "L H"]
    error: Float[np.ndarray, "L H"]  # standard error of the mean
    clusters: int

    @property
    def interval(self) -> tuple[Float[np.ndarray, "L H"], Float[np.ndarray, "L H"]]:
        """95 %, Student's with (clusters - 1) degrees of freedom; the mean itself for one."""
        reach = self.error * t.ppf(0.975, max(self.clusters - 1, 1))
        return self.value - reach, self.value + reach

    def differs(self, expected: float, rate: float) -> Bool[np.ndarray, "L H"]:
        """Which means differ from a value, with a share of false ones of at most `rate`.

        Two-sided t-tests, adjusted over all layers and heads. Source: Benjamini and Hochberg
        (1995), https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
        """
        gap = np.abs(self.value - expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * t.sf(gap / self.error, max(self.clusters - 1, 1))
        p = np.where(gap <= SAME, 1.0, p)
        known = np.isfinite(self.value)
        found = np.zeros(self.value.shape, dtype=bool)
        if known.any() and self.clusters > 1:
            found[known] = false_discovery_control(p[known]) <= rate
        return found

    def lists(self) -> dict[str, list[list[float | None]]]:
        """Mean and interval as plain lists, None for NaN."""
        low, high = self.interval
        return {"value": plain(self.value), "low": plain(low), "high": plain(high)}


def table(values: Float[np.ndarray, "N L H"], clusters: Int[np.ndarray, " N"]) -> Table:
    """Mean over samples. Samples that have nothing at all are left out.

    The error is that of a ratio of sums over clusters, with the factor C / (C - 1) for few of them.
    Source: Cameron and Miller (2015), https://doi.org/10.3368/jhr.50.2.317.
    """
    present = np.isfinite(values).any(axis=(1, 2))
    values, units = values[present], np.unique(clusters[present], return_inverse=True)[1]
    count = int(units.max()) + 1 if len(units) else 0
    if count == 0:
        nothing = np.full(values.shape[1:], np.nan)
        return Table(value=nothing, error=nothing, clusters=0)
    mean = values.mean(axis=0, dtype=float)
    gaps = np.zeros((count, *mean.shape))
    np.add.at(gaps, units, values - mean)
    factor = count / (count - 1) if count > 1 else 0.0
    error = np.sqrt(factor * (gaps**2).sum(axis=0)) / len(values)
    return Table(value=mean, error=error, clusters=count)


def plain(values: np.ndarray) -> list[Any]:
    """Nested lists of numbers, None where a value is not finite."""
    return np.where(np.isfinite(values), values.astype(object), None).tolist()
