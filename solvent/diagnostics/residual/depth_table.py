"""Measures of decoder layers as means over samples, by layer, by third of the decoder, and overall.

Axes: N samples, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.diagnostics.statistics.estimates import Estimate, estimate

BANDS = ("early", "middle", "late")  # thirds of the decoder
ENDS = ("value", "low", "high")


def depth_table(
    measured: Mapping[str, Float[np.ndarray, "N L"]], clusters: Int[np.ndarray, " N"]
) -> dict[str, dict[str, Any]]:
    """By name: value, low and high of every layer, and of every third of the decoder.

    None where nothing is defined, or where there are too few images for an interval.
    """
    return {
        name: {
            "layers": _columns([mean_over(each[:, None], clusters) for each in values.T]),
            "bands": _columns([mean_over(part, clusters) for part in thirds(values)]),
        }
        for name, values in measured.items()
    }


def thirds(values: Float[np.ndarray, "N L"]) -> list[Float[np.ndarray, "N some"]]:
    """Early, middle and late layers; the later thirds take what does not divide."""
    return np.array_split(values[:, ::-1], len(BANDS), axis=1)[::-1]


def mean_over(
    values: Float[np.ndarray, "N some"], clusters: Int[np.ndarray, " N"]
) -> Estimate | None:
    """Mean over the layers where it is defined in every sample, then over samples, with an
    interval over images; None where it is defined nowhere.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    there = count > 0
    return estimate(sums[there] / count[there], clusters[there])


def _columns(means: list[Estimate | None]) -> dict[str, list[float | None]]:
    return {end: [None if mean is None else getattr(mean, end) for mean in means] for end in ENDS}
