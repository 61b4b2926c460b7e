"""Whether two sets of scores depend on each other at all, in whatever way: a test, no bits.

Axes: N samples, D components, P permutations.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from solvent.diagnostics.statistics.information_theory import ROUNDING


def stratified_dependence(
    x: Float[np.ndarray, "N D"],
    z: Float[np.ndarray, "N D"],
    strata: Int[np.ndarray, " N"],
    permutations: int,
    seed: int,
) -> tuple[float, Float[np.ndarray, " P"]]:
    """sum_y (n_y / n) HSIC_y of x and z, and the same with z permuted inside strata.

    Unbiased HSIC with Gaussian kernels as wide as the median distance in the stratum; 0 in
    expectation when x and z are independent inside every stratum, so it can be negative. Sources:
    Gretton et al. (2005), https://doi.org/10.1007/11564089_7; Song et al. (2012), eq. 5,
    https://www.jmlr.org/papers/v13/song12a.html. Raises `ValueError` below 4 samples in a stratum.
    """
    observed, null, generator = 0.0, np.zeros(permutations), np.random.default_rng(seed)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        if len(rows) < 4:
            raise ValueError(f"HSIC needs 4 samples in a stratum, found {len(rows)}")
        first, second = _centred(_kernel(x[rows])), _centred(_kernel(z[rows]))
        scale = len(rows) / len(strata) / (len(rows) * (len(rows) - 3))
        observed += scale * float(np.vdot(first, second))
        for index in range(permutations):
            order = generator.permutation(len(rows))
            null[index] += scale * float(np.vdot(first, second[order].take(order, axis=1)))
    return observed, null


def _kernel(values: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N N"]:
    distances = pdist(values)
    width = np.median(distances)
    width = width or distances.max(initial=0.0) or 1.0  # most rows equal; all rows equal
    return np.exp(-((squareform(distances) / width) ** 2) / 2)


def _centred(kernel: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    """U-centred, so that unbiased HSIC is a plain inner product over n (n - 3).

    Source: Szekely and Rizzo (2014), definition 2, https://doi.org/10.1214/14-AOS1255.
    """
    size = len(kernel)
    kernel = kernel - np.diag(np.diag(kernel))
    rows = kernel.sum(axis=0) / (size - 2)
    total = kernel.sum() / ((size - 1) * (size - 2))
    centred = kernel - rows[:, None] - rows[None, :] + total
    np.fill_diagonal(centred, 0.0)
    return np.where(np.abs(centred) < ROUNDING, 0.0, centred)
