"""Differences of scores: where a score is a plain mean, the jackknife is the t interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.score_difference import score_difference

ARM, CONTROL = (np.random.default_rng(seed).random(400) for seed in (0, 1))


def means(rows: np.ndarray) -> tuple[float, float]:
    return float(ARM[rows].mean()), float(CONTROL[rows].mean())


def test_of_means_it_is_the_t_interval_over_groups() -> None:
    for clusters, count in ((np.arange(40).repeat(10), 40), (np.arange(400), 50)):
        layout = Layout.of(clusters)
        found = score_difference(means, layout)
        differences = ARM - CONTROL
        assert found.value == pytest.approx(differences.mean())
        assert found.groups == count
        if count == 40:
            groups = differences.reshape(40, 10).mean(axis=1)
            added = 2 / 42**2
            half = student.ppf(0.975, 39) * np.sqrt(groups.var(ddof=1) / 40 + added)
            assert found.high - found.value == pytest.approx(half)
        else:
            half = 1.96 * differences.std(ddof=1) / 20
            assert found.high - found.value == pytest.approx(half, rel=0.3)


def test_seeds_are_crossed_with_questions() -> None:
    layout = Layout.of(np.arange(40).repeat(10))
    groups = (ARM - CONTROL).reshape(40, 10).mean(axis=1)
    a = groups.var(ddof=1) / 40 + 2 / 42**2
    for by_seed in ([0.0, 0.02, 0.04], [-0.2, 0.1, 0.4]):
        b = np.var(by_seed, ddof=1) / 3
        freedom = np.array([39, 2, (a + b) ** 2 / (a**2 / 39 + b**2 / 2)])
        halves = student.ppf(0.975, freedom) * np.sqrt([a, b, a + b])
        found = score_difference(means, layout, by_seed)
        assert found.high == pytest.approx(min(1.0, found.value + halves.max()))
        assert score_difference(means, layout, by_seed[:1]) == score_difference(means, layout)


def test_scores_that_agree_are_no_certainty() -> None:
    found = score_difference(lambda rows: (0.5, 0.5), Layout.of(np.arange(180)))
    assert found.high == pytest.approx(student.ppf(0.975, 49) * np.sqrt(2) / 182)


def test_without_ground_there_is_no_interval() -> None:
    few = score_difference(means, Layout.of(np.arange(400) % 19))
    assert (few.low, few.high) == (None, None)
    assert few.value == pytest.approx((ARM - CONTROL).mean())
    layout = Layout.of(np.arange(400))
    rare = score_difference(lambda rows: (1.0, 1.0 if 7 in rows else np.nan), layout)
    assert (rare.value, rare.low) == (0.0, None)
    assert score_difference(lambda rows: (np.nan, 1.0), layout) is None
