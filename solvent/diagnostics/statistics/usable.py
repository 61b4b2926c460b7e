"""How well answers predict the right option once their confidence is fitted.

Axes: N samples, K options of the sample that has most.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.model_selection import GroupKFold


def fitted_bits(
    log_probabilities: Float[np.ndarray, "N K"],
    gold: Int[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    folds: int,
    *,
    class_bias: bool,
) -> Float[np.ndarray, " N"] | None:
    """log2 g(right option), at most 0 bits, of g = softmax(z / T + b) fitted on other clusters.

    A difference of two conditions' values is pointwise V-information of the family of all T and b.
    None with fewer than two clusters.

    Sources: Xu et al. (2020), A Theory of Usable Information, https://arxiv.org/abs/2002.10689;
    Ethayarajh, Choi and Swayamdipta (2022), https://arxiv.org/abs/2110.08420.

    Args:
        log_probabilities: natural; -inf beyond a sample's options, finite elsewhere.
        folds: number of parts, at most; a cluster is in one part whole.
        class_bias: also fit b; only when all samples share their options.
    """
    parts = min(folds, len(np.unique(clusters)))
    if parts < 2:
        return None
    bits = np.empty(len(gold))
    for seen, held in GroupKFold(parts).split(gold, groups=clusters):
        inverse, bias = _fit(log_probabilities[seen], gold[seen], class_bias)
        fitted = _log_softmax(log_probabilities[held], inverse, bias)
        bits[held] = fitted[np.arange(len(held)), gold[held]] / np.log(2)
    return bits


def _fit(
    z: Float[np.ndarray, "N K"], gold: Int[np.ndarray, " N"], class_bias: bool
) -> tuple[float, Float[np.ndarray, " K"]]:
    """1 / T >= 0 and b of greatest likelihood with standard normal priors around 1 and 0.

    Convex. The priors weigh as much as a few samples; they keep both finite where every answer is
    right or an option never is.
    """
    count, width = z.shape
    right, finite = np.eye(width)[gold], np.where(np.isfinite(z), z, 0.0)

    def loss(parameters: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        inverse, bias = parameters[0], parameters[1:] * class_bias
        log_p = _log_softmax(z, inverse, bias)
        off = np.exp(log_p) - right
        value = -log_p[np.arange(count), gold].sum() + ((inverse - 1) ** 2 + bias @ bias) / 2
        slope = np.concatenate(
            [[(off * finite).sum() + inverse - 1], (off.sum(axis=0) + bias) * class_bias]
        )
        return value / count, slope / count

    start = np.concatenate([[1.0], np.zeros(width)])
    bounds = [(0.0, None)] + [(None, None)] * width
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(best.x[0]), best.x[1:] * class_bias


def _log_softmax(
    z: Float[np.ndarray, "N K"], inverse: float, bias: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "N K"]:
    scaled = np.where(np.isfinite(z), inverse * np.where(np.isfinite(z), z, 0.0) + bias, -np.inf)
    return log_softmax(scaled, axis=1)
