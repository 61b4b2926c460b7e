"""Bands over arms of one curve, and the best of them on other clusters."""

from __future__ import annotations

import numpy as np
import pytest

from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.paired import compare
from solvent.studies.comparison.paired_statistics.simultaneous import bands, held_out_peak

ALONE = Layout.of(np.arange(300))


def drawn(arms: int, questions: int, seeds: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.choice([-1.0, 0.0, 0.0, 0.0, 1.0], size=(arms, seeds, questions))


def ends(differences: np.ndarray, layout: Layout, confidence: float) -> np.ndarray:
    return np.array([compare(each, layout).evidence.interval(confidence) for each in differences]).T


def test_arms_that_are_one_arm_have_the_band_of_one() -> None:
    same = np.repeat(drawn(1, 300), 20, axis=0)
    assert np.array(bands(same, ALONE)) == pytest.approx(ends(same, ALONE, 0.95), abs=0.002)


def test_arms_without_anything_in_common_have_nearly_bonferronis() -> None:
    """1 - .95^(1/20) and .05 / 20 differ by 2.5 %, and .0001 is the step of 10,000 flips."""
    arms = drawn(20, 300)
    low, high = bands(arms, ALONE)
    assert high - low == pytest.approx(np.diff(ends(arms, ALONE, 1 - 0.05 / 20), axis=0)[0], 0.04)
    narrow = np.diff(ends(arms, ALONE, 1 - 0.05 / 10), axis=0)[0]
    assert (high - low > narrow).all()


def test_few_clusters_and_seeds_have_bonferronis() -> None:
    few = Layout.of(np.arange(30))
    same = np.repeat(drawn(1, 300, seeds=3), 8, axis=0)
    for arms, layout in ((drawn(8, 30), few), (same, ALONE)):
        assert np.array(bands(arms, layout)) == pytest.approx(ends(arms, layout, 1 - 0.05 / 8))
    assert bands(drawn(8, 19), Layout.of(np.arange(19))) is None
    heavy = Layout.of(np.repeat(np.arange(301), [100, *[1] * 300]))
    assert bands(drawn(8, 400), heavy) is None  # of 15 effective images


def test_arms_that_change_nothing_have_a_band() -> None:
    low, high = bands(np.zeros((4, 1, 300)), ALONE)
    assert (low < 0).all()
    assert (high == -low).all()


def test_the_best_arm_is_measured_where_it_was_not_chosen() -> None:
    """An arm that is 1 on half of the clusters and -1 on the others shows which half is which."""
    found = [held_out_peak(drawn(40, 300, seed=seed), ALONE) for seed in range(60)]
    chosen = np.mean([each.chosen_value for each in found])
    measured = [each.estimate.value for each in found]
    assert chosen > 0.1  # the greatest of 40, of standard deviation .05
    assert abs(np.mean(measured)) < 4 * np.std(measured) / np.sqrt(60)
    layout = Layout.of(np.arange(300) // 3)
    peak = held_out_peak(drawn(3, 300) + np.array([0.0, 0.9, 0.0])[:, None, None], layout)
    assert (peak.arm, peak.estimate.clusters, peak.estimate.n) == (1, 50, 150)
    assert peak.p < 0.001
    first = np.zeros((2, 1, 300))
    rows = held_rows(layout)
    first[1, 0, rows] = -1.0
    again = held_out_peak(first, layout)
    assert (again.arm, again.chosen_value) == (0, 0.0)
    first[1, 0] = 1.0
    first[1, 0, rows] = -1.0
    again = held_out_peak(first, layout)
    assert (again.arm, again.chosen_value, again.estimate.value) == (1, 1.0, -1.0)
    assert held_out_peak(first[:, :, :1], Layout.of(np.zeros(1, int))) is None


def held_rows(layout: Layout) -> np.ndarray:
    """Questions of the half that measures, found by an arm that is different in each of them."""
    rows = []
    for cluster in range(len(layout.sizes)):
        probe = np.zeros((1, 1, 300))
        probe[0, 0, layout.rows_of(np.array([cluster]))] = 1.0
        if held_out_peak(probe, layout).chosen_value == 0:
            rows.append(layout.rows_of(np.array([cluster])))
    return np.concatenate(rows)
