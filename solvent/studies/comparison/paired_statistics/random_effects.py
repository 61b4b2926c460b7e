"""The mean of an effect over benchmarks or models, and where that of another would lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import t as student
from statsmodels.stats.meta_analysis import combine_effects

from solvent.core.intervals import CONFIDENCE
from solvent.studies.comparison.paired_statistics.paired import with_seeds

UPPER = 0.5 + CONFIDENCE / 2
STEPS = 200  # of Newton's for Paule and Mandel's variance: one doubles it where errors are tiny
TINY = 1e-6  # a standard error where all are 0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A random-effects mean; what a few effects cannot tell is None."""

    value: float
    low: float | None  # 95 % interval of the mean effect; None for one effect
    high: float | None
    prediction_low: float | None  # where 95 % of further effects lie; None below three
    prediction_high: float | None
    tau: float | None  # standard deviation of true effects; None for one
    i2: float | None  # share of the variance that is between effects, in [0, 1]
    k: int  # effects


def summarise(values: Sequence[float], standard_errors: Sequence[float]) -> Summary:
    """Random-effects mean by Paule and Mandel (1982), with the interval of Hartung and Knapp
    (2001), https://doi.org/10.1002/sim.791, never narrower than with the variance of the model
    (Rover et al. 2015, https://doi.org/10.1186/s12874-015-0091-1), and the prediction interval of
    Higgins et al. (2009), https://doi.org/10.1111/j.1467-985X.2008.00552.x: t of k - 2 degrees of
    freedom times sqrt(tau^2 + standard error^2).

    A standard error of 0 claims what no sample shows, and counts as the smallest of the others.
    """
    if len(values) != len(standard_errors) or not len(values):
        raise ValueError(
            f"{len(values)} effects with {len(standard_errors)} standard errors: a summary needs "
            "one of each, and at least one"
        )
    effects, errors = np.asarray(values, float), np.asarray(standard_errors, float)
    positive = errors[errors > 0]
    errors = np.where(errors > 0, errors, positive.min() if len(positive) else TINY)
    if len(effects) == 1:
        return _single(float(effects[0]))
    with np.errstate(divide="ignore"):  # its I2 of effects that are all equal
        found = combine_effects(effects, errors**2, method_re="pm", maxiter=STEPS)
    count, between = len(effects), max(0.0, float(found.tau2))
    mean = float(found.mean_effect_re)
    error = float(max(found.sd_eff_w_re_hksj, found.sd_eff_w_re))
    half = float(student.ppf(UPPER, count - 1)) * error
    reach = None
    if count > 2:
        quantile = float(student.ppf(UPPER, count - 2))
        reach = max(half, quantile * float(np.sqrt(between + error**2)))
    return Summary(
        value=mean,
        low=mean - half,
        high=mean + half,
        prediction_low=None if reach is None else mean - reach,
        prediction_high=None if reach is None else mean + reach,
        tau=float(np.sqrt(between)),
        i2=_share_between(between, errors),
        k=count,
    )


def summarise_crossed(
    values: Sequence[float],
    standard_errors: Sequence[float],
    models: Sequence[str],
    benchmarks: Sequence[str],
) -> Summary:
    """Of effects on several models and benchmarks. What is particular about a model moves all of
    its effects, so that they are not as many observations as they are: the interval is the widest
    of that of `summarise`, of t over the means of models, over those of benchmarks, and over both
    variances together. Where a further model on a further benchmark lies is told with t of one
    degree of freedom fewer than there are of the fewer; None below three of them.
    """
    found = summarise(values, standard_errors)
    effects = pd.Series(values, dtype=float)
    means = [effects.groupby(list(names)).mean() for names in (models, benchmarks)]
    fewest = min(len(each) for each in means)
    if fewest < 2 or found.low is None:
        raise ValueError("a summary over models and benchmarks needs two of each, and two effects")
    of_models, of_benchmarks = (float(each.var(ddof=1)) / len(each) for each in means)
    parts = [
        (float(np.sqrt(of_models)), len(means[0]) - 1.0),
        *with_seeds(of_models, len(means[0]) - 1, of_benchmarks, len(means[1])),
    ]
    own = (found.value - found.low) / float(student.ppf(UPPER, found.k - 1))
    half = max(
        found.value - found.low, *(float(student.ppf(UPPER, free)) * error for error, free in parts)
    )
    reach = None
    if fewest > 2:
        error = max(own, *(error for error, _ in parts))
        quantile = float(student.ppf(UPPER, fewest - 1))
        reach = max(half, quantile * float(np.hypot(found.tau or 0, error)))
    return replace(
        found,
        low=found.value - half,
        high=found.value + half,
        prediction_low=None if reach is None else found.value - reach,
        prediction_high=None if reach is None else found.value + reach,
    )


def _share_between(between: float, errors: Float[np.ndarray, " K"]) -> float:
    """I2: tau^2 / (tau^2 + s^2) with the typical variance of Higgins and Thompson (2002, eq. 9),
    https://doi.org/10.1002/sim.1186.
    """
    weights = 1 / errors**2
    total = weights.sum()
    typical = (len(weights) - 1) * total / (total**2 - (weights**2).sum())
    return float(between / (between + typical))


def _single(value: float) -> Summary:
    """One effect says nothing of others."""
    unknown = dict.fromkeys(("low", "high", "prediction_low", "prediction_high", "tau", "i2"))
    return Summary(value=value, k=1, **unknown)
