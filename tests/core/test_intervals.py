"""The interval against scipy, statsmodels and matrices written out, and how often it covers."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import fractional_matrix_power
from scipy.stats import binomtest, norm, ttest_1samp
from scipy.stats import t as student

from solvent.core.intervals import (
    DIFFERENCE,
    SHARE,
    Bounds,
    Clustered,
    of_nested_mean,
    of_values,
    wilson,
)

SIZES = np.array([1, 1, 2, 3, 3, 4, 6, 9, 9, 12])


def drawn(sizes: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skewed values, alike inside clusters."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return generator.exponential(size=len(sizes))[labels] + generator.normal(
        size=sizes.sum()
    ), labels


def test_without_skewness_and_clusters_it_is_the_t_interval() -> None:
    half = np.random.default_rng(0).normal(size=20)
    values = np.concatenate([half, -half]) + 0.3
    found = of_values(values, np.arange(40), None)
    theirs = ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.interval() == pytest.approx((theirs.low, theirs.high))
    assert found.freedom == pytest.approx(39)
    p = ttest_1samp(values, 0.2, alternative="greater").pvalue
    assert found.p_above(0.2) == pytest.approx(p)
    assert found.p_below(0.2) == pytest.approx(1 - p)


def test_its_error_and_freedom_are_those_of_matrices() -> None:
    """CR2 and its degrees of freedom as Bell and McCaffrey (2002) write them, for a mean."""
    values, labels = drawn(SIZES)
    count, residuals = len(values), values - values.mean()
    hat = np.full((count, count), 1 / count)
    blocks, columns = [], []
    for cluster in range(len(SIZES)):
        rows = labels == cluster
        inside = np.eye(rows.sum()) - hat[np.ix_(rows, rows)]
        fixed = np.real(fractional_matrix_power(inside, -0.5)) @ np.ones(rows.sum())
        blocks.append(fixed @ residuals[rows] / count)
        columns.append((np.eye(count) - hat)[:, rows] @ fixed / count)
    found = of_values(values, labels, None)
    t = student.ppf(0.975, found.freedom)
    low, high = found.interval()
    error = np.sqrt(np.sum(np.square(blocks)))
    assert min(values.mean() - low, high - values.mean()) == pytest.approx(t * error)
    freedoms = []
    for alike in (np.eye(count), (labels[:, None] == labels).astype(float)):
        spread = np.array(columns) @ alike @ np.array(columns).T
        freedoms.append(np.trace(spread) ** 2 / (spread**2).sum())
    assert found.freedom == pytest.approx(min(freedoms), rel=1e-9)


def test_equally_large_clusters_have_the_error_of_statsmodels() -> None:
    values, labels = drawn(np.full(12, 5))
    found = of_values(values, labels, None)
    fit = sm.OLS(values, np.ones(60)).fit(
        cov_type="cluster", cov_kwds={"groups": labels, "use_correction": False}, use_t=True
    )
    error = fit.bse[0] * np.sqrt(12 / 11)
    t = student.ppf(0.975, 11)
    low, high = found.interval()
    assert min(values.mean() - low, high - values.mean()) == pytest.approx(t * error)


def test_skewness_is_taken_out_as_hall_does() -> None:
    """The further end solves g(T) = -t with g(T) = T + k T^2 / 3 + k^2 T^3 / 27 + k / 6."""
    values = np.random.default_rng(1).lognormal(size=30)
    residuals = (values - values.mean()) / np.sqrt(1 - 1 / 30)
    skew = (residuals**3).sum() / (residuals**2).sum() ** 1.5
    error = np.sqrt((residuals**2).sum()) / 30
    _, high = of_values(values, np.arange(30), None).interval()
    t = (values.mean() - high) / error
    assert t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6 == pytest.approx(
        -student.ppf(0.975, 29)
    )


def test_known_bounds_add_a_sample_at_each_of_them() -> None:
    values = np.zeros(48)
    low, high = of_values(values, np.arange(48), SHARE).interval()
    with_two = np.concatenate([values, [0.0, 1.0]])
    middle = with_two.mean()
    spread = ((values - middle) ** 2).sum() / (1 - 1 / 48) + middle**2 + (1 - middle) ** 2
    half = student.ppf(0.975, 47) * np.sqrt(spread) / 50
    assert high == pytest.approx(middle + half)
    assert low == 0.0  # clipped


def test_p_values_agree_with_the_ends() -> None:
    for seed in range(20):
        values, labels = drawn(np.random.default_rng(seed).integers(1, 7, size=25), seed)
        bounds = DIFFERENCE if seed % 2 else None  # of 15 to 21 effective clusters
        found = of_values(np.tanh(values / 4), labels, bounds)
        low, high = found.interval()
        assert found.p_above(low - 1e-6) < 0.025 < found.p_above(low + 1e-6)
        assert found.p_below(high + 1e-6) < 0.025 < found.p_below(high - 1e-6)


def test_too_few_clusters_say_nothing() -> None:
    values, labels = drawn(np.array([30, 1, 1, 1, 1, 1, 1]))
    found = of_values(values, labels, SHARE)
    assert found.effective < 5
    assert (found.interval(), found.p_above(0.0), found.p_below(0.0)) == (None, None, None)


def test_a_ratio_of_sums_is_a_mean_of_weighted_values() -> None:
    generator = np.random.default_rng(3)
    bottoms = generator.integers(1, 5, size=80).astype(float)
    tops = bottoms * generator.normal(0.4, 0.1, size=80)
    found = Clustered(tops, bottoms, tops**2 / bottoms, None)
    assert found.mean == pytest.approx(tops.sum() / bottoms.sum())
    linear = (tops - found.mean * bottoms) / bottoms.mean()
    error = linear.std(ddof=1) / np.sqrt(80)
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(1.99 * error, rel=0.05)


def cover(draw: object, truth: float, count: int, bounds: Bounds | None, runs: int = 400) -> float:
    inside = 0
    for seed in range(runs):
        low, high = of_values(
            draw(np.random.default_rng(seed), count),
            np.arange(count),
            bounds,  # type: ignore[operator]
        ).interval()
        inside += low <= truth <= high
    return inside / runs


def test_it_covers_where_percentiles_do_not() -> None:
    """Percentile intervals cover 39 % of rare movers at 10 images and 87 % of skewed values at 30;
    the binomial error of 400 runs at .95 is .011.
    """
    rare = cover(lambda rng, n: (rng.random(n) < 0.05) * rng.random(n), 0.025, 10, SHARE)
    skewed = cover(lambda rng, n: rng.lognormal(size=n), np.exp(0.5), 30, None)
    right = cover(lambda rng, n: (rng.random(n) < 0.95) * 1.0, 0.95, 20, SHARE)
    assert rare >= 0.97
    assert skewed >= 0.90
    assert right >= 0.97


@pytest.mark.parametrize("trials", [1, 2, 7, 180, 1000])
def test_wilsons_interval_is_that_of_scipy(trials: int) -> None:
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        theirs = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        ours = wilson(successes / trials, trials, norm.ppf(0.975))
        assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_mean_of_means_has_the_variance_of_its_parts() -> None:
    """Two parts with clusters of their own: Wilson's interval of mean (1 - mean) / variance trials,
    with Welch's degrees of freedom.
    """
    generator = np.random.default_rng(4)
    parts = [(generator.random(size) < share) * 1.0 for size, share in ((30, 0.9), (50, 0.5))]
    sums, sizes = np.zeros((80, 2)), np.zeros((80, 2))
    sums[:30, 0], sums[30:, 1] = parts
    sizes[:30, 0], sizes[30:, 1] = 1, 1
    variances = [part.var(ddof=1) / len(part) / 4 for part in parts]
    mean = (parts[0].mean() + parts[1].mean()) / 2
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 29 + variances[1] ** 2 / 49)
    expected = wilson(mean, mean * (1 - mean) / sum(variances), student.ppf(0.975, freedom))
    assert of_nested_mean(sums, sizes, np.array([0.5, 0.5])) == pytest.approx(expected)
    alone = np.vstack([sums, [1.0, 1.0]]), np.vstack([sizes, [1.0, 1.0]])
    assert of_nested_mean(*alone, np.array([0.5, 0.5])) is None  # one cluster with both parts


def test_parts_without_any_spread_are_no_certainty() -> None:
    sums = sizes = np.kron(np.eye(2), np.ones((20, 1)))
    low, high = of_nested_mean(sums, sizes, np.array([0.5, 0.5]))
    assert high == 1.0
    assert low == pytest.approx(wilson(1.0, 40, student.ppf(0.975, 38))[0])
