"""How a test says what it found, in one sentence that a person understands."""

from __future__ import annotations

from solvent.diagnostics.statistics.estimates import Estimate


def measured(mean: Estimate, unit: str = "") -> str:
    """A mean with its interval, and a warning where too few samples are independent."""
    number = f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]{unit and ' ' + unit}"
    if mean.reliable:
        return number
    return f"{number} (only {mean.clusters} independent samples: interval unreliable)"
