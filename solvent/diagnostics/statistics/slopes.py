"""How fast something changes within samples: one slope for all, an intercept for each.

Axes: N samples, T points of every sample.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import Bounds, Clustered
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    cluster_sums,
    estimate,
    of_mean,
)


def slope(
    x: Float[np.ndarray, "N T"],
    y: Float[np.ndarray, "N T"],
    clusters: Int[np.ndarray, " N"],
    reach: float | None = None,
) -> Estimate | None:
    """b of y_it = a_i + b x_it by least squares, with the interval of `solvent.core.intervals`.

    With means of samples taken away, b is the sum of x y over that of x^2: a ratio of sums over
    clusters, whose residuals x (y - b x) are the scores of the cluster-robust sandwich. Samples
    with a value that is not finite are left out; None when none is left or x never varies within a
    sample. `reach` is how far apart two values of y can lie at most, which bounds every sample's
    own slope; None: any distance.

    Source: Liang and Zeger (1986), https://doi.org/10.1093/biomet/73.1.13; Cameron and Miller
    (2015), https://doi.org/10.3368/jhr.50.2.317.
    """
    known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    x, y, clusters = x[known], y[known], clusters[known]
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    if len(x) == 0 or np.allclose(x, 0.0):
        return None
    top, bottom = (x * y).sum(axis=1), (x**2).sum(axis=1)
    squares = np.divide(top**2, bottom, out=np.zeros(len(x)), where=bottom > 0)
    one = bottom.mean()  # so that a sample counts as one
    sums = [cluster_sums(values / one, clusters)[0] for values in (top, bottom, squares)]
    return of_mean(Clustered(*sums, None if reach is None else _steepest(x, reach)), len(x))


def slope_beside_start(
    x: Float[np.ndarray, "N T"],
    y: Float[np.ndarray, "N T"],
    clusters: Int[np.ndarray, " N"],
    share: float,
    most: float | None = None,
) -> Estimate | None:
    """Mean of b_i + share * y_i0, b_i the slope of a sample: above 0 where what there was at the
    first x falls, per unit of x, by less than this share of it.

    `most` is the greatest value of y, of which 0 is the least; None: it has no bounds.
    """
    known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    x, y, clusters = x[known], y[known], clusters[known]
    if len(x) == 0 or np.allclose(x, x.mean(axis=1, keepdims=True)):
        return None
    centred = x - x.mean(axis=1, keepdims=True)
    falls = (centred * y).sum(axis=1) / (centred**2).sum(axis=1)
    if most is None:
        return estimate(falls + share * y[:, 0], clusters)
    down, up = _steepest(centred, most)
    return estimate(falls + share * y[:, 0], clusters, (down, up + share * most))


def steepest_fall(x: Float[np.ndarray, " T"]) -> float:
    """Slope of what is 1 at the first x and 0 at all others, with its sign turned."""
    centred = x - x.mean()
    return float(-centred[0] / (centred**2).sum())


def _steepest(x: Float[np.ndarray, "N T"], reach: float) -> Bounds:
    """Least and greatest slope of one sample: y jumps by all it can where x crosses its mean."""
    moves = (x**2).sum(axis=1) > 0
    steepest = reach / 2 * float((np.abs(x).sum(axis=1) / (x**2).sum(axis=1))[moves].max())
    return -steepest, steepest
