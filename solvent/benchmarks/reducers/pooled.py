"""Ratios of sums over all rows, with their intervals over clusters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from solvent.core.statistics import percentiles, wilson


def pooled(value: float, values: np.ndarray, clusters: int, n: int) -> dict[str, Any]:
    """A share with its interval; undefined (None) where it is a share of nothing.

    Args:
        value: of all rows, in [0, 1], or nan.
        values: of resamples of the clusters; nan where one holds nothing that it is a share of.
        clusters: how many there are.
        n: rows.
    """
    if math.isnan(value):
        return {"value": None, "low": 0.0, "high": 1.0, "interval": "unknown", "n": n}
    if clusters == 1:
        low, high, interval = 0.0, 1.0, "unknown"
    elif value in (0.0, 1.0):  # resampling would show no spread
        low, high = wilson(int(value) * clusters, clusters)
        interval = "wilson_clusters"
    else:
        low, high = percentiles(values[~np.isnan(values)])
        interval = "bootstrap"
    return {"value": value, "low": low, "high": high, "interval": interval, "n": n}
