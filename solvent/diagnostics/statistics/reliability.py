"""How far confidence and being right agree. Pure functions, axis N samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri
from scipy.stats import rankdata

from solvent.core.intervals import wilson

BINS = 15
NORMAL = float(ndtri(0.975))
DIGITS = 9  # confidences equal to here are equal


def brier(p: Float[np.ndarray, "N K"], gold: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Half the squared distance between probabilities and the right answer, in [0, 1].

    Source: Brier (1950), Monthly Weather Review 78; halved so that it ends at 1.
    """
    return ((p - np.eye(p.shape[1])[gold]) ** 2).sum(axis=1) / 2


def reliability(
    confidence: Float[np.ndarray, " N"], credit: Float[np.ndarray, " N"]
) -> list[Mapping[str, float]]:
    """Mean confidence and mean credit, with Wilson's interval, in 15 equal-mass bins.

    Equal confidences stand in one bin, so that the order of samples does not matter; bins may be
    empty and are then left out.
    """
    ranks = rankdata(np.round(confidence, DIGITS))
    bins = np.minimum((BINS * (ranks - 0.5) / len(ranks)).astype(int), BINS - 1)
    points = []
    for each in np.unique(bins):
        rows = bins == each
        low, high = wilson(float(credit[rows].mean()), int(rows.sum()), NORMAL)
        points.append(
            {
                "confidence": float(confidence[rows].mean()),
                "accuracy": float(credit[rows].mean()),
                "low": low,
                "high": high,
                "n": int(rows.sum()),
            }
        )
    return points


def calibration_error(points: list[Mapping[str, float]]) -> float:
    """Mean over samples of |confidence - accuracy| of their bin, in [0, 1].

    It is biased upward by about the noise of a bin, and has no interval for that reason: compare it
    between conditions, not with 0. Source: Naeini, Cooper and Hauskrecht (2015),
    https://doi.org/10.1609/aaai.v29i1.9602.
    """
    total = sum(each["n"] for each in points)
    return sum(each["n"] * abs(each["confidence"] - each["accuracy"]) for each in points) / total


def discrimination(
    confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """One value per sample whose mean is the area under the ROC curve of right against wrong.

    The spread of their mean over samples is that of the area to first order. NaN when all answers
    are right or all are wrong. Source: DeLong, DeLong and Clarke-Pearson (1988),
    https://doi.org/10.2307/2531595.
    """
    wins, losses = right.sum(), (~right).sum()
    if not wins or not losses:
        return np.full(len(right), np.nan)
    rounded = np.round(confidence, DIGITS)
    everywhere, placed = rankdata(rounded), np.empty(len(right))
    for group, others in ((right, losses), (~right, wins)):
        placed[group] = (everywhere[group] - rankdata(rounded[group])) / others
    placed[~right] = 1 - placed[~right]  # share of the right ones that lie above
    area = placed[right].mean()
    return area + (placed - area) * len(right) / np.where(right, wins, losses)
