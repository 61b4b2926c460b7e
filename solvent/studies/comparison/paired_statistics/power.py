"""What a number of questions can show: the smallest difference found, and questions needed."""

from __future__ import annotations

import math
from typing import Literal

from scipy.stats import norm
from statsmodels.stats.power import normal_sample_size_one_tail

from solvent.diagnostics.statistics.estimates import ONE_SIDED

POWER = 0.8
LEVEL = 0.05  # of the two-sided test, and of each one-sided claim


def detectable(
    variance: float, n: int, design_effect: float = 1.0, seed_variance: float = 0.0
) -> float:
    """Smallest true difference that a two-sided test at 5 % finds with 80 % power: 2.80 standard
    errors.

    Args:
        variance: of one question's difference; the share of discordant questions is a little more.
        n: questions.
        design_effect: of clusters.
        seed_variance: of the mean over seeds.

    At least two discordant effective questions are reckoned with, as in the interval.
    """
    effective = n / design_effect
    error = math.sqrt(max(variance, 2 / effective) / effective + seed_variance)
    return float((norm.isf(LEVEL / 2) + norm.isf(1 - POWER)) * error)


def needed(
    discordant: float,
    margin: float,
    design_effect: float = 1.0,
    claim: Literal["equivalence", "non-inferiority"] = "equivalence",
) -> int:
    """Questions that show a claim with 80 % power where the true difference is 0; at least so many
    that one-sided bounds are used, and that two discordant questions of them would not matter.

    Args:
        discordant: share of questions whose credit differs, or the variance of a difference.
        margin: of the claim.
        design_effect: of clusters: so many times the questions are needed.
    """
    # Of two tests that must both succeed each may fail in half of the failures.
    power = POWER if claim == "non-inferiority" else 1 - (1 - POWER) / 2
    size = normal_sample_size_one_tail(margin, power, LEVEL, math.sqrt(discordant))
    least = (norm.isf(LEVEL) + norm.isf(1 - power)) * math.sqrt(2) / margin
    return math.ceil(max(float(size), least, ONE_SIDED) * max(1.0, design_effect))
