"""Gaussian weights: of a stream for each tensor, and as the released helpers draw them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from solvent.diagnostics.residual.weight_noise import gaussian_weights


def weights(*shape: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng((seed, *shape))
    return torch.from_numpy(0.3 + 0.05 * random.standard_exponential(shape))


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(np.corrcoef(first.double().ravel(), second.double().ravel())[0, 1])


@pytest.mark.parametrize("draw", ["own", "same"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_noise_has_the_moments_of_the_weights(draw: str, dtype: torch.dtype) -> None:
    learned = weights(64, 96).to(dtype)
    noise = gaussian_weights(learned, "v_proj.weight", seed=0, draw=draw)
    assert (noise.dtype, noise.shape) == (dtype, learned.shape)
    exact = learned.double().numpy()
    standard = (noise.double().numpy() - exact.mean()) / exact.std()
    if dtype == torch.float32:
        assert kstest(standard.ravel(), "norm").pvalue > 1e-3
    assert abs(standard.mean()) < 4 / math.sqrt(standard.size)
    assert standard.std() == pytest.approx(1.0, abs=0.03)
    assert abs(correlation(noise, learned)) < 4 / math.sqrt(standard.size)


def test_streams_of_their_own_are_independent() -> None:
    """By name and by seed; the same name again is the same noise."""
    key, value = weights(64, 96), weights(64, 96, seed=1)
    first = gaussian_weights(key, "layers.0.k_proj.weight", seed=0, draw="own")
    for other in (
        gaussian_weights(value, "layers.0.v_proj.weight", seed=0, draw="own"),
        gaussian_weights(key, "layers.1.k_proj.weight", seed=0, draw="own"),
        gaussian_weights(key, "layers.0.k_proj.weight", seed=1, draw="own"),
    ):
        assert abs(correlation(first, other)) < 4 / math.sqrt(64 * 96)
    again = gaussian_weights(key, "layers.0.k_proj.weight", seed=0, draw="own")
    assert torch.equal(first, again)


def test_the_same_draw_makes_equal_shapes_equal() -> None:
    """What the helpers do: k and v are one noise, and other shapes begin with it."""
    key, value = weights(64, 96), 7.0 * weights(64, 96, seed=1) - 3.0
    first = gaussian_weights(key, "layers.0.k_proj.weight", seed=42, draw="same")
    second = gaussian_weights(value, "layers.5.v_proj.weight", seed=42, draw="same")
    assert correlation(first, second) == pytest.approx(1.0, abs=1e-6)
    longer = gaussian_weights(weights(128, 96), "q_proj.weight", seed=42, draw="same")
    assert correlation(first, longer[:64]) == pytest.approx(1.0, abs=1e-6)
    # The very numbers: torch's generator at that seed, in float32, scaled.
    generator = torch.Generator().manual_seed(42)
    drawn = torch.empty(64, 96).normal_(0.0, 1.0, generator=generator)
    single = key.float()
    expected = single.mean() + single.std(correction=0) * drawn
    torch.testing.assert_close(first.float(), expected, rtol=1e-5, atol=1e-6)


def test_constant_weights() -> None:
    constant = torch.full((200, 100), 0.5, dtype=torch.float64)
    assert torch.equal(gaussian_weights(constant, "norm", seed=0, draw="own"), constant)
    noise = gaussian_weights(constant, "norm", seed=0, draw="same")
    assert float(noise.std()) == pytest.approx(1e-6, rel=0.05)  # as the helpers have it
    with pytest.raises(ValueError, match="of their own or the same, got 'other'"):
        gaussian_weights(constant, "norm", seed=0, draw="other")  # type: ignore[arg-type]
