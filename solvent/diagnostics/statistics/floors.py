"""How much an answer moves when nothing changed: the floor under every strict verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.statistics.estimates import Estimate, Verdict

RERUNS = ("rerun_1", "rerun_2", "rerun_3")  # the same input among other neighbours in the batch
PLACEBOS = ("placebo_jpeg", "placebo_shift")  # the same picture to a person, not to a computer
SMALLEST = 1e-6  # what rounding may do even where reruns are equal to the last bit
QUANTILE = 0.99
SIGNIFICANCE = 0.05

Gap = Callable[[str], Float[np.ndarray, " N"]]
"""Distance of every sample's answer under a condition from the one under `real`; NaN: unknown."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """99th percentiles of distances between answers that should be equal."""

    rerun: float | None  # None: nothing was rerun
    placebo: float | None
    largest: float  # of the distances between reruns, 1e-6 at least

    @property
    def threshold(self) -> float:
        """Tau: what a distance must exceed to be an effect in one sample."""
        return max(self.rerun or 0.0, SMALLEST)


def floor(gap: Gap, answers: Answers) -> Floor:
    """The floor of a distance, from the reruns and placebos that there are."""
    reruns, placebos = (_present(gap, answers, names) for names in (RERUNS, PLACEBOS))
    return Floor(
        rerun=float(np.quantile(reruns, QUANTILE)) if len(reruns) else None,
        placebo=float(np.quantile(placebos, QUANTILE)) if len(placebos) else None,
        largest=max(float(reruns.max(initial=0.0)), SMALLEST),
    )


def mean_gap(gap: Gap, answers: Answers, names: tuple[str, ...]) -> Float[np.ndarray, " N"]:
    """Mean over those of the conditions that a sample has; NaN where it has none."""
    gaps = np.array([gap(name) for name in names if name in answers.scores])
    counts = np.isfinite(gaps).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.nansum(gaps, axis=0) / counts if len(gaps) else np.full(len(answers), np.nan)


def in_every_sample(rate: Estimate | None) -> Verdict:
    """Strict verdict of a claim about every sample."""
    if rate is None:
        return "NOT APPLICABLE"
    return "PASS" if rate.value == 1 else "FAIL"


def in_some_sample(effects: Float[np.ndarray, " N"], floor: Floor) -> Verdict:
    """Strict verdict of a claim that some sample exists.

    PASS when more samples exceed tau than the 1 % that do so by its definition (exact binomial
    test, 5 %), or any effect is more than twice the largest distance between reruns.
    """
    if len(effects) == 0:
        return "NOT APPLICABLE"
    beyond = int((effects > floor.threshold).sum())
    test = binomtest(beyond, len(effects), 1 - QUANTILE, alternative="greater")
    found = test.pvalue < SIGNIFICANCE or effects.max() > 2 * floor.largest
    return "PASS" if found else "FAIL"


def _present(gap: Gap, answers: Answers, names: tuple[str, ...]) -> Float[np.ndarray, " M"]:
    gaps = [gap(name) for name in names if name in answers.scores]
    found = np.concatenate(gaps) if gaps else np.empty(0)
    return found[np.isfinite(found)]
