"""Calibration, discrimination and severity curves against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from solvent.diagnostics.conditions.severity import area, monotonicity, trend
from solvent.diagnostics.statistics.reliability import (
    brier,
    calibration_error,
    discrimination,
    reliability,
)


def test_brier_score_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    p, gold = generator.dirichlet(np.ones(3), size=50), generator.integers(3, size=50)
    expected = brier_score_loss(gold, p, labels=[0, 1, 2], scale_by_half=True)
    assert brier(p, gold).mean() == pytest.approx(expected)


def test_calibration_error_of_equal_bins() -> None:
    """150 different confidences: fifteen bins of ten in their order."""
    generator = np.random.default_rng(1)
    confidence = generator.permutation(np.linspace(0.25, 1, 150))
    right = (generator.uniform(size=150) < confidence**2).astype(float)
    order = np.argsort(confidence).reshape(15, 10)
    gaps = np.abs(confidence[order].mean(axis=1) - right[order].mean(axis=1))
    points = reliability(confidence, right)
    assert [point["n"] for point in points] == [10] * 15
    assert calibration_error(points) == pytest.approx(gaps.mean())


def test_equal_confidences_share_a_bin_whatever_their_order() -> None:
    """Halves of the samples at .5 and .9, of which .5 and .6 are right: errors 0 and .3."""
    confidence = np.repeat([0.5, 0.9], 40)
    right = np.concatenate([np.arange(40) < 20, np.arange(40) < 24]).astype(float)
    mixed = np.random.default_rng(2).permutation(80)
    points = reliability(confidence[mixed], right[mixed])
    assert [(point["confidence"], point["accuracy"], point["n"]) for point in points] == [
        pytest.approx((0.5, 0.5, 40)),
        pytest.approx((0.9, 0.6, 40)),
    ]
    assert calibration_error(points) == pytest.approx(0.15)


def test_discrimination_is_the_area_under_the_roc_curve() -> None:
    generator = np.random.default_rng(3)
    right = generator.uniform(size=400) < 0.6
    confidence = np.round(generator.normal(right * 0.8), 1)  # with ties
    values = discrimination(confidence, right)
    assert values.mean() == pytest.approx(roc_auc_score(right, confidence))
    areas = [
        roc_auc_score(right[rows], confidence[rows])
        for rows in generator.integers(400, size=(150, 400))
    ]
    assert values.std() / 400**0.5 == pytest.approx(np.std(areas), rel=0.2)
    assert np.isnan(discrimination(confidence, np.ones(400, bool))).all()


def test_area_by_hand() -> None:
    severities = np.array([0, 0.5, 1.0])
    assert area(severities, np.array([[0, 0.2, 0.6], [0, 1, 1]])) == pytest.approx([0.25, 0.75])
    half = np.array([0, 0.25, 0.5])  # divided by the range that was run
    assert area(half, np.array([[0, 0.2, 0.6]])) == pytest.approx([0.25])


def test_monotonicity_by_hand() -> None:
    """Isotonic fit of 0, 2, 1 is 0, 1.5, 1.5: squares .5 left of 2."""
    severities = np.array([0, 0.5, 1.0])
    assert monotonicity(severities, np.array([[0.0, 2, 1]])) == pytest.approx(0.75)
    assert monotonicity(severities, np.array([[0.0, 1, 2], [0, np.nan, 1]])) == pytest.approx(1)
    assert monotonicity(severities, np.zeros((4, 3))) is None


def test_trend_counts_images_not_samples() -> None:
    generator = np.random.default_rng(4)
    flat = generator.normal(size=(30, 5))
    rising = flat + np.arange(5) / 2
    alone, copies = np.arange(30), np.repeat(np.arange(30), 10)
    assert trend(rising, alone) < 1e-3
    assert trend(-rising, alone) > 0.99
    assert trend(np.repeat(flat, 10, axis=0), copies) == pytest.approx(trend(flat, alone))
    assert trend(flat[:, :3], alone) is None
