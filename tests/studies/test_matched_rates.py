"""One bias per option gives the wanted rates: against all biases, and against another solver."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from solvent.studies.controls.matched_rates import with_near_ties_flipped, with_rates


def test_yes_and_no_are_those_of_the_bias_that_a_search_finds() -> None:
    """Of all thresholds on yes - no, the one under which yes is said as often as wanted."""
    generator = np.random.default_rng(0)
    values = generator.normal(-3, 2, size=(60, 2))
    lead = values[:, 1] - values[:, 0]
    edges = np.sort(lead)
    for yes in (0, 1, 17, 59, 60):
        found = with_rates(values, np.array([60 - yes, yes]))
        tried = [-(low + high) / 2 for low, high in pairwise(edges)]
        (bias,) = [
            each
            for each in (-edges[0] + 1, *tried, -edges[-1] - 1)
            if (lead + each > 0).sum() == yes
        ]
        assert np.array_equal(found.shares[:, 1], lead + bias > 0)
        if 0 < yes < 60:  # in the middle between the two questions
            assert found.bias[1] - found.bias[0] == pytest.approx(bias)


def test_three_and_more_options_are_those_of_the_dual_problem() -> None:
    """sum of max(values + bias) - counts @ bias is least where each option is given so often."""
    generator = np.random.default_rng(1)
    for options in (3, 5):
        values = generator.normal(size=(80, options)) + np.arange(options) / 2
        counts = np.bincount(generator.integers(options, size=80), minlength=options)

        def dual(bias: np.ndarray, values: np.ndarray = values, counts: np.ndarray = counts):
            return (values + bias).max(axis=1).sum() - counts @ bias

        found = with_rates(values, counts)
        assert np.array_equal(found.shares.sum(axis=0), counts)
        assert np.array_equal(found.shares.argmax(axis=1), (values + found.bias).argmax(axis=1))
        start = [np.zeros(options), found.bias + 0.3 * generator.normal(size=options)]
        least = min(
            minimize(dual, each, method="Powell", options={"maxiter": 50_000}).fun for each in start
        )
        assert dual(found.bias) <= least + 1e-9


def test_the_rates_of_the_baseline_change_nothing_and_no_option_is_forced() -> None:
    values = np.random.default_rng(2).normal(size=(50, 4))
    values[:, 3] = -np.inf
    own = np.bincount(values.argmax(axis=1), minlength=4)
    found = with_rates(values, own)
    assert np.array_equal(found.shares.argmax(axis=1), values.argmax(axis=1))
    assert found.bias[3] == -np.inf


def test_questions_that_tie_are_shared_out_alike() -> None:
    """As in models of few bits, where many leads are equal."""
    lead = np.repeat([-1.0, 0.0, 1.0], (10, 20, 30))
    found = with_rates(np.stack([0 * lead, -lead], axis=1), np.array([45, 15]))
    assert found.shares[:, 1] == pytest.approx(np.repeat([1.0, 0.25, 0.0], (10, 20, 30)))
    backwards = with_rates(np.stack([0 * lead, -lead], axis=1)[::-1], np.array([45, 15]))
    assert found.shares[::-1] == pytest.approx(backwards.shares)
    three = np.round(np.random.default_rng(3).normal(size=(400, 3)) * 2) / 2
    assert with_rates(three, np.array([100, 250, 50])).shares.sum(axis=0) == pytest.approx(
        [100, 250, 50]
    )


def test_the_nearest_ties_are_given_the_second_option() -> None:
    values = np.array([[0.0, -3.0], [-0.1, 0.0], [0.0, -0.5], [-0.5, 0.0], [0.0, -9.0]])
    kept = np.array([1.0, 0, 1, 0, 1])
    for count, flipped in ((0, []), (1, [1]), (3, [1, 2, 3])):
        expected = np.where(np.isin(np.arange(5), flipped), 1 - kept, kept)
        assert np.array_equal(with_near_ties_flipped(values, count).shares[:, 0], expected)
    half = with_near_ties_flipped(values, 2).shares[:, 0]  # two are equally near
    assert half == pytest.approx([1, 1, 0.5, 0.5, 1])
