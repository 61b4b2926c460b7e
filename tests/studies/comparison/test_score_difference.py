"""Differences of scores: where a score is a plain mean, the jackknife is the t interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
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
            powers = (groups - groups.mean()) ** 2
            spread = 2 * powers.sum() ** 2 / ((powers**2).sum() - powers.sum() ** 2 / 40)
            freedom = min(39, spread)
            half = student.ppf(0.975, freedom) * np.sqrt(groups.var(ddof=1) / 40 + added)
            assert found.high - found.value == pytest.approx(half)
        else:
            half = 1.96 * differences.std(ddof=1) / 20
            assert found.high - found.value == pytest.approx(half, rel=0.3)


def test_seeds_are_crossed_with_questions() -> None:
    layout = Layout.of(np.arange(40).repeat(10))
    groups = (ARM - CONTROL).reshape(40, 10).mean(axis=1)
    alone = score_difference(means, layout)
    a = groups.var(ddof=1) / 40 + 2 / 42**2
    wanted = (alone.high - alone.value) / np.sqrt(a)
    items = brentq(lambda each: student.ppf(0.975, each) - wanted, 1, 100)
    for by_seed in ([0.0, 0.02, 0.04], [-0.2, 0.1, 0.4]):
        b = np.var(by_seed, ddof=1) / 3
        freedom = np.array([items, 2, (a + b) ** 2 / (a**2 / items + b**2 / 2)])
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


def test_one_question_that_decides_leaves_two_degrees_of_freedom() -> None:
    """And questions that count more than others are fewer than they are."""
    layout, values = Layout.of(np.arange(50)), np.zeros(50)
    values[7] = 1.0
    found = score_difference(lambda rows: (float(values[rows].mean()), 0.0), layout)
    # Deviations are 1 and 49 times 1 / 49: sum of squares 50 / 49, of fourth powers 1 + 49^-3.
    freedom = 2 * (50 / 49) ** 2 / (1 + 49**-3 - 50 / 49**2)
    half = student.ppf(0.975, freedom) * np.sqrt(0.02**2 + 2 / 52**2)
    assert found.high == pytest.approx(0.02 + half)
    pulls = np.repeat([1 / 20, 1 / 80], [10, 40])
    effective = 1 / (10 / 20**2 + 40 / 80**2)
    agreed = score_difference(lambda rows: (0.5, 0.5), layout, pulls=pulls)
    half = student.ppf(0.975, 49) * np.sqrt(2) / (effective + 2)
    assert agreed.high == pytest.approx(half)
