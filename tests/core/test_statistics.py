"""Paired differences against hand computation and against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test

from solvent.core.statistics import paired_difference, sign_flips
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


def test_five_questions_of_an_image_are_one_observation() -> None:
    generator = np.random.default_rng(1)
    images = [str(index // 5) for index in range(300)]
    per_image = generator.integers(0, 2, 60).repeat(5)  # the five questions of an image agree
    treated, baseline = rows(list(per_image.astype(float)), images), rows([0.0] * 300, images)
    found, once = paired_difference(treated, baseline), per_image[::5]
    alone = paired_difference(
        rows(list(once.astype(float)), images[::5]), rows([0.0] * 60, images[::5])
    )
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert found.p == alone.p


@pytest.mark.parametrize("count", [9, 40])
def test_flips_of_signs_are_those_of_scipy(count: int) -> None:
    generator = np.random.default_rng(4)
    for shift in (-0.2, 0.0, 0.3, 0.6):
        sums = generator.normal(shift, size=count)
        above, below = sign_flips(sums)
        for found, side in ((above, "greater"), (below, "less")):
            exact = permutation_test(
                (sums,),
                lambda values, axis: values.sum(axis=axis),
                permutation_type="samples",
                vectorized=True,
                alternative=side,
                n_resamples=np.inf if count < 16 else 50_000,
                rng=np.random.default_rng(0),
            ).pvalue
            error = 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4
            assert found == pytest.approx(exact, abs=1e-12 if count < 16 else error)
    assert sign_flips(np.zeros(24)) == (1.0, 1.0)


def test_cells_without_the_same_samples_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="only over the same samples; 1 of 2"):
        paired_difference(rows([1, 1], ["a", "b"]), rows([1], ["a"]))
