"""Slopes within samples and tables of means, against statsmodels' own and the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from solvent.core.intervals import Clustered
from solvent.diagnostics.layer_means import SAME, plain, table
from solvent.diagnostics.statistics.slopes import slope

N, T, UNITS = 40, 4, 12
GENERATOR = np.random.default_rng(0)
CLUSTERS = GENERATOR.integers(UNITS, size=N)
X = GENERATOR.normal(size=(N, T)) + GENERATOR.normal(size=(N, 1))
Y = 0.5 * X + GENERATOR.normal(size=(UNITS, 1))[CLUSTERS] * X + 3 * GENERATOR.normal(size=(N, 1))


def test_the_slope_is_that_with_one_intercept_per_sample() -> None:
    dummies = np.repeat(np.eye(N), T, axis=0)
    design = np.column_stack([X.ravel(), dummies])
    expected = sm.OLS(Y.ravel(), design).fit().params[0]
    found = slope(X, Y, CLUSTERS)
    assert found.value == pytest.approx(expected)
    assert (found.n, found.clusters) == (N, UNITS)
    assert found.doubt == "8 independent images have a say, and a verdict needs 60"


def test_its_error_is_the_sandwich_over_clusters() -> None:
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (X, Y))
    found = slope(X, Y, CLUSTERS)
    residuals = y - found.value * x
    scores = np.array([(x * residuals)[unit == CLUSTERS].sum() for unit in range(UNITS)])
    sizes = np.array([(x**2)[unit == CLUSTERS].sum() for unit in range(UNITS)])
    corrected = scores / np.sqrt(1 - sizes / sizes.sum())  # CR2
    error = np.sqrt((corrected**2).sum()) / sizes.sum()
    freedom = Clustered(scores, sizes, scores**2, None).freedom
    plain = error * t.ppf(0.975, freedom)
    assert found.value - found.low >= plain - 1e-12  # Hall's transformation reaches further on
    assert found.high - found.value >= plain - 1e-12  # one side
    ends = (found.value - found.low, found.high - found.value)
    assert min(ends) == pytest.approx(plain)


def test_what_cannot_be_fitted() -> None:
    broken = Y.copy()
    broken[:5, 0] = np.nan
    assert slope(X, broken, CLUSTERS) == slope(X[5:], Y[5:], CLUSTERS[5:])
    assert slope(X, np.full((N, T), -np.inf), CLUSTERS) is None
    assert slope(np.ones((N, T)), Y, CLUSTERS) is None
    assert slope(X[:0], Y[:0], CLUSTERS[:0]) is None
    alone = slope(X, Y, np.zeros(N, dtype=int))
    assert (alone.low, alone.high, alone.lower, alone.upper) == (None,) * 4


def test_intervals_of_a_table_are_those_of_a_regression_on_a_constant() -> None:
    values = GENERATOR.normal(size=(N, 2, 3)) + GENERATOR.normal(size=(UNITS, 2, 3))[CLUSTERS]
    found = table(values, CLUSTERS)
    low, high = found.interval
    for layer in range(2):
        for head in range(3):
            fit = sm.OLS(values[:, layer, head], np.ones(N)).fit(
                cov_type="cluster", cov_kwds={"groups": CLUSTERS}, use_t=True
            )
            assert found.value[layer, head] == pytest.approx(fit.params[0])
            expected = fit.conf_int()[0]
            np.testing.assert_allclose([low[layer, head], high[layer, head]], expected)


def test_false_discoveries_are_rare_and_true_ones_found() -> None:
    values = GENERATOR.normal(size=(200, 20, 20))
    values[:, 0] += 1.0
    differs = table(values, np.arange(200)).differs(0.0, 0.05)
    assert differs[0].all()
    assert differs[1:].mean() < 0.02
    rounding = np.full((50, 1, 2), 1.0) + GENERATOR.normal(size=(50, 1, 2)) * SAME / 10
    assert not table(rounding, np.arange(50)).differs(1.0, 0.05).any()


def test_layers_without_attention_stay_empty() -> None:
    values = GENERATOR.normal(size=(N, 2, 3))
    values[:, 1], values[:4] = np.nan, np.nan
    found = table(values, CLUSTERS)
    np.testing.assert_allclose(found.value[0], values[4:, 0].mean(axis=0))
    assert found.lists()["low"][1] == [None] * 3
    assert not found.differs(0.0, 0.99)[1].any()
    nothing = table(np.full((N, 1, 2), np.nan), CLUSTERS)
    assert nothing.clusters == 0
    assert plain(nothing.value) == [[None, None]]
    assert not nothing.differs(0.0, 0.99).any()
