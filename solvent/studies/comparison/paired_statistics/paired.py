"""An arm minus its control on the same questions: the difference, how sure it is, and whether
there is one.

Where an intervention draws random numbers, every draw (seed) answers all questions: questions and
seeds are crossed, and the true difference is the mean over all of both.

Axes: N questions, C clusters (independent units), R seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from solvent.core.intervals import CONFIDENCE, DIFFERENCE, Bounds, Clustered
from solvent.diagnostics.statistics.estimates import ONE_SIDED, why_no_verdict
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.sign_flips import flip_p_values

Part = tuple[float, float]  # a standard error and its degrees of freedom
SAME = 1e-12  # a mean over questions below which a seed does not differ from the control


@dataclass(frozen=True, eq=False)
class Crossed:
    """A mean over questions and seeds.

    Its interval is the union of that over clusters of questions, of the seeds' means, and of both
    variances together, with Satterthwaite's degrees of freedom: each of them alone covers too
    little in some world.

    Attributes:
        items: the mean over seeds of every question.
        seeds: how many there are.
        seed_variance: of the mean over seeds, from their spread: their variance / R; 0 for one.
    """

    items: Clustered
    seeds: int
    seed_variance: float

    def interval(self, confidence: float = CONFIDENCE) -> Bounds | None:
        """Its two ends; None below five effective clusters."""
        found = self.items.interval(confidence)
        if found is None:
            return None
        halves = [student.ppf(0.5 + confidence / 2, freedom) * e for e, freedom in self._parts]
        half, mean = float(max(halves, default=0.0)), self.items.mean
        least, most = self.items.bounds or (-np.inf, np.inf)
        return max(least, min(found[0], mean - half)), min(most, max(found[1], mean + half))

    def p_above(self, margin: float) -> float | None:
        """p of the hypothesis that the true mean is at most the margin; it agrees with the ends."""
        return self._largest(self.items.p_above(margin), self.items.mean - margin)

    def p_below(self, margin: float) -> float | None:
        """p of the hypothesis that the true mean is at least the margin."""
        return self._largest(self.items.p_below(margin), margin - self.items.mean)

    def p_of_seeds(self) -> float:
        """Two-sided p of a mean of 0 by what seeds add to a test over questions; 0: nothing."""
        size = abs(self.items.mean)
        return float(
            max((2 * student.sf(size / e, freedom) for e, freedom in self._parts), default=0)
        )

    @property
    def error(self) -> float:
        """Standard error over questions and seeds."""
        return float(np.sqrt(self.items.cautious_error**2 + self.seed_variance))

    def _largest(self, own: float | None, gap: float) -> float | None:
        if own is None:
            return None
        return float(max([own, *(student.sf(gap / e, freedom) for e, freedom in self._parts)]))

    @cached_property
    def _parts(self) -> list[Part]:
        """What seeds add to the interval over items; nothing where there are none."""
        return with_seeds(
            self.items.cautious_error**2, self.items.freedom, self.seed_variance, self.seeds
        )


def with_seeds(variance: float, freedom: float, seed_variance: float, seeds: int) -> list[Part]:
    """Standard errors and degrees of freedom that several seeds add to those over questions: of the
    seeds' means alone, and of both variances together, by Satterthwaite.
    """
    if seeds < 2 or seed_variance <= 0:
        return []
    total = variance + seed_variance
    scale = variance**2 / freedom + seed_variance**2 / (seeds - 1)
    return [(float(np.sqrt(seed_variance)), seeds - 1.0), (float(np.sqrt(total)), total**2 / scale)]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedEstimate:
    """Mean credit of an arm minus that of its control, over the same questions."""

    value: float  # in [-1, 1]
    low: float | None  # 95 % interval; None where there are too few clusters to say anything
    high: float | None
    lower: float | None  # what verdicts are made of; None where there is no ground for one
    upper: float | None
    level: float  # p below which a claim holds: 0.05 where `lower` and `upper` are one-sided 95 %
    # bounds, 0.025 where they are the ends of the 95 % interval
    doubt: str | None  # why no verdict is made of it
    n: int  # questions
    clusters: int  # independent units among them
    effective: float  # clusters that have a say
    seeds: int  # distinct draws; 1: deterministic, or conditional on this draw
    gained: float  # questions whose credit rose, mean over seeds
    lost: float  # whose credit fell
    variance: float  # of one question's difference, mean over seeds
    design_effect: float  # by how much clusters inflate the variance of the mean
    seed_sd: float | None  # standard deviation between draws; None below two
    seeds_better: float  # share of draws with a difference above 0
    evidence: Crossed = field(repr=False)

    @property
    def discordant(self) -> float:
        """Share of questions whose credit changed, mean over seeds."""
        return (self.gained + self.lost) / self.n

    @property
    def error(self) -> float | None:
        """Standard error over clusters and seeds, never 0; None where there is no interval."""
        return None if self.low is None else self.evidence.error

    def p_above(self, margin: float) -> float | None:
        """p of a true difference of at most the margin: below `level` exactly where `lower` is
        above it. None where there is no ground for a verdict.
        """
        return None if self.doubt else self.evidence.p_above(margin)

    def p_below(self, margin: float) -> float | None:
        """p of a true difference of at least the margin."""
        return None if self.doubt else self.evidence.p_below(margin)


def compare(differences: Float[np.ndarray, "R N"], layout: Layout) -> PairedEstimate:
    """What the differences of an arm and its control show.

    Args:
        differences: credit of the arm minus that of its control, of every seed and question, in
            [-1, 1]; one line for an arm without randomness.
        layout: of the questions.

    Raises `ValueError` where a difference is no number, or is not one per question.
    """
    differences = np.atleast_2d(differences)
    if not np.isfinite(differences).all():
        raise ValueError(
            f"{(~np.isfinite(differences)).sum()} differences are no numbers; a question without a "
            "credit must be left out of both arms"
        )
    seeds, values = len(differences), differences.mean(axis=0)
    means = differences.mean(axis=1)
    spread = float(means.var(ddof=1)) if seeds > 1 else 0.0
    items = layout.mean(values, DIFFERENCE)
    evidence = Crossed(items=items, seeds=seeds, seed_variance=spread / seeds)
    doubt, level = why_no_verdict(items), 0.05 if items.effective >= ONE_SIDED else 0.025
    low, high = evidence.interval() or (None, None)
    lower, upper = (None, None) if doubt else evidence.interval(1 - 2 * level) or (None, None)
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    return PairedEstimate(
        value=items.mean,
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        level=level,
        doubt=doubt,
        n=layout.questions,
        clusters=len(layout.sizes),
        effective=items.effective,
        seeds=seeds,
        gained=float((differences > 0).sum() / seeds),
        lost=float((differences < 0).sum() / seeds),
        variance=variance,
        design_effect=_design_effect(items, variance),
        seed_sd=float(np.sqrt(spread)) if seeds > 1 else None,
        seeds_better=float((means > SAME).mean()),
        evidence=evidence,
    )


def equal_accuracy(estimates: Sequence[PairedEstimate]) -> list[float | None]:
    """Two-sided p of equal accuracy, of arms that were compared on the same clusters.

    Signs of the clusters' sums are flipped (of means over seeds); where an arm has seeds, p is the
    largest of that, of t over the seeds' means, and of t with both variances. None where too few
    clusters have a say.
    """
    if not estimates:
        return []
    flipped = flip_p_values(np.column_stack([each.evidence.items.sums for each in estimates]))
    return [
        None if np.isnan(p) or each.low is None else float(max(p, each.evidence.p_of_seeds()))
        for p, each in zip(flipped, estimates, strict=True)
    ]


def _design_effect(items: Clustered, variance: float) -> float:
    """Of clusters; as though all questions of a cluster agreed, where none of them differ."""
    total = float(items.sizes.sum())
    if variance <= 0 or items.effective < 2:
        return total / items.effective
    return total * items.error**2 / variance
