"""Means with intervals over samples that may share an image, and verdicts against a margin.

Axes: N samples, C clusters (independent units).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from statsmodels.stats.multitest import multipletests

from solvent.core.intervals import SHARE, Bounds, Clustered, of_values

# How many effective clusters a verdict needs. With fewer, errors beyond the nominal 5 % were
# measured: a group of 5 % that moves the other way is in none of 20 images in 36 % of draws.
FEW_BOUNDED = 20.0
FEW_UNBOUNDED = 60.0
ONE_SIDED = 100.0  # from here on one-sided 95 % bounds hold; below, verdicts need the 95 % interval
MOVED = 5  # clusters that must differ where values have no bounds
FREEDOM = 2.0  # degrees of freedom: below, one image decides alone
FEWEST_BOTTOMS = 30  # clusters with something in the lower part of a ratio
WIDE = 2.0  # bounds that lie further apart cost more than they give, but in large samples

Verdict = Literal[
    "PASS", "FAIL", "INCONCLUSIVE", "VACUOUS", "COUPLED", "MEASURED", "NOT APPLICABLE", "ERROR"
]
"""VACUOUS: the inequality holds, but a model that ignores the image would meet it as well.
COUPLED: the image flows into the text states, which it does in an untrained network as well.
"""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over samples; it never travels without its interval, nor a verdict without reason."""

    value: float
    low: float | None  # 95 % interval; None where there are too few images to say anything
    high: float | None
    lower: float | None  # what verdicts are made of; None where there are too few images for one
    upper: float | None
    n: int  # samples
    clusters: int  # independent units among them
    doubt: str | None = None  # why no verdict is made of it

    @property
    def interval(self) -> str:
        """`[0.100, 0.200]`, or that there is none."""
        return _between(self.low, self.high)


def _between(low: float | None, high: float | None) -> str:
    return "[no interval]" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def estimate(
    values: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    bounds: Bounds | None = None,
) -> Estimate | None:
    """Mean with the interval of `solvent.core.intervals`; None without samples.

    Args:
        values: one per sample.
        clusters: number of the independent unit that a sample belongs to.
        bounds: least and greatest value that a sample may have, where they are known.
    """
    return of_mean(of_values(values, clusters, bounds), len(values)) if len(values) else None


def estimate_columns(
    columns: Mapping[str, Float[np.ndarray, " N"]],
    clusters: Int[np.ndarray, " N"],
    bounds: Mapping[str, Bounds | None],
) -> dict[str, Estimate | None]:
    """`estimate` of many values per sample, each over the samples that have it (NaN: has not).

    Args:
        columns: name -> values.
        clusters: as for `estimate`.
        bounds: beginning of names -> least and greatest value, or None; the longest that fits
            counts, and what fits none has no bounds.
    """
    found: dict[str, Estimate | None] = {}
    for name, values in columns.items():
        rows = ~np.isnan(values)
        begins = max((each for each in bounds if name.startswith(each)), key=len, default="")
        found[name] = estimate(values[rows], clusters[rows], bounds.get(begins))
    return found


def estimate_ratio(
    tops: Float[np.ndarray, " N"],
    bottoms: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
) -> Estimate | None:
    """Ratio of two means over the same samples, of which the lower one is no mean of negatives.

    None where fewer than 30 clusters have a lower value above 0: it may then be 0 by chance.
    """
    above, below = (of_values(values, clusters, None) for values in (tops, bottoms))
    if (below.sums > 0).sum() < FEWEST_BOTTOMS:
        return None
    ratio = Clustered(above.sums, below.sums, np.zeros_like(below.sums), None)
    return of_mean(ratio, len(tops))


def proportion(hits: Bool[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]) -> Estimate | None:
    """Share of samples; None without samples."""
    return estimate(hits.astype(float), clusters, SHARE)


def of_ends(
    value: float, ends: Sequence[float], samples: int, clusters: int, doubt: str | None = None
) -> Estimate:
    """An estimate that another method found: low, high, lower and upper end. Below 60 clusters no
    verdict is made of it.
    """
    if clusters < FEW_UNBOUNDED:
        doubt = _too_few(clusters, FEW_UNBOUNDED)
    low, high, lower, upper = map(float, ends)
    return Estimate(
        value=float(value),
        low=low,
        high=high,
        lower=None if doubt else lower,
        upper=None if doubt else upper,
        n=samples,
        clusters=clusters,
        doubt=doubt,
    )


def of_mean(mean: Clustered, samples: int) -> Estimate:
    """A mean with its interval, and with the bounds of which a verdict may be made."""
    low, high = mean.interval() or (None, None)
    doubt = why_no_verdict(mean)
    confidence = 0.9 if mean.effective >= ONE_SIDED and mean.bounds is not None else 0.95
    lower, upper = (None, None) if doubt else (mean.interval(confidence) or (None, None))
    return Estimate(
        value=mean.mean,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        n=samples,
        clusters=len(mean.sizes),
        doubt=doubt,
    )


def why_no_verdict(mean: Clustered) -> str | None:
    """Why a mean is no ground for a verdict, by the decision table of docs/statistics.md."""
    needed = FEW_UNBOUNDED if mean.bounds is None else FEW_BOUNDED
    if mean.effective < needed:
        return _too_few(mean.effective, needed)
    if mean.freedom < FREEDOM:
        return f"one image holds {mean.largest:.0%} of the samples"
    if mean.bounds is None and mean.moved < MOVED:
        return f"only {mean.moved} images differ from the others"
    return None


def few(clusters: Int[np.ndarray, " N"]) -> str | None:
    """Why samples that lie like this in clusters make no verdict on values without bounds."""
    mean = of_values(np.zeros(len(clusters)), clusters, None)
    if mean.effective >= FEW_UNBOUNDED and mean.freedom < FREEDOM:
        return f"one image holds {mean.largest:.0%} of the samples"
    return None if mean.effective >= FEW_UNBOUNDED else _too_few(mean.effective, FEW_UNBOUNDED)


def _too_few(effective: float, needed: float) -> str:
    images = f"{effective:.0f} independent images have"
    if round(effective) == 1:
        images = "1 independent image has"
    return f"{images} a say, and a verdict needs {needed:.0f}"


def p_above(
    values: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    margin: float,
    bounds: Bounds | None,
) -> float | None:
    """One-sided p of a true mean at or below the margin, by the method of the interval; None
    without samples or with too few images.
    """
    return of_values(values, clusters, bounds).p_above(margin) if len(values) else None


def largest(*p_values: float | None) -> float | None:
    """p of the hypothesis that not all claims hold (intersection-union); None where one has none.

    Source: Berger (1982), https://doi.org/10.1080/00401706.1982.10487790.
    """
    known = [p for p in p_values if p is not None]
    return max(known) if len(known) == len(p_values) else None


def decide(mean: Estimate | None, margin: float) -> Verdict:
    """PASS when the mean is surely above the margin, FAIL when surely below it; INCONCLUSIVE, too,
    where there are too few images for either.
    """
    if mean is None:
        return "NOT APPLICABLE"
    if mean.lower is None or mean.upper is None:
        return "INCONCLUSIVE"
    if mean.lower > margin:
        return "PASS"
    return "FAIL" if mean.upper < margin else "INCONCLUSIVE"


def weakest(*verdicts: Verdict) -> Verdict:
    """What holds of conditions that must all hold: one FAIL fails, one doubt leaves doubt."""
    order: tuple[Verdict, ...] = ("ERROR", "NOT APPLICABLE", "FAIL", "INCONCLUSIVE", "VACUOUS")
    order = (*order, "COUPLED")
    return next((verdict for verdict in order if verdict in verdicts), "PASS")


def holm(p_values: Sequence[float]) -> list[float]:
    """Family-wise adjusted p-values. Source: Holm (1979), https://www.jstor.org/stable/4615733."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def cluster_sums(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Sum of the values in every cluster, and how many there are."""
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, values), np.bincount(index).astype(float)
