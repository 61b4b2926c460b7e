"""What a test says about one cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solvent.diagnostics.statistics.estimates import Estimate, Verdict


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Verdicts, the numbers behind them, and what figures are drawn from.

    `strict` judges the literal inequality in every sample; `verdict` judges the mean against a
    margin that was fixed beforehand.
    """

    test: str
    verdict: Verdict
    strict: Verdict
    reason: str  # one sentence a person understands
    metrics: Mapping[str, Estimate | float | int | None]
    series: Mapping[str, Any]  # plain lists and numbers, for figures


def measured(mean: Estimate, unit: str = "") -> str:
    """A mean with its interval, and a warning where too few samples are independent."""
    number = f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]{unit and ' ' + unit}"
    if mean.reliable:
        return number
    return f"{number} (only {mean.clusters} independent samples: interval unreliable)"
