"""Random effects against what metafor says of published data, and formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from solvent.studies.comparison.paired_statistics.random_effects import (
    summarise,
    summarise_crossed,
)

# Nine laboratories' measurements: Kacker (2004), https://doi.org/10.1088/0026-1394/41/3/004.
VALUES = [61.00, 61.40, 62.21, 62.30, 62.34, 62.60, 62.70, 62.84, 65.90]
VARIANCES = [0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225]


def test_published_measurements() -> None:
    """Numbers of R's metafor, rma(method="PM"), as statsmodels' tests have them; Kacker's table 1
    has tau = .8399. At Paule and Mandel's tau the factor of Hartung and Knapp is 1.
    """
    found = summarise(VALUES, np.sqrt(VARIANCES).tolist())
    mean, error = 62.4076199113286, 0.338030602684471
    assert found.value == pytest.approx(mean, abs=1e-6)
    assert found.tau**2 == pytest.approx(0.705395309224248, abs=1e-5)
    assert found.tau == pytest.approx(0.8399, abs=1e-4)
    assert found.i2 == pytest.approx(0.837218626490482, abs=1e-5)
    half = 2.3060041 * error  # t of 8 degrees of freedom
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), abs=1e-5)
    reach = 2.3646243 * np.sqrt(0.705395309 + error**2)  # of 7
    assert found.prediction_low == pytest.approx(mean - reach, abs=1e-5)
    assert found.prediction_high == pytest.approx(mean + reach, abs=1e-5)
    assert found.k == 9


def test_what_is_left_over_is_what_the_variance_between_explains() -> None:
    """Paule and Mandel's equation: squares over (error^2 + tau^2) sum to k - 1, or less without."""
    generator, errors = np.random.default_rng(0), np.array([0.003, 0.01, 0.03, 0.01, 0.02])
    without = 0
    for _ in range(500):
        effects = generator.normal(0, np.hypot(0.01, errors))
        found = summarise(effects.tolist(), errors.tolist())
        left = ((effects - found.value) ** 2 / (errors**2 + found.tau**2)).sum()
        assert left == pytest.approx(4, abs=1e-4) if found.tau > 0 else left <= 4
        without += found.tau == 0
    assert 0 < without < 250


def test_alike_effects_are_no_surer_than_their_errors() -> None:
    """Hartung and Knapp alone would give an interval of no width."""
    found = summarise([0.1, 0.1, 0.1, 0.1], [0.02] * 4)
    assert (found.tau, found.i2) == (0.0, 0.0)
    assert found.high - found.value == pytest.approx(student.ppf(0.975, 3) * 0.01)
    assert found.prediction_high >= found.high


def test_few_effects_and_no_errors() -> None:
    one = summarise([0.1], [0.02])
    assert one.value == 0.1
    assert {one.low, one.high, one.prediction_low, one.tau, one.i2} == {None}
    two = summarise([0.1, 0.3], [0.02, 0.02])
    assert two.high - two.value == pytest.approx(student.ppf(0.975, 1) * 0.1)
    assert (two.prediction_low, two.prediction_high) == (None, None)
    values = [0.1, 0.2, 0.3, 0.6]
    found = summarise(values, [0.0] * 4)  # then it is the t interval of the effects
    assert found.value == pytest.approx(0.3)
    assert found.tau == pytest.approx(np.std(values, ddof=1), rel=1e-5)
    half = student.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert found.high - found.value == pytest.approx(half, rel=1e-5)
    mixed = summarise(values, [0.0, 0.02, 0.03, 0.04])
    assert mixed == summarise(values, [0.02, 0.02, 0.03, 0.04])
    with pytest.raises(ValueError, match="2 effects with 1 standard errors"):
        summarise([0.1, 0.2], [0.1])


@pytest.mark.parametrize("spreads", [(0, 0), (2, 0), (0, 2), (1, 1)])
def test_models_and_benchmarks_are_no_more_than_they_are(spreads: tuple[float, float]) -> None:
    """What is particular about a model moves all of its benchmarks: twelve effects, three models.
    As twelve observations they would cover the truth in two of three studies.
    """
    draw = np.random.default_rng(0)
    names = [(f"m{model}", f"b{benchmark}") for model in range(3) for benchmark in range(4)]
    covered = []
    for _ in range(150):
        of_models, of_benchmarks = (draw.normal(0, each, 4) for each in spreads)
        effects = draw.normal(of_models[:3, None] + of_benchmarks, 1).ravel()
        found = summarise_crossed(effects.tolist(), [1.0] * 12, *zip(*names, strict=True))
        assert found.low is not None
        assert found.high is not None
        covered.append(found.low < 0 < found.high)
    assert np.mean(covered) > 0.92


def test_two_models_predict_no_third() -> None:
    models, benchmarks = ["a", "a", "a", "b", "b", "b"], ["x", "y", "z"] * 2
    found = summarise_crossed([1, 2, 3, 2, 3, 4], [0.5] * 6, models, benchmarks)
    alone = summarise([1, 2, 3, 2, 3, 4], [0.5] * 6)
    assert found.value == alone.value == pytest.approx(2.5)
    # by hand: means of models 2 and 3, of benchmarks 1.5, 2.5 and 3.5
    variances = 0.5 / 2, 1.0 / 3
    free = sum(variances) ** 2 / (variances[0] ** 2 / 1 + variances[1] ** 2 / 2)
    half = max(
        student.ppf(0.975, 1) * variances[0] ** 0.5,
        student.ppf(0.975, 2) * variances[1] ** 0.5,
        student.ppf(0.975, free) * sum(variances) ** 0.5,
    )
    assert found.high == pytest.approx(2.5 + half)
    assert found.prediction_low is None
    with pytest.raises(ValueError, match="two of each"):
        summarise_crossed([1, 2], [1, 1], ["a", "a"], ["x", "y"])
