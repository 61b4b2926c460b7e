"""How fast something changes within samples: one slope for all, an intercept for each.

Axes: N samples, T points of every sample.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t
from statsmodels.api import OLS

from solvent.diagnostics.statistics.estimates import FEW_CLUSTERS, Estimate


def slope(
    x: Float[np.ndarray, "N T"], y: Float[np.ndarray, "N T"], clusters: Int[np.ndarray, " N"]
) -> Estimate | None:
    """b of y_it = a_i + b x_it by least squares, with cluster-robust errors.

    Intervals are Student's with (clusters - 1) degrees of freedom. Samples with a value that is not
    finite are left out; None when none is left or x never varies within a sample.

    Source: Liang and Zeger (1986), https://doi.org/10.1093/biomet/73.1.13; Cameron and Miller
    (2015), https://doi.org/10.3368/jhr.50.2.317.
    """
    known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    x, y, clusters = x[known], y[known], clusters[known]
    within = [values - values.mean(axis=1, keepdims=True) for values in (x, y)]
    if len(x) == 0 or np.allclose(within[0], 0.0):
        return None
    units = np.unique(clusters, return_inverse=True)[1]
    count, model = int(units.max()) + 1, OLS(within[1].ravel(), within[0].ravel())
    if count == 1:
        value, error, degrees = float(model.fit().params[0]), 0.0, 1
    else:
        groups = np.repeat(units, x.shape[1])
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups})
        value, error, degrees = float(fit.params[0]), float(fit.bse[0]), count - 1
    wide, narrow = (error * float(t.ppf(level, degrees)) for level in (0.975, 0.95))
    return Estimate(
        value=value,
        low=value - wide,
        high=value + wide,
        lower=value - narrow,
        upper=value + narrow,
        n=len(x),
        clusters=count,
        reliable=count >= FEW_CLUSTERS,
    )
