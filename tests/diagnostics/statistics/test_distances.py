"""Distances against scipy, and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from solvent.diagnostics.statistics.distances import (
    entropy_bits,
    flips,
    jensen_shannon_bits,
    kullback_leibler_bits,
    logit_distance_nats,
    mutual_information_bits,
    top_set,
    total_variation,
)

P, Q = np.random.default_rng(0).dirichlet(np.full(5, 0.7), size=(2, 40))


def test_entropies_and_divergences_are_those_of_scipy() -> None:
    assert entropy_bits(P) == pytest.approx(entropy(P, base=2, axis=1))
    assert kullback_leibler_bits(P, Q) == pytest.approx(entropy(P, Q, base=2, axis=1))
    assert jensen_shannon_bits(P, Q) == pytest.approx(jensenshannon(P, Q, base=2, axis=1) ** 2)


def test_certain_answers_are_one_bit_apart() -> None:
    here, there = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    assert jensen_shannon_bits(here, there) == pytest.approx([1.0])
    assert total_variation(here, there) == pytest.approx([1.0])
    assert kullback_leibler_bits(here, there) == pytest.approx([12 * np.log2(10)])  # the floor
    assert kullback_leibler_bits(here, here) == pytest.approx([0.0])


def test_total_variation_by_hand() -> None:
    p, q = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.3, 0.5]])
    assert total_variation(p, q) == pytest.approx([0.3])


def test_mutual_information_of_answers_that_follow_the_input() -> None:
    certain = np.eye(4)[:, None, :]  # four inputs, one sample, four options
    assert mutual_information_bits(certain) == pytest.approx([2.0])
    assert mutual_information_bits(certain[[0, 0, 1, 1]]) == pytest.approx([1.0])
    assert mutual_information_bits(np.repeat(certain[:1], 3, axis=0)) == pytest.approx([0.0])


def test_logit_distance_ignores_constants_and_padding() -> None:
    log_p = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -np.inf, -np.inf]])
    log_q = np.array([[3.0, 1.0, 1.0, 1.0], [5.0, 7.0, -np.inf, -np.inf]])
    # gaps 3,1,1,1 about their mean 1.5: (1.5^2 + 3 * .5^2) / 4 = .75; gaps 5,7 about 6: 1
    assert logit_distance_nats(log_p, log_q, np.array([4, 2])) == pytest.approx([0.75**0.5, 1.0])


def test_logit_distance_of_an_impossible_option_is_not_a_number() -> None:
    log_p, log_q = np.array([[0.0, -np.inf]]), np.array([[0.0, -1.0]])
    assert np.isnan(logit_distance_nats(log_p, log_q, np.array([2]))).all()
    assert np.isnan(logit_distance_nats(log_p, log_p, np.array([2]))).all()


def test_ties_are_sets() -> None:
    tied = np.log([[0.4, 0.4, 0.2]])
    nearly = tied + np.array([0.0, 1e-9, 0.0])
    apart = tied + np.array([0.0, 1e-3, 0.0])
    assert top_set(tied).tolist() == [[True, True, False]]
    assert flips(tied, nearly).tolist() == [False]
    assert flips(tied, apart).tolist() == [True]
