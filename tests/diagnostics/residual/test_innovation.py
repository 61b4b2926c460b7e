"""Effective rank, innovation and kappa of updates whose answers follow from algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from solvent.diagnostics.residual.effective_rank import effective_rank
from solvent.diagnostics.residual.factored import Route
from solvent.diagnostics.residual.innovation import innovation, subspace_innovation
from solvent.diagnostics.residual.update_geometry import UpdateGeometry, measure
from tests.diagnostics.residual.plain_geometry import factored, gaussian

WIDE = np.eye(3, 6)
UNIT = np.outer(np.eye(4)[0], np.eye(6)[0])


def measured(before: np.ndarray, after: np.ndarray, combine: str = "mean") -> UpdateGeometry:
    return measure(
        factored(before), factored(after), combine=combine, rows="mean", alphas=(1.0, 8.0)
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (np.diag([3.0, 1.0]), 1.7547654),
        (np.eye(7), 7.0),
        (np.eye(3, 9), 3.0),
        (np.outer(np.arange(1.0, 5), np.arange(1.0, 7)), 1.0),
        (np.array([[3.0, -4.0, 12.0]]), 1.0),  # one token
        (np.zeros((3, 5)), math.nan),
    ],
)
def test_effective_rank(states: np.ndarray, expected: float) -> None:
    found = float(effective_rank(factored(states)))
    assert found == pytest.approx(expected, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize(
    ("before", "after", "column", "row", "change"),
    [
        (WIDE, np.hstack([np.eye(3), np.eye(3)]), 0.0, math.sqrt(0.5), 0.0),
        (WIDE.T, np.vstack([np.eye(3), np.eye(3)]), math.sqrt(0.5), 0.0, 0.0),
        (UNIT, np.eye(4, 6), math.sqrt(0.75), math.sqrt(0.75), 0.75),  # the most there is
        (np.eye(2), np.ones((2, 2)), 0.0, 0.0, -0.5),  # a collapse
        (gaussian(5, 9), -3.5 * gaussian(5, 9), 0.0, 0.0, 0.0),
        (gaussian(9, 5), gaussian(9, 5), 0.0, 0.0, 0.0),
    ],
)
def test_innovation_by_hand(
    before: np.ndarray, after: np.ndarray, column: float, row: float, change: float
) -> None:
    found = measured(before, after)
    assert float(found.column_innovation) == pytest.approx(column, abs=1e-12)
    assert float(found.row_innovation) == pytest.approx(row, abs=1e-12)
    assert float(found.spectral_change) == pytest.approx(change, abs=1e-12)
    assert float(found.rid) == pytest.approx(abs(change) + (column + row) / 2, abs=1e-12)


def test_the_most_that_rid_can_be() -> None:
    """(m - 1) / m + sqrt((m - 1) / m): it tends to 2 and never is."""
    for least in (2, 4, 32):
        unit = np.zeros((least, 2 * least))
        unit[0, 0] = 1.0
        share = (least - 1) / least
        found = float(measured(unit, np.eye(least, 2 * least)).rid)
        assert found == pytest.approx(share + math.sqrt(share))
        assert found < 2.0
    assert float(measured(UNIT, np.eye(4, 6)).rid) == pytest.approx(1.6160254, abs=1e-7)


def test_ways_to_combine() -> None:
    column, row = torch.tensor([0.3]), torch.tensor([0.4])
    for combine, expected in (("mean", 0.35), ("l2", 0.5), ("sum", 0.7)):
        assert float(subspace_innovation(column, row, combine)) == pytest.approx(expected)
    with pytest.raises(ValueError, match="mean, l2 or sum, got 'max'"):
        subspace_innovation(column, row, "max")  # type: ignore[arg-type]


@pytest.mark.parametrize("route", ["fast", "svd"])
def test_one_half_of_the_subspace_term_is_zero_by_algebra(route: Route) -> None:
    """Exactly, whatever the update; with as many tokens as dimensions both are."""
    for tokens, width, column, row in ((12, 30, True, False), (30, 12, False, True)):
        states, other = gaussian(tokens, width), gaussian(tokens, width, seed=1)
        beside = gaussian(tokens, width, rank=3)  # in one batch with a state of low rank
        found = innovation(factored(states, beside, route=route), factored(other, other))
        assert (float(found.column[0]) == 0.0) is column
        assert (float(found.row[0]) == 0.0) is row
        assert float(torch.minimum(found.column, found.row)[1]) > 0.1
    found = measured(gaussian(12, 12), gaussian(12, 12, seed=1))
    assert float(found.subspace_innovation) == 0.0
    assert float(found.rid) == abs(float(found.spectral_change)) > 0.0
    assert np.isnan(float(found.kappa))
    assert found.flags["full_width"].all()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(16, 0.139), (64, 0.124), (128, 0.102), (192, 0.072), (250, 0.022), (256, 0.0),
     (312, 0.061), (500, 0.100)],
)  # fmt: skip
def test_innovation_depends_on_tokens_for_a_width(tokens: int, expected: float) -> None:
    """One law of updates, 0.3 as large as the states: 1/2 sqrt(|1 - S/H|) 0.3 / sqrt(1.09)."""
    states, update = gaussian(tokens, 256), 0.3 * gaussian(tokens, 256, seed=1)
    found = float(measured(states, states + update).subspace_innovation)
    room = 1 - min(tokens, 256) / max(tokens, 256)
    assert found == pytest.approx(math.sqrt(room) / 2 * 0.3 / math.sqrt(1.09), abs=0.003)
    assert found == pytest.approx(expected, abs=0.003)


def test_innovation_of_independent_states() -> None:
    for tokens, width in ((64, 256), (256, 64)):
        found = measured(gaussian(tokens, width), gaussian(tokens, width, seed=1))
        assert float(found.subspace_innovation) == pytest.approx(math.sqrt(0.75) / 2, abs=0.005)


def test_innovation_at_low_rank() -> None:
    """Rank 20 of 100 x 400, then independent: sqrt(1 - 20/100) and sqrt(1 - 20/400)."""
    found = [
        measured(gaussian(100, 400, seed=seed, rank=20), gaussian(100, 400, seed=seed + 100))
        for seed in range(20)
    ]
    columns = [float(each.column_innovation) for each in found]
    rows = [float(each.row_innovation) for each in found]
    assert {int(each.rank) for each in found} == {20}
    assert np.mean(columns) == pytest.approx(math.sqrt(0.8), abs=0.005)
    assert np.mean(rows) == pytest.approx(math.sqrt(0.95), abs=0.002)
    assert columns == pytest.approx([math.sqrt(0.8)] * 20, abs=0.03)
    assert rows == pytest.approx([math.sqrt(0.95)] * 20, abs=0.03)


def test_innovation_grows_with_the_norm_and_kappa_does_not() -> None:
    """rr = g sqrt(1 - S/H) / sqrt(1 + g^2) of random directions."""
    states, update = gaussian(64, 256), gaussian(64, 256, seed=1)
    kappas = []
    for ratio in (0.01, 0.1, 1.0, 10.0):
        scaled = update * ratio * np.linalg.norm(states) / np.linalg.norm(update)
        found = measured(states, states + scaled)
        expected = ratio * math.sqrt(0.75) / math.sqrt(1 + ratio**2)
        assert float(found.row_innovation) == pytest.approx(expected, rel=0.02)
        assert float(found.relative_norm) == pytest.approx(ratio)
        kappas.append(float(found.kappa))
    assert kappas == pytest.approx([kappas[0]] * 4, rel=1e-9)
    assert kappas[0] == pytest.approx(1.0, abs=0.02)


def test_kappa_from_nothing_to_its_greatest() -> None:
    states = gaussian(16, 64)
    mixing = np.eye(16) + 0.5 * gaussian(16, 16)  # invertible
    mixed = measured(states, mixing @ states)
    for part in ("column_innovation", "row_innovation", "kappa"):
        assert float(getattr(mixed, part)) == pytest.approx(0.0, abs=1e-12)
    assert float(mixed.rid) == pytest.approx(abs(float(mixed.spectral_change)), abs=1e-12)
    assert float(mixed.rid) > 0.01
    outside = np.linalg.svd(states)[2][16:32]
    found = measured(states, states + outside)
    assert float(found.kappa) == pytest.approx(1 / math.sqrt(1 - 16 / 64))
    # What value and output matrices do to mixed tokens has random directions.
    values = mixing @ states @ gaussian(64, 64)
    assert float(measured(states, states + values).kappa) == pytest.approx(1.0, abs=0.05)


def test_what_measures_do_not_change_with() -> None:
    before, after = gaussian(12, 30), gaussian(12, 30) + gaussian(12, 30, seed=1)
    turned = np.linalg.qr(gaussian(30, 30))[0]
    order = np.random.default_rng(0).permutation(12)
    lengths = np.exp(gaussian(12, 1))
    plain = measured(before, after)
    for first, second in ((before @ turned, after @ turned), (before[order], after[order])):
        for name, value in measured(first, second).columns().items():
            assert float(value) == pytest.approx(float(plain.columns()[name]), rel=1e-9), name
    scaled = measured(lengths * before, lengths * after)
    assert abs(float(scaled.rid) - float(plain.rid)) > 0.01
    for alpha in (1.0, 8.0):
        assert float(scaled.mixig_nats[alpha]) == pytest.approx(float(plain.mixig_nats[alpha]))


def test_what_is_undefined_is_not_a_number_and_says_why() -> None:
    states, zeros = gaussian(4, 9), np.zeros((4, 9))
    broken, one = states.copy(), states.copy()
    broken[0, 0], one[2] = np.inf, 0.0
    for before, after, flags, undefined in (
        (zeros, states, {"zero_before", "zero_token"}, {"rid", "kappa", "relative_norm"}),
        (states, zeros, {"zero_after", "zero_token"}, {"rid"}),
        (states, states, {"zero_update"}, {"kappa"}),
        (broken, states, {"not_finite"}, {"rid", "kappa", "relative_norm", "mixig_alpha8"}),
        (states, broken, {"not_finite"}, {"rid", "kappa", "relative_norm", "mixig_alpha8"}),
        (states, one, {"zero_token"}, set()),
        (states.T, states.T + 1, {"full_width"}, {"kappa"}),
        (states[:1], states[1:2], {"one_token"}, {"mixig_alpha8"}),
    ):
        found = measured(before, after)
        assert {name for name, flag in found.flags.items() if flag.all()} == flags
        seen = {"rid", "kappa", "relative_norm", "mixig_alpha8"}
        columns = {name: float(found.columns()[name]) for name in seen}
        assert {name for name, value in columns.items() if math.isnan(value)} == undefined
        assert not any(math.isinf(float(value)) for value in found.columns().values())


def test_states_of_other_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(1, 4, 9\) and \(1, 5, 9\)"):
        measured(gaussian(4, 9), gaussian(5, 9))
