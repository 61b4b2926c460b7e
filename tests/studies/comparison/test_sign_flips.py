"""Tests of equal accuracy against statsmodels, scipy and the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar

from solvent.studies.comparison.paired_statistics.sign_flips import flip_p_values, random_signs


def test_single_questions_are_mcnemars_exact_test() -> None:
    for gained, lost in ((14, 5), (0, 9), (3, 3), (60, 31), (0, 0)):
        values = np.repeat([1.0, -1.0, 0.0], [gained, lost, 40])
        theirs = mcnemar([[0, gained], [lost, 40]], exact=True).pvalue if gained + lost else 1.0
        assert flip_p_values(values[:, None])[0] == pytest.approx(theirs, rel=1e-9)


def test_few_sums_are_flipped_in_every_way() -> None:
    generator = np.random.default_rng(0)
    for count in (6, 9, 14):
        sums = np.concatenate([generator.normal(0.4, 1, size=count), np.zeros(30)])
        theirs = permutation_test(
            (sums[:count],),
            lambda values, axis: values.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert flip_p_values(sums[:, None])[0] == pytest.approx(theirs.pvalue, abs=1e-12)


def exact(sums: np.ndarray) -> float:
    """By convolution, of whole numbers."""
    chances = np.ones(1)
    for size in np.abs(sums.astype(int)):
        either = np.zeros(len(chances) + 2 * size)
        either[: len(chances)] += chances / 2
        either[2 * size :] += chances / 2
        chances = either
    middle = len(chances) // 2
    totals = np.arange(len(chances)) - middle
    return float(chances[np.abs(totals) >= abs(int(sums.sum()))].sum())


def test_many_sums_have_the_exact_p_within_the_error_of_10_000_flips() -> None:
    generator = np.random.default_rng(1)
    columns = generator.integers(-3, 4, size=(1500, 8)) + 1.0 * (generator.random(8) < 0.5) * (
        generator.random((1500, 8)) < 0.1
    )
    found = flip_p_values(columns)  # more signs than are held at a time
    for column, p in zip(columns.T, found, strict=True):
        truth = exact(column)
        assert p == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / 10_000) + 2e-4)
    assert flip_p_values(columns[:, [3]])[0] == found[3]  # beside others or alone
    parts = [*random_signs(1500)]
    assert (sum(map(len, parts)), len(parts)) == (9999, 4)
    assert all((parts[0][:99] != part[:99]).any(axis=1).all() for part in parts[1:])
    assert abs(np.concatenate(parts).mean()) < 4 / np.sqrt(1500 * 9999)
    assert found.min() < 0.02 < 0.2 < found.max()


@pytest.mark.parametrize("lift", [0.5, 0.8])
def test_what_flips_cannot_resolve_is_bounded(lift: float) -> None:
    """Below 1 / 10,000 p is above the truth, and by no more than the constant and the gap between
    the normal tail and that of few clusters.
    """
    generator = np.random.default_rng(2)
    sums = np.where(generator.random(80) < 0.5 + lift / 2, 1, -1) * generator.integers(1, 4, 80)
    truth, p = exact(sums), flip_p_values(sums[:, None])[0]
    assert truth < 1e-4
    assert truth <= p < 1e-4 + (truth > 1e-5)
    assert np.log(p) < 0.5 * np.log(truth)


def test_few_clusters_have_no_p() -> None:
    assert np.isnan(flip_p_values(np.ones((5, 2)))).all()
    assert flip_p_values(np.ones((6, 1)))[0] == pytest.approx(2 / 64)
