"""What a number of questions can show, against statsmodels and the numbers of the specification."""

from __future__ import annotations

import pytest
from statsmodels.stats.power import TTestPower

from solvent.studies.comparison.paired_statistics.power import detectable, needed


@pytest.mark.parametrize(
    ("discordant", "points", "inferior", "equivalent"),
    [(0.05, 2.0, 773, 1071), (0.1, 2.8, 1546, 2141), (0.2, 4.0, 3092, 4282)],
)
def test_the_numbers_that_were_known(
    discordant: float, points: float, inferior: int, equivalent: int
) -> None:
    assert round(100 * detectable(discordant, 1000), 1) == points
    assert needed(discordant, 0.02, claim="non-inferiority") == inferior
    assert needed(discordant, 0.02) == equivalent
    assert needed(discordant, 0.01) == pytest.approx(4 * equivalent, abs=4)
    assert needed(discordant, 0.02, design_effect=3) == pytest.approx(3 * equivalent, abs=3)


def test_the_smallest_difference_is_that_of_a_t_test() -> None:
    size = TTestPower().solve_power(nobs=1000 / 1.8, alpha=0.05, power=0.8)
    assert detectable(0.3, 1000, 1.8) == pytest.approx(size * 0.3**0.5, rel=0.003)
    assert round(100 * detectable(0.3, 1000), 1) == 4.9
    assert detectable(0.3, 1000, seed_variance=0.0003) == pytest.approx(2**0.5 * 0.0485, rel=0.001)


def test_no_disagreement_is_no_power_without_limit() -> None:
    """180 questions that all agree: as though two of them did not, one in either direction."""
    assert detectable(0.0, 180) == pytest.approx(2.8016 * 2**0.5 / 180, rel=1e-4)
    assert needed(0.0, 0.02) == pytest.approx(2.9264 * 2**0.5 / 0.02, abs=1)
    assert needed(0.001, 0.5) == 100  # fewer have no one-sided bounds
