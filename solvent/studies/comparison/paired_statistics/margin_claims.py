"""Claims about a true difference and a margin, and p-values of several claims together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from statsmodels.stats.multitest import multipletests

from solvent.diagnostics.statistics.estimates import largest
from solvent.studies.comparison.paired_statistics.paired import PairedEstimate


@dataclass(frozen=True, kw_only=True)
class Claims:
    """p of the hypothesis that a claim does not hold; None where there is no ground for a verdict.

    Each holds where its p is below the `level` of the estimate.
    """

    p_worse: float | None  # the true difference is below minus the margin
    p_better: float | None  # it is above 0
    p_not_inferior: float | None  # it is above minus the margin
    p_equivalent: float | None  # it is within the margin on either side


def claims(estimate: PairedEstimate, margin: float) -> Claims:
    """What may be said of an arm, by the same method as its interval. Equivalence is two one-sided
    tests (Schuirmann 1987, https://doi.org/10.1007/BF01068419).

    Args:
        estimate: of the arm minus its control.
        margin: difference in accuracy that does not matter, above 0.
    """
    if margin <= 0:
        raise ValueError(f"a margin of equivalence must be above 0, not {margin}")
    not_inferior = estimate.p_above(-margin)
    return Claims(
        p_worse=estimate.p_below(-margin),
        p_better=estimate.p_above(0.0),
        p_not_inferior=not_inferior,
        p_equivalent=largest(not_inferior, estimate.p_below(margin)),
    )


def adjust(
    p_values: Sequence[float | None], method: Literal["holm", "fdr_bh"]
) -> list[float | None]:
    """p-values for several tests together; what is missing counts as no test and stays missing.

    Args:
        method: `holm` for few registered claims (the chance of any error), `fdr_bh` for sweeps (the
            share of errors among what is found; Benjamini and Hochberg 1995).
    """
    known = [p for p in p_values if p is not None]
    if not known:
        return list(p_values)
    adjusted = iter(multipletests(known, method=method)[1])
    return [None if p is None else float(next(adjusted)) for p in p_values]
