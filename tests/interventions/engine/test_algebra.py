"""The algebra of blocks, against sums written out with numpy in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from interventions import load
from interventions.engine.algebra import attention_output, attention_scores, attention_weights
from interventions.engine.reference import edited_weights
from interventions.engine.view import View
from interventions.methods.masses import (
    Constant,
    Drop,
    FromPattern,
    Keep,
    Leak,
    Mass,
    Shift,
    Transfer,
)
from interventions.methods.patterns import Pattern
from tests.interventions.views import view_of

SCORES = [0.3, -1.2, 2.0, 0.7, -0.4, 5.0]
PATTERN = [9.0, 1.0, -2.0, 0.5, 9.0, 9.0]
BLOCK = [1, 2, 3]  # keys 1 and 3 of it are allowed
ALLOWED = [0, 1, 3, 4]
ROLES = ["system", "image", "image", "image", "question", "last"]


def flags(indices: list[int]) -> torch.Tensor:
    return torch.tensor([key in indices for key in range(6)])


@dataclass(frozen=True, kw_only=True)
class Given(Pattern):
    """Scores from the table above."""

    def scores(self, view: View) -> torch.Tensor:
        return torch.tensor(PATTERN)[None, None, None]


def edit(mass: Mass, block: list[int] = BLOCK, **fields: Any) -> tuple[np.ndarray, bool]:
    intervention = replace(load("learned"), pattern=Given(), mass=mass, **fields)
    scores, allowed = torch.tensor(SCORES)[None, None, None], flags(ALLOWED)
    weights, editable = edited_weights(view_of(scores, allowed, flags(block), ROLES), intervention)
    return weights[0, 0, 0].double().numpy(), bool(editable[0, 0, 0])


def by_hand(block_scores: dict[int, float], block_total: float) -> np.ndarray:
    """Weights from the block's scores and its total, everything else learned."""
    power = {key: np.exp(SCORES[key]) for key in ALLOWED if key not in block_scores}
    total = sum(np.exp(value) for value in block_scores.values())
    for key, value in block_scores.items():
        power[key] = np.exp(value) / total * block_total
    weights = np.zeros(6)
    for key, value in power.items():
        weights[key] = value / sum(power.values())
    return weights


LEARNED_TOTAL = np.exp(SCORES[1]) + np.exp(SCORES[3])
PROPOSED = {1: PATTERN[1], 3: PATTERN[3]}


@pytest.mark.parametrize(
    ("mass", "total"),
    [
        (Keep(), LEARNED_TOTAL),
        (FromPattern(), np.exp(PATTERN[1]) + np.exp(PATTERN[3])),
        (Shift(factor=3.0), 3.0 * LEARNED_TOTAL),
        (Drop(), 0.0),
        (Constant(share=0.25), (np.exp(SCORES[0]) + np.exp(SCORES[4])) / 3.0),
    ],
    ids=["keep", "from pattern", "shift", "drop", "constant"],
)
def test_masses(mass: Mass, total: float) -> None:
    weights, editable = edit(mass)
    assert editable
    np.testing.assert_allclose(weights, by_hand(PROPOSED, total), atol=1e-6)
    assert weights[2] == weights[5] == 0.0


@pytest.mark.parametrize("domain", ["score", "weight"])
def test_mix(domain: str) -> None:
    learned = by_hand({1: SCORES[1], 3: SCORES[3]}, LEARNED_TOTAL)
    edited = by_hand(PROPOSED, LEARNED_TOTAL)
    if domain == "weight":
        expected = 0.75 * learned + 0.25 * edited
    else:
        shift = np.log(LEARNED_TOTAL) - np.log(sum(np.exp(value) for value in PROPOSED.values()))
        mixed = {key: 0.75 * SCORES[key] + 0.25 * (PROPOSED[key] + shift) for key in PROPOSED}
        expected = by_hand(mixed, sum(np.exp(value) for value in mixed.values()))
    np.testing.assert_allclose(edit(Keep(), mix=0.25, mix_domain=domain)[0], expected, atol=1e-6)


LEARNED = np.array([np.exp(SCORES[key]) if key in ALLOWED else 0.0 for key in range(6)])
LEARNED /= LEARNED.sum()
INSIDE = np.array([0.0, np.exp(PATTERN[1]), 0.0, np.exp(PATTERN[3]), 0.0, 0.0])
INSIDE /= INSIDE.sum()
OUTSIDE = np.array([1, 0, 0, 0, 1, 0]) * LEARNED
SHARE = 1.0 - OUTSIDE.sum()


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_a_leak_scales_the_block_and_nothing_else(factor: float) -> None:
    weights, editable = edit(Leak(factor=factor))
    assert editable
    np.testing.assert_allclose(weights, factor * SHARE * INSIDE + OUTSIDE, atol=1e-6)


def test_a_transfer_moves_mass_in_proportion_to_learned_weights() -> None:
    weights, editable = edit(Transfer(fraction=0.4, to=["question"]))
    expected = 0.6 * SHARE * INSIDE + OUTSIDE
    expected[4] += 0.4 * SHARE  # the only question key
    assert editable
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert not edit(Transfer(fraction=0.4, to=["generated"]))[1]  # nobody to give it to
    everything = edit(Transfer(fraction=1.0, to=["system", "question"]))[0]
    np.testing.assert_allclose(everything, OUTSIDE / OUTSIDE.sum(), atol=1e-6)


def test_gains_scale_the_block_and_the_row() -> None:
    weights = edit(Keep(), value_gain=0.5, head_gain=3.0)[0]
    np.testing.assert_allclose(weights, 3.0 * (0.5 * SHARE * INSIDE + OUTSIDE), atol=1e-6)


def test_a_row_with_nothing_to_edit_or_nothing_left_keeps_its_weights() -> None:
    learned = by_hand({1: SCORES[1], 3: SCORES[3]}, LEARNED_TOTAL)
    for mass, block in ((Keep(), [2, 5]), (Drop(), [0, 1, 2, 3, 4, 5])):
        weights, editable = edit(mass, block=block)
        assert not editable
        np.testing.assert_allclose(weights, learned, atol=1e-6)


def test_softmax_is_exactly_zero_outside_and_survives_large_scores() -> None:
    scores = torch.tensor([[[[1e4, -1e4, 3.0], [1.0, 2.0, 3.0]]]])
    allowed = torch.tensor([[[[True, False, True], [False, False, False]]]])
    weights = attention_weights(scores, allowed)
    assert torch.equal(weights, torch.tensor([[[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]))


def test_scores_and_output_with_groups_softcap_and_another_value_width() -> None:
    generator = np.random.default_rng(0)
    query, key = generator.normal(size=(2, 4, 3, 8)), generator.normal(size=(2, 2, 5, 8))
    value = generator.normal(size=(2, 2, 5, 6))
    weights = generator.random(size=(2, 4, 3, 5))
    tensors = [torch.tensor(array, dtype=torch.float32) for array in (query, key, value, weights)]
    for scaling, softcap in ((0.3, None), (None, 2.0)):
        scores = attention_scores(tensors[0], tensors[1], scaling, softcap)
        for head in range(4):
            raw = query[:, head] @ key[:, head // 2].transpose(0, 2, 1)
            raw = raw * (8**-0.5 if scaling is None else scaling)
            raw = raw if softcap is None else softcap * np.tanh(raw / softcap)
            np.testing.assert_allclose(scores[:, head].numpy(), raw, atol=1e-5)
    output = attention_output(tensors[3], tensors[2])
    for head in range(4):
        expected = weights[:, head] @ value[:, head // 2]
        np.testing.assert_allclose(output[:, head].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_shift_needs_a_positive_factor(factor: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Shift(factor=factor)
