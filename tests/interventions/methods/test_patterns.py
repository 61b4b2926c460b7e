"""Patterns have the distribution and the shape that their docstrings state."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from interventions.methods.patterns import (
    AdaptiveScale,
    CentreGaussian,
    Dirichlet,
    Gaussian,
    PatchComplexity,
    Pattern,
    Permuted,
    Picture,
)
from tests.interventions.views import view_of

BATCH, HEADS, ROWS, KEYS = 3, 4, 5, 700
BLOCK = torch.zeros(BATCH, 1, ROWS, KEYS, dtype=torch.bool)
BLOCK[..., 50:650] = True


def learned() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand(BATCH, HEADS, ROWS, KEYS, generator=generator)
    scale = torch.linspace(0.5, 4.0, ROWS)[:, None] * torch.linspace(1, 3, HEADS)[:, None, None]
    scores = scores * scale + 2.0 * scale
    return torch.where(BLOCK, scores, 100.0)  # what is outside the block must not matter


def draw(pattern: Pattern, seed: int = 0, layer: int = 0, scope: str = "entry") -> torch.Tensor:
    view = view_of(
        learned(), torch.ones(1).bool(), BLOCK[0, 0, 0], layer=layer, seed=seed, scope=scope
    )
    return pattern.scores(view).expand(BATCH, HEADS, ROWS, KEYS)[..., 50:650]


def test_gaussian_has_the_moments_of_every_row_and_is_normal() -> None:
    inside = learned()[..., 50:650].double().numpy()
    mean, deviation = inside.mean(axis=-1, keepdims=True), inside.std(axis=-1, keepdims=True)
    drawn = draw(Gaussian()).double().numpy()
    standard = (drawn - mean) / deviation
    keys = drawn.shape[-1]
    rows = BATCH * HEADS * ROWS
    limit = scipy.stats.norm.isf(0.0005 / rows)
    assert np.abs(standard.mean(axis=-1)).max() < limit / np.sqrt(keys)
    assert np.abs(standard.std(axis=-1) - 1).max() < limit / np.sqrt(2 * keys)
    assert scipy.stats.kstest(standard.ravel(), "norm").pvalue > 0.01


def test_gaussian_is_independent_across_samples_layers_heads_and_rows() -> None:
    drawn = torch.stack([draw(Gaussian(), layer=layer) for layer in range(2)])
    rows = drawn.flatten(0, 3).double().numpy()
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    pairs = len(rows) * (len(rows) - 1) / 2
    assert np.abs(correlation).max() < scipy.stats.norm.isf(0.0005 / pairs) / np.sqrt(600)


def test_draws_repeat_by_seed() -> None:
    for pattern in (Gaussian(), Dirichlet(alpha=1.0), Dirichlet(alpha=0.3)):
        assert torch.equal(draw(pattern, seed=3), draw(pattern, seed=3))
        assert not torch.equal(draw(pattern, seed=3), draw(pattern, seed=4))


def test_draws_are_shared_within_their_scope() -> None:
    shared = draw(Dirichlet(alpha=1.0), scope="sample")
    assert torch.equal(shared, shared[:, :1, :1].expand_as(shared))
    assert torch.equal(shared, draw(Dirichlet(alpha=1.0), scope="sample", layer=9))
    assert not torch.equal(shared[0], shared[1])


def test_confidence_is_rounded_to_two_decimals_before_it_is_compared() -> None:
    memory = {"confidence": torch.tensor([0.2949, 0.2951, 0.3])}
    everything = torch.ones(1, dtype=torch.bool)
    view = view_of(torch.ones(3, 1, 1, 2), everything, everything, memory=memory)
    factors = AdaptiveScale(threshold=0.3, unsure=0.5, sure=1.5).scores(view)[:, 0, 0, 0]
    assert factors.tolist() == [0.5, 1.5, 1.5]


def test_permutations_are_uniform_and_differ_between_rows() -> None:
    """All 24 orders of four keys, equally often over samples, heads and rows."""
    scores = torch.arange(6.0).expand(5, 8, 120, 6)
    block = torch.tensor([False, True, True, True, False, True])
    view = view_of(scores, torch.ones(1).bool(), block)
    dealt = Permuted().scores(view)
    assert (dealt[..., ~block] == scores[..., ~block]).all()
    orders = dealt[..., block].flatten(0, 2).long()
    assert (orders.sort(dim=-1).values == block.nonzero()[:, 0]).all()
    found, counts = orders.unique(dim=0, return_counts=True)
    assert len(found) == 24
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001
    neighbours = (orders[:-1] == orders[1:]).all(dim=-1).float().mean()
    assert abs(neighbours - 1 / 24) < 4 * (1 / 24 / len(orders)) ** 0.5


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_dirichlet_entries_have_their_beta_marginal(alpha: float) -> None:
    pattern = torch.softmax(draw(Dirichlet(alpha=alpha)).double(), dim=-1).numpy()
    some = pattern[..., ::60].ravel()  # entries of one row are dependent, few of many hardly
    keys = pattern.shape[-1]
    assert scipy.stats.kstest(some, "beta", args=(alpha, alpha * (keys - 1))).pvalue > 0.01


def test_centre_gaussian() -> None:
    picture = Picture(height=2, width=3, patches=torch.zeros(6, 1, 1))
    weights = CentreGaussian(width=0.25).weights(picture).double().numpy()
    centres = [(y, x) for y in (0.25, 0.75) for x in (1 / 6, 0.5, 5 / 6)]
    squared = [(y - 0.5) ** 2 + (x - 0.5) ** 2 for y, x in centres]
    np.testing.assert_allclose(weights, np.exp(-np.array(squared) / (2 * 0.0625)), rtol=1e-5)


def test_patch_complexity() -> None:
    patches = torch.tensor(
        [[[1.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.0, 2.0], [4.0, 8.0]]]
    )
    weights = PatchComplexity(temperature=0.5).weights(Picture(height=1, width=3, patches=patches))
    # mean|dx| + mean|dy| + population variance: 0; 1 + 0 + 1/4; 3 + 5 + 8.75
    complexity = np.array([0.0, 1.25, 16.75]) / 16.75
    np.testing.assert_allclose(weights.numpy(), np.exp(complexity / 0.5), rtol=1e-5)
    flat = Picture(height=1, width=3, patches=torch.ones(3, 2, 2))
    assert torch.equal(PatchComplexity(temperature=0.5).weights(flat), torch.ones(3))


@pytest.mark.parametrize(
    ("kind", "field"),
    [(Dirichlet, "alpha"), (CentreGaussian, "width"), (PatchComplexity, "temperature")],
)
def test_parameters_must_be_positive(kind: type[Pattern], field: str) -> None:
    with pytest.raises(ValueError, match="above 0"):
        kind(**{field: 0.0})
