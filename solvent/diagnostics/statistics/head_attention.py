"""What the image gets of the attention of every layer and head, beside what it does.

Axes: N samples, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import SHARE
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.layer_means import table
from solvent.diagnostics.statistics.distances import jensen_shannon_bits
from solvent.diagnostics.statistics.estimates import Estimate, estimate
from solvent.diagnostics.stored_shares import ANSWER, GROUPS, IMAGE, PLACES, Shares

Metrics = dict[str, Estimate | float | int | None]


def attention(
    answers: Answers, shares: Mapping[str, Shares], discoveries: float
) -> tuple[Metrics, dict[str, Any]]:
    """What the image gets as the sample is, and what it does: E and J."""
    metrics: Metrics = {}
    for name, other in (("effect_bits", "knock"), ("dependency_bits", "swap")):
        rows = answers.valid(REFERENCE, other)
        pair = (answers.probabilities(condition)[rows] for condition in (REFERENCE, other))
        metrics[name] = estimate(jensen_shannon_bits(*pair), answers.clusters[rows], SHARE)
    if REFERENCE not in shares:
        return metrics, {}
    found = shares[REFERENCE].at(answers.uids)
    quantities = {
        "mass": found.mass[..., IMAGE],
        "effective": found.effective[..., IMAGE],
        "lift": found.lift,
        "first": found.mass[..., GROUPS.index("first")],
    }
    heads: dict[str, Any] = {}
    for place, place_name in enumerate(PLACES):
        for name, values in quantities.items():
            here = values[..., place]
            metrics[f"{name}_{place_name}"] = _overall(here, answers.clusters)
            heads[f"{name}_{place_name}"] = table(here, answers.clusters).lists()
    lifts = table(found.lift[..., ANSWER], answers.clusters)
    differs = lifts.differs(1.0, discoveries)
    metrics["heads_above_count"] = int((differs & (lifts.value > 1)).sum())
    metrics["heads_below_count"] = int((differs & (lifts.value < 1)).sum())
    metrics["heads"] = int(np.isfinite(lifts.value).sum())
    return metrics, {"heads": heads, "lift_differs_from_1": differs.tolist()}


def _overall(
    values: Float[np.ndarray, "N L H"],
    clusters: Int[np.ndarray, " N"],
) -> Estimate | None:
    """Mean over layers and heads that have the quantity, with an interval over samples."""
    known = np.isfinite(values)
    count = known.sum(axis=(1, 2))
    means = np.where(known, values, 0.0).sum(axis=(1, 2), dtype=float) / np.maximum(count, 1)
    return estimate(means[count > 0], clusters[count > 0])
