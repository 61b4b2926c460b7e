"""Intervals and p-values against scipy, and their coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from solvent.core.intervals import of_values
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    decide,
    estimate,
    estimate_columns,
    holm,
    largest,
    p_above,
    weakest,
)


def clustered(clusters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skewed values, 1 to 4 per cluster, that share a part of their spread."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), generator.integers(1, 5, size=clusters))
    return generator.exponential(size=clusters)[labels] + generator.normal(size=len(labels)), labels


def test_columns_leave_out_what_is_missing() -> None:
    values, labels = clustered(50)
    partly = np.where(labels < 20, np.nan, values)
    found = estimate_columns(
        {"all": values, "part": partly, "none": np.full(len(values), np.nan)}, labels, {}
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


BOUNDED = (-1.0, 1.0)


def test_verdicts_need_enough_independent_images() -> None:
    """The decision table: 20 effective clusters with known bounds, 60 and 5 that differ without."""
    values = 0.5 + 0.01 * np.random.default_rng(6).normal(size=150)
    for count, bounds, verdict in (
        (19, BOUNDED, "INCONCLUSIVE"),
        (40, BOUNDED, "PASS"),
        (59, None, "INCONCLUSIVE"),
        (60, None, "PASS"),
    ):
        found = estimate(values[:count], np.arange(count), bounds)
        assert decide(found, 0.1) == verdict
        assert (found.doubt is None) == (verdict == "PASS")
        assert found.low < 0.5 < found.high
    few = estimate(values[:4], np.arange(4), BOUNDED)
    assert (few.low, few.high, few.doubt[:2]) == (None, None, "4 ")
    still = estimate(np.r_[np.full(96, 0.5), 0.6, 0.7, 0.8, 0.9], np.arange(100))
    assert still.doubt == "only 4 images differ from the others"
    large = np.r_[np.zeros(60, int), np.arange(1, 91)]  # one image holds 40 % of 150 samples
    assert estimate(values, large, BOUNDED).doubt.startswith("6 independent images")


def test_verdicts_are_made_of_one_sided_bounds_in_large_samples_only() -> None:
    values = np.random.default_rng(7).uniform(-1, 1, size=120)
    for count, confidence in ((99, 0.95), (120, 0.9)):
        found = estimate(values[:count], np.arange(count), BOUNDED)
        expected = of_values(values[:count], np.arange(count), BOUNDED).interval(confidence)
        assert (found.lower, found.upper) == pytest.approx(expected)
        assert (found.lower == found.low) == (confidence == 0.95)


def test_p_values_are_about_the_margin() -> None:
    values = 0.3 + 0.1 * np.random.default_rng(8).normal(size=80)
    assert p_above(values, np.arange(80), 0.1, BOUNDED) < 0.001
    assert p_above(values, np.arange(80), 0.3, BOUNDED) > 0.2
    assert p_above(values[:0], np.arange(0), 0.1, BOUNDED) is None
    assert largest(0.01, 0.2) == 0.2
    assert largest(0.01, None) is None


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
        )

    assert decide(between(0.02, 0.05), 0.01) == "PASS"
    assert decide(between(-0.02, 0.005), 0.01) == "FAIL"
    assert decide(between(0.0, 0.02), 0.01) == "INCONCLUSIVE"
    assert decide(None, 0.01) == "NOT APPLICABLE"
    assert decide(replace(between(0.02, 0.05), lower=None, upper=None), 0.01) == "INCONCLUSIVE"
    assert weakest("PASS", "INCONCLUSIVE", "FAIL") == "FAIL"
    assert weakest("PASS", "INCONCLUSIVE") == "INCONCLUSIVE"
    assert weakest("PASS", "PASS") == "PASS"
    assert weakest("PASS", "NOT APPLICABLE") == "NOT APPLICABLE"


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_equal_values_have_no_spread_but_rounding() -> None:
    values = 0.1 + 1e-16 * np.random.default_rng(5).integers(-3, 4, size=60)
    found = estimate(values, np.arange(60) % 20)
    assert (found.low, found.high) == pytest.approx((found.value, found.value), abs=1e-12)


def test_one_sample_has_no_interval_and_none_no_mean() -> None:
    one = estimate(np.array([0.3]), np.array([7]))
    assert (one.value, one.low, one.high, one.lower) == (0.3, None, None, None)
    assert estimate(np.empty(0), np.empty(0, int)) is None
