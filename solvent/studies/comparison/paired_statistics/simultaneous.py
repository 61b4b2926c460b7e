"""Bands that hold for all arms of a curve at once, and the best arm measured on other clusters.

Axes: N questions, C clusters, L arms, R seeds, F flips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from solvent.core.intervals import CONFIDENCE
from solvent.diagnostics.statistics.estimates import FEW_BOUNDED, FREEDOM
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.paired import (
    Crossed,
    PairedEstimate,
    compare,
    equal_accuracy,
)
from solvent.studies.comparison.paired_statistics.sign_flips import FLIPS, random_signs

FEW_FLIPS = 50.0  # effective clusters from which on the largest |t| of flips is known well enough
SEED = 0

Bands = tuple[Float[np.ndarray, " L"], Float[np.ndarray, " L"]]


def bands(differences: Sequence[Float[np.ndarray, "R N"]], layout: Layout) -> Bands | None:
    """Lower and upper ends of a 95 % band over the arms of one curve: that all true differences lie
    in it.

    From 50 effective clusters on, every arm's interval is widened to the confidence at which the
    largest |t| of all arms stays within its quantile when the signs of the clusters' residuals are
    flipped; from 20 on, and where an arm has several seeds, to 1 - 0.05 / L (Bonferroni). None
    below, or where one cluster decides alone.

    Args:
        differences: of every arm, as for `compare`.
        layout: of the questions.
    """
    found = [compare(each, layout).evidence for each in differences]
    items = found[0].items
    if items.effective < FEW_BOUNDED or items.freedom < FREEDOM:
        return None
    confidence = _joint_confidence(found)
    ends = [each.interval(confidence) for each in found]
    lows, highs = np.array(ends, dtype=float).T
    return lows, highs


def _joint_confidence(found: Sequence[Crossed]) -> float:
    """Of every arm's interval, so that 95 % of curves lie within them."""
    together = 1 - (1 - CONFIDENCE) / len(found)
    if found[0].items.effective < FEW_FLIPS or any(each.seeds > 1 for each in found):
        return together
    means = [each.items for each in found]
    residuals = np.column_stack([each.sums - each.mean * each.sizes for each in means])
    largest = _largest_t(residuals[:, (residuals != 0).any(axis=0)])
    tail = student.sf(largest, len(residuals) - 1)
    return min(max(CONFIDENCE, 1 - 2 * tail), together)


def _largest_t(residuals: Float[np.ndarray, "C L"]) -> float:
    """95 % quantile of the largest |t| over arms, restudentised in every flip."""
    if not residuals.shape[1]:
        return 0.0
    clusters = len(residuals)
    scaled = (residuals / np.sqrt((residuals**2).sum(axis=0))).astype(np.float32)
    parts = [((signs @ scaled) ** 2).max(axis=1) for signs in random_signs(clusters)]
    squares = np.sort(np.concatenate(parts))
    most = float(squares[int(np.ceil(CONFIDENCE * FLIPS)) - 1])
    return float(np.sqrt((clusters - 1) / clusters * most / max(1 - most / clusters, 1e-12)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Peak:
    """The best arm of a curve, chosen on half of the clusters and measured on the other half."""

    arm: int  # its place in the curve
    chosen_value: float  # its difference in the half that chose it
    estimate: PairedEstimate  # in the other half
    p: float | None  # of equal accuracy there


def held_out_peak(
    differences: Sequence[Float[np.ndarray, "R N"]], layout: Layout, seed: int = SEED
) -> Peak | None:
    """The arm with the greatest difference, without the optimism of having been chosen. None where
    there is only one cluster.

    Args:
        differences: of every arm, as for `compare`.
        layout: of the questions.
        seed: by which clusters are split in halves.
    """
    clusters = len(layout.sizes)
    if clusters < 2:
        return None
    shuffled = np.random.default_rng(seed).permutation(clusters)
    chosen, measured = (
        layout.only(np.sort(half))
        for half in (shuffled[: clusters // 2], shuffled[clusters // 2 :])
    )
    values = [float(np.atleast_2d(each)[:, chosen[0]].mean()) for each in differences]
    best = int(np.argmax(values))
    estimate = compare(np.atleast_2d(differences[best])[:, measured[0]], measured[1])
    (p,) = equal_accuracy([estimate])
    return Peak(arm=best, chosen_value=values[best], estimate=estimate, p=p)
