"""Paired differences against hand computation and against an independent resampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from solvent.core.statistics import paired_difference, wilson
from tests.reports.test_results import ROW


def rows(credits: list[float], images: list[str]) -> list:
    return [
        replace(ROW, uid=str(index), credit=credit, groups={"image": image})
        for index, (credit, image) in enumerate(zip(credits, images, strict=True))
    ]


def test_difference_and_mcnemar_by_hand() -> None:
    images = [str(index) for index in range(10)]
    treated = rows([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], images)
    baseline = rows([1, 1, 1, 1, 1, 1, 1, 1, 0, 1], images)
    found = paired_difference(treated, baseline)
    assert found.value == pytest.approx(-0.4)
    assert (found.n, found.clusters) == (10, 10)
    # 5 losses and 1 win: two-sided exact p = 2 * (C(6,0) + C(6,1)) / 2^6
    assert found.p == pytest.approx(2 * (1 + 6) / 64)


def test_interval_resamples_images_not_questions() -> None:
    generator = np.random.default_rng(1)
    images = [str(index // 5) for index in range(200)]
    per_image = generator.integers(0, 2, 40).repeat(5)  # the five questions of an image agree
    treated, baseline = rows(list(per_image.astype(float)), images), rows([0.0] * 200, images)
    found = paired_difference(treated, baseline)
    means = per_image.reshape(40, 5).mean(1)
    drawn = means[np.random.default_rng(2).integers(0, 40, (20000, 40))].mean(1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.015)


def test_cells_without_the_same_samples_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="only over the same samples; 1 of 2"):
        paired_difference(rows([1, 1], ["a", "b"]), rows([1], ["a"]))


@pytest.mark.parametrize("trials", [1, 2, 7, 180, 1000])
def test_wilsons_interval_is_that_of_scipy(trials: int) -> None:
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        theirs = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert wilson(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-15)
        part = successes * 0.9  # of successes, as credits are
        theirs = proportion_confint(part, trials, alpha=0.1, method="wilson")
        assert wilson(part, trials, 0.9) == pytest.approx(theirs, abs=1e-12)
