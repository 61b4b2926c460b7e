"""One interval for every mean, share, difference and ratio of clustered values. Pure functions.

It is the union of up to three t-type intervals, each right where another fails: the cluster-robust
t with CR2 residuals and Satterthwaite's degrees of freedom (Bell and McCaffrey 2002); the same
transformed for skewness (Hall 1992, https://doi.org/10.1111/j.2517-6161.1992.tb01876.x); and, where
the statistic has known bounds, t with one effective pseudo sample at each bound (Agresti and Coull
1998, https://doi.org/10.1080/00031305.1998.10480550; Bonett and Price 2012,
https://doi.org/10.3102/1076998611411915). No resampling and no seed. How often it covers the truth
is measured by `python -m tools.coverage`.

Axes: C clusters (independent units).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

Bounds = tuple[float, float]

CONFIDENCE = 0.95
SHARE: Bounds = (0.0, 1.0)  # of a credit, a rate, a divergence in bits
DIFFERENCE: Bounds = (-1.0, 1.0)  # of two of them
FEWEST = 5.0  # effective clusters: below, there is no interval
SKEWNESS_KNOWN = 20.0  # effective clusters from which on bounded values are also transformed
SYMMETRIC = 1e-9  # skewness below which Hall's transformation is the identity
SAME = 1e-9  # means of clusters that differ by less have not moved
TINY = 1e-12
FEW_MOVED = 5  # clusters; below, the pseudo samples count as whole clusters


@dataclass(frozen=True, eq=False)
class Clustered:
    """The mean of values that lie in clusters, or the ratio of two sums.

    Attributes:
        sums: of the values in every cluster; of the upper values, for a ratio.
        sizes: how many values they are; the sums of the lower values, for a ratio. None below 0.
        squares: sums of the squared values.
        bounds: least and greatest value that one may have; None: there are none, or they lie so far
            apart that they say nothing.
    """

    sums: Float[np.ndarray, " C"]
    sizes: Float[np.ndarray, " C"]
    squares: Float[np.ndarray, " C"]
    bounds: Bounds | None

    @property
    def mean(self) -> float:
        """The mean of all values, or the ratio."""
        return float(self.sums.sum() / self._total)

    @property
    def effective(self) -> float:
        """Kish's effective number of clusters: that of equally large ones with as much to say."""
        return float(self._total**2 / (self.sizes**2).sum())

    @property
    def moved(self) -> int:
        """Clusters whose mean is not that of the median cluster."""
        means = self.sums[self.sizes > 0] / self.sizes[self.sizes > 0]
        return int((np.abs(means - np.median(means)) > SAME).sum())

    @property
    def largest(self) -> float:
        """Share of all values that lie in the largest cluster."""
        return float(self._shares.max())

    @cached_property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of the CR2 variance, the fewer of those under no and
        under full dependence inside clusters; C - 1 where clusters are equally large, at least 1.
        """
        share = self._shares
        scale = 1 / (1 - share)
        free = share**2 * scale
        independent = 1 / ((share**2).sum() + free.sum() ** 2 - (free**2).sum())
        return max(1.0, float(min(independent, _freedom_of_one_value(share, scale))))

    @cached_property
    def error(self) -> float:
        """Cluster-robust standard error of the mean, CR2."""
        return float(np.sqrt((self._corrected**2).sum()) / self._total)

    @property
    def cautious_error(self) -> float:
        """The standard error, or that with the pseudo samples where it is larger: never 0 where
        there are bounds.
        """
        return self.error if self.bounds is None else max(self.error, self._pseudo[1])

    def interval(self, confidence: float = CONFIDENCE) -> Bounds | None:
        """Its two ends; None below five effective clusters, of which no method says anything."""
        if self.effective < FEWEST:
            return None
        quantile = float(student.ppf(0.5 + confidence / 2, self.freedom))
        lows, highs = zip(*self._parts(quantile), strict=True)
        least, most = self.bounds or (-np.inf, np.inf)
        return max(least, float(min(lows))), min(most, float(max(highs)))

    def p_above(self, margin: float) -> float | None:
        """p of the hypothesis that the true mean is at most the margin, by the same three parts, so
        that it is below 0.025 exactly where the lower end is above the margin.
        """
        return self._p(margin, 1.0)

    def p_below(self, margin: float) -> float | None:
        """p of the hypothesis that the true mean is at least the margin."""
        return self._p(margin, -1.0)

    def _parts(self, quantile: float) -> Iterator[Bounds]:
        mean, error, skew = self.mean, self.error, self._skewness
        yield mean - quantile * error, mean + quantile * error
        if self._bends:
            yield mean - error * _hall(quantile, skew), mean - error * _hall(-quantile, skew)
        if self.bounds is not None:
            middle, spread = self._pseudo
            yield middle - quantile * spread, middle + quantile * spread

    def _p(self, margin: float, side: float) -> float | None:
        if self.effective < FEWEST:
            return None
        gap, error, skew = side * (self.mean - margin), self.error, side * self._skewness
        if error == 0:
            found = [0.0 if gap > 0 else 1.0]
        else:
            t = gap / error
            bent = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6
            found = [
                student.sf(each, self.freedom) for each in (t, *([bent] if self._bends else []))
            ]
        if self.bounds is not None:
            middle, spread = self._pseudo
            found.append(student.sf(side * (middle - margin) / spread, self.freedom))
        return float(max(found))

    @property
    def _bends(self) -> bool:
        """Whether skewness is taken out. With few clusters its estimate makes the interval half as
        wide again and covers no more than the pseudo samples do.
        """
        return self.bounds is None or self.effective >= SKEWNESS_KNOWN

    @property
    def _total(self) -> float:
        return float(self.sizes.sum())

    @property
    def _shares(self) -> Float[np.ndarray, " C"]:
        return self.sizes / self._total

    @cached_property
    def _residuals(self) -> Float[np.ndarray, " C"]:
        return self.sums - self.mean * self.sizes

    @cached_property
    def _corrected(self) -> Float[np.ndarray, " C"]:
        """CR2 of a mean: as large as they would be without the value's own pull on the mean."""
        return self._residuals / np.sqrt(1 - self._shares)

    @cached_property
    def _skewness(self) -> float:
        second = float((self._corrected**2).sum())
        return float((self._corrected**3).sum() / second**1.5) if second > 0 else 0.0

    @cached_property
    def _pseudo(self) -> tuple[float, float]:
        """Mean and standard error with one effective sample more at each bound."""
        assert self.bounds is not None
        low, high = self.bounds
        weight = self._weight()
        total = self._total + 2 * weight
        mean = (float(self.sums.sum()) + weight * (low + high)) / total
        own = ((self.sums - mean * self.sizes) ** 2 / (1 - self._shares)).sum()
        added = weight**2 * ((low - mean) ** 2 + (high - mean) ** 2)
        return mean, float(np.sqrt(own + added) / total)

    def _weight(self) -> float:
        """How many values an effective pseudo sample is worth: the design effect."""
        most = float((self.sizes**2).sum() / self._total)
        within = float(self.squares.sum() / self._total - self.mean**2)
        if self.moved < FEW_MOVED or within <= 1e-12:
            return most
        between = float((self._residuals**2).sum() / self._total)
        return float(np.clip(between / within, 1, max(1.0, most)))


def of_values(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], bounds: Bounds | None
) -> Clustered:
    """The mean of values of which each lies in the cluster of that number."""
    _, place = np.unique(clusters, return_inverse=True)
    return Clustered(
        sums=np.bincount(place, values),
        sizes=np.bincount(place).astype(float),
        squares=np.bincount(place, values**2),
        bounds=bounds,
    )


def of_nested_mean(
    sums: Float[np.ndarray, "C T"],
    sizes: Float[np.ndarray, "C T"],
    weights: Float[np.ndarray, " T"],
    confidence: float = CONFIDENCE,
) -> Bounds | None:
    """Interval of a weighted mean over T parts of (sum over C of sums) / (that of sizes), all in
    [0, 1]: Wilson's (1927) for as many trials as have the variance of that mean, with the quantile
    of t and Welch's (1947) degrees of freedom over clusters that occupy the same parts.

    None where a cluster is the only one that occupies its parts: it shows no spread.
    """
    total = sizes.sum(axis=0)
    means = sums.sum(axis=0) / total
    mean = float(means @ weights)
    corrected = np.sqrt(np.maximum(1 - sizes / total, TINY))
    pulls = ((sums - means * sizes) / corrected * (weights / total)).sum(axis=1)
    alike = np.unique(sizes > 0, axis=0, return_inverse=True)[1].ravel()
    members = np.bincount(alike)
    if (members == 1).any():
        return None
    variances = np.bincount(alike, pulls**2)
    variance = float(variances.sum())
    if variance > 0 and 0 < mean < 1:
        trials = mean * (1 - mean) / variance
        freedom = variance**2 / float((variances**2 / (members - 1)).sum())
    else:  # all credits of every part are equal: as many trials as equal parts would have
        trials = 1 / float((weights**2 / (total**2 / (sizes**2).sum(axis=0))).sum())
        freedom = float((members - 1).sum())
    return wilson(mean, trials, float(student.ppf(0.5 + confidence / 2, freedom)))


def wilson(share: float, trials: float, quantile: float) -> Bounds:
    """Wilson's score interval of a proportion, https://doi.org/10.1080/01621459.1927.10502953.

    Trials may be a fraction; `quantile` is that of the normal distribution, or of t.
    """
    middle = share + quantile**2 / (2 * trials)
    half = quantile * np.sqrt(share * (1 - share) / trials + (quantile / (2 * trials)) ** 2)
    scale = 1 + quantile**2 / trials
    return max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale))


def _hall(quantile: float, skewness: float) -> float:
    """The studentised mean whose transformed value is the quantile (Hall 1992, section 3)."""
    if abs(skewness) < SYMMETRIC:
        return quantile
    bent = np.cbrt(1 + skewness * (quantile - skewness / 6))
    return float(3 / skewness * (bent - 1))


def _freedom_of_one_value(share: Float[np.ndarray, " C"], scale: Float[np.ndarray, " C"]) -> float:
    """Degrees of freedom where the values of a cluster are all the same: (sum of K_gg)^2 over the
    sum of all K_gh^2, with K_gh the covariance of two corrected residuals; without forming K.
    """
    all_squares = float((share**2).sum())
    diagonal = (share**2 - 2 * share**3 + share**2 * all_squares) * scale
    first, second = share * np.sqrt(scale), share**2 * np.sqrt(scale)
    ff, ss, fs = first @ first, second @ second, first @ second
    off = all_squares**2 * ff**2 + 2 * ff * ss + 2 * fs**2 - 4 * all_squares * ff * fs
    outer = all_squares * first**2 - 2 * first * second
    off += ((outer + share**2 * scale) ** 2 - outer**2).sum()
    return float(diagonal.sum() ** 2 / off)
