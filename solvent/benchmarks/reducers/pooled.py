"""Ratios of sums over all rows, with their intervals over clusters."""

from __future__ import annotations

from typing import Any

import numpy as np

from solvent.core.intervals import SHARE, Bounds, Clustered


def pooled(
    tops: np.ndarray,
    bottoms: np.ndarray,
    n: int,
    *,
    nothing: float | None = None,
    bounds: Bounds | None = SHARE,
) -> dict[str, Any]:
    """The sum of `tops` over that of `bottoms`, one of each per cluster, with its interval.

    Args:
        tops: for a share, how many of what `bottoms` counts.
        bottoms: at least 0.
        n: rows.
        nothing: the value where the lower sum is 0; None: undefined.
        bounds: of the ratio of one row; None: it has none.
    """
    low, high = bounds or (None, None)
    tops, bottoms = tops[bottoms > 0], bottoms[bottoms > 0]
    if not len(bottoms):
        return {"value": nothing, "low": low, "high": high, "interval": "unknown", "n": n}
    ratio = Clustered(tops, bottoms, tops, bounds)
    found = ratio.interval()
    low, high = found or (low, high)
    interval = "clustered" if found else "unknown"
    return {"value": ratio.mean, "low": low, "high": high, "interval": interval, "n": n}
