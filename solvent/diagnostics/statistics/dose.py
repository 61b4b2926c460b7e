"""How many assertions make the text win: a logistic curve over the dose.

Axes: D doses, N samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from jaxtyping import Float, Int

from solvent.diagnostics.statistics.estimates import Estimate, of_ends
from solvent.diagnostics.statistics.ratios import fieller


@dataclass(frozen=True, kw_only=True)
class HalfDose:
    """The dose at which half of the samples are won; why there is none, if so."""

    value: Estimate | None  # in units of the dose
    reason: str


def half_dose(
    wins: Float[np.ndarray, "D N"],
    doses: Float[np.ndarray, " D"],
    clusters: Int[np.ndarray, " N"],
) -> HalfDose:
    """dose_50 = -b0 / b1 of logit P(win) = b0 + b1 dose, with Fieller's interval.

    Covariances are robust to clusters. When every win has a dose of at most d and every loss one
    of at least e >= d, no finite curve fits best; the half dose is then between d and e.

    Args:
        wins: 0, 1/2 or 1; samples that lack a dose are left out beforehand.

    Source: Finney (1971), Probit Analysis, 3rd edition, chapter 4 (median effective dose).
    """
    counts = wins.shape[1]
    if counts == 0:
        return HalfDose(value=None, reason="no sample has every dose")
    if wins.min() == 1 or wins.max() == 0:
        who = "image" if wins.min() == 1 else "text"
        return HalfDose(value=None, reason=f"the {who} wins at every dose")
    last_win, first_loss = doses[wins.max(axis=1) > 0].max(), doses[wins.min(axis=1) < 1].min()
    units = len(np.unique(clusters))
    if last_win <= first_loss:
        return _between(float(last_win), float(first_loss), counts, units)
    if units < 2:
        return HalfDose(value=None, reason="one cluster gives no interval")
    at = np.repeat(doses, counts)
    fit = sm.GLM(wins.ravel(), sm.add_constant(at), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": np.tile(clusters, len(doses))}
    )
    start, slope = fit.params
    if slope >= 0:
        return HalfDose(value=None, reason="wins do not fall with the dose")
    covariance = fit.cov_params() * np.array([[1, -1], [-1, 1]])  # of (-b0, b1)
    value = fieller(-start, slope, covariance, counts, units)
    return HalfDose(value=value, reason="" if value else "the slope may be 0")


def _between(low: float, high: float, samples: int, clusters: int) -> HalfDose:
    doubt = "it lies between two doses"
    bracket = of_ends((low + high) / 2, (low, high, low, high), samples, clusters, doubt)
    return HalfDose(value=bracket, reason="wins and losses separate; bracketed by two doses")
