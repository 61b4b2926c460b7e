"""Intervals and p-values against scipy, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, permutation_test

from solvent.core.statistics import wilson
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    decide,
    estimate,
    estimate_columns,
    estimate_ratio,
    holm,
    proportion,
    sign_flip,
    weakest,
)


def clustered(clusters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skewed values, 1 to 4 per cluster, that share a part of their spread."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), generator.integers(1, 5, size=clusters))
    return generator.exponential(size=clusters)[labels] + generator.normal(size=len(labels)), labels


def by_scipy(
    tops: np.ndarray, bottoms: np.ndarray, method: str, confidence: float
) -> tuple[float, float]:
    interval = bootstrap(
        (tops, bottoms),
        lambda top, bottom, axis: top.sum(axis=axis) / bottom.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=10_000,
        confidence_level=confidence,
        method=method,
        rng=np.random.default_rng(0),
        batch=500,
    ).confidence_interval
    return float(interval.low), float(interval.high)


@pytest.mark.parametrize(("clusters", "method"), [(60, "BCa"), (600, "percentile")])
def test_intervals_are_those_of_scipy(clusters: int, method: str) -> None:
    values, labels = clustered(clusters)
    ours = estimate(values, labels)
    sums, sizes = np.bincount(labels, values), np.bincount(labels)
    assert ours.value == pytest.approx(values.mean())
    assert (ours.n, ours.clusters, ours.reliable) == (len(values), clusters, True)
    assert (ours.low, ours.high) == pytest.approx(by_scipy(sums, sizes, method, 0.95), rel=1e-9)
    assert (ours.lower, ours.upper) == pytest.approx(by_scipy(sums, sizes, method, 0.9), rel=1e-9)


def test_ratios_are_those_of_scipy() -> None:
    generator = np.random.default_rng(1)
    tops, bottoms = generator.uniform(1, 3, size=40), generator.uniform(2, 3, size=40)
    ours = estimate_ratio(tops, bottoms, np.arange(40))
    assert ours.value == pytest.approx(tops.mean() / bottoms.mean())
    assert (ours.low, ours.high) == pytest.approx(by_scipy(tops, bottoms, "BCa", 0.95), rel=1e-9)
    assert estimate_ratio(tops, np.zeros(40), np.arange(40)) is None


def test_columns_leave_out_what_is_missing() -> None:
    values, labels = clustered(50)
    partly = np.where(labels < 20, np.nan, values)
    found = estimate_columns(
        {"all": values, "part": partly, "none": np.full(len(values), np.nan)}, labels
    )
    assert found["none"] is None
    for name, rows in (("all", labels >= 0), ("part", labels >= 20)):
        alone = estimate(values[rows], labels[rows])
        assert vars(found[name]) == pytest.approx(vars(alone))


def test_intervals_cover() -> None:
    """Normal values of clusters of three; the binomial error of 120 runs at .94 is .022."""
    generator, labels, covered = np.random.default_rng(2), np.repeat(np.arange(40), 3), 0
    for _ in range(120):
        values = generator.normal(size=40)[labels] + generator.normal(size=120)
        found = estimate(values, labels)
        covered += found.low <= 0 <= found.high
    assert 0.89 <= covered / 120 <= 0.985


def test_duplicates_of_an_image_are_no_new_evidence() -> None:
    """Five copies of every value: the same width as without them, not 5 ** .5 times less."""
    values = np.random.default_rng(3).normal(size=200)
    once = estimate(values, np.arange(200))
    copied = estimate(np.repeat(values, 5), np.repeat(np.arange(200), 5))
    ignored = estimate(np.repeat(values, 5), np.arange(1000))
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.1)
    assert ignored.high - ignored.low < 0.5 * (once.high - once.low)


def test_sign_flips_are_those_of_scipy() -> None:
    generator = np.random.default_rng(4)
    labels = np.repeat(np.arange(12), 2)
    for shift in (-0.2, 0.0, 0.3, 0.6):
        values = generator.normal(shift, size=24)
        exact = permutation_test(
            (np.bincount(labels, values),),
            lambda sums, axis: sums.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            alternative="greater",
            n_resamples=np.inf,
        ).pvalue
        error = 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4
        assert sign_flip(values, labels) == pytest.approx(exact, abs=error)
    assert sign_flip(np.zeros(24), labels) == 1.0


def test_proportions_are_wilson_intervals_over_clusters() -> None:
    hits = np.arange(40) < 30
    found = proportion(hits, np.arange(40))
    assert (found.value, found.low, found.high) == pytest.approx((0.75, *wilson(30, 40)))
    doubled = proportion(np.repeat(hits, 2), np.repeat(np.arange(40), 2))
    assert (doubled.low, doubled.high) == pytest.approx((found.low, found.high))
    z = norm.ppf(0.95)  # Wilson's lower bound of a share of 1 is 1 / (1 + z^2 / n)
    assert proportion(np.ones(40, bool), np.arange(40)).lower == pytest.approx(1 / (1 + z**2 / 40))
    assert proportion(np.empty(0, bool), np.empty(0, int)) is None


def test_verdicts() -> None:
    def between(lower: float, upper: float) -> Estimate:
        return Estimate(
            value=(lower + upper) / 2,
            low=lower,
            high=upper,
            lower=lower,
            upper=upper,
            n=40,
            clusters=40,
            reliable=True,
        )

    assert decide(between(0.02, 0.05), 0.01) == "PASS"
    assert decide(between(-0.02, 0.005), 0.01) == "FAIL"
    assert decide(between(0.0, 0.02), 0.01) == "INCONCLUSIVE"
    assert decide(None, 0.01) == "NOT APPLICABLE"
    assert weakest("PASS", "INCONCLUSIVE", "FAIL") == "FAIL"
    assert weakest("PASS", "INCONCLUSIVE") == "INCONCLUSIVE"
    assert weakest("PASS", "PASS") == "PASS"
    assert weakest("PASS", "NOT APPLICABLE") == "NOT APPLICABLE"


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_equal_values_have_no_spread_but_rounding() -> None:
    values = 0.1 + 1e-16 * np.random.default_rng(5).integers(-3, 4, size=60)
    found = estimate(values, np.arange(60) % 20)
    assert (found.low, found.high) == (found.value, found.value)


def test_one_sample_has_no_spread_and_none_no_mean() -> None:
    one = estimate(np.array([0.3]), np.array([7]))
    assert (one.value, one.low, one.high, one.reliable) == (0.3, 0.3, 0.3, False)
    assert estimate(np.empty(0), np.empty(0, int)) is None
