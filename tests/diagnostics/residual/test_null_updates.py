"""Controls have what they are to have of an update, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import kstest

from solvent.diagnostics.residual.innovation import innovation
from solvent.diagnostics.residual.null_updates import (
    gaussian_update,
    haar_update,
    rounding_update,
)
from solvent.diagnostics.residual.random_streams import stream
from tests.diagnostics.residual.plain_geometry import factored, gaussian


def updates(tokens: int, width: int) -> torch.Tensor:
    """Three, of which one has a mean and a huge token, and one is of rank 3."""
    plain, shifted = gaussian(tokens, width), 2.0 + 0.5 * gaussian(tokens, width, seed=1)
    shifted[1] *= 100.0
    return torch.from_numpy(np.stack([plain, shifted, gaussian(tokens, width, rank=3)]))


@pytest.mark.parametrize(("tokens", "width"), [(8, 30), (30, 8), (8, 8)])
def test_random_directions_keep_lengths_and_angles(tokens: int, width: int) -> None:
    made = updates(tokens, width)
    turned = haar_update(made, stream(0, "haar"))
    gram = made @ made.mT
    for size, first, second in zip(gram.flatten(1).amax(1), gram, turned @ turned.mT, strict=True):
        torch.testing.assert_close(second, first, rtol=0, atol=1e-12 * float(size))
    assert torch.linalg.matrix_rank(turned).tolist() == torch.linalg.matrix_rank(made).tolist()
    assert not torch.isclose(turned, made).any(dim=2).all()


@pytest.mark.parametrize(("tokens", "width"), [(8, 30), (8, 12)])
def test_random_directions_by_formula(tokens: int, width: int) -> None:
    """sqrt(D D^T) times the Q of Gaussian rows, whose R is positive: no solver's signs matter."""
    update = gaussian(tokens, width)
    turned = haar_update(torch.from_numpy(update)[None], stream(0, "formula"))[0]
    drawn = stream(0, "formula").standard_normal((tokens, width))
    basis, upper = np.linalg.qr(drawn.T)
    rows = (basis * np.sign(np.diag(upper))).T
    assert turned.numpy() == pytest.approx(sqrtm(update @ update.T) @ rows, abs=1e-9)


@pytest.mark.parametrize(("tokens", "width"), [(2, 5), (2, 3), (5, 3)])
def test_random_directions_are_uniform(tokens: int, width: int) -> None:
    """The square of a coordinate of a uniform direction is Beta(1/2, (H - 1)/2), and its sign even.

    Signs show a QR decomposition whose diagonal was left as it came.
    """
    one = torch.zeros(tokens, width, dtype=torch.float64)
    one[:2, :2] = torch.tensor([[3.0, 0.0], [4.0, 5.0]])
    turned = haar_update(one.expand(4000, tokens, width), stream(0, "uniform")).numpy()
    shape = (0.5, (width - 1) / 2)
    for token, length in ((0, 3.0), (1, math.sqrt(41.0))):
        for column in range(width):
            values = turned[:, token, column] / length
            assert kstest(values**2, "beta", args=shape).pvalue > 1e-3
            assert abs((values > 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(4000)


def test_kappa_of_random_directions_is_about_1() -> None:
    """Of an update that itself only mixes tokens."""
    states = gaussian(64, 256)
    mixed = torch.from_numpy(gaussian(64, 64) @ states)[None]
    before = factored(states)
    for update, expected in ((mixed, 0.0), (haar_update(mixed, stream(0, "null")), 1.0)):
        found = innovation(before, factored(before.states[0] + update[0]))
        assert float(found.kappa) == pytest.approx(expected, abs=0.02)


def test_noise_with_the_moments_of_an_update() -> None:
    made = updates(50, 400)
    noise = gaussian_update(made, "moments", stream(0, "noise"))
    for update, drawn in zip(made.numpy(), noise.numpy(), strict=True):
        standard = (drawn - update.mean()) / update.std()
        assert kstest(standard.ravel(), "norm").pvalue > 1e-3
        assert abs(np.corrcoef(standard.ravel(), update.ravel())[0, 1]) < 0.03


def test_noise_as_long_as_an_update_token_by_token() -> None:
    made = updates(50, 400)
    made[0, 7] = 0.0
    noise = gaussian_update(made, "norms", stream(0, "noise"))
    lengths = torch.linalg.vector_norm(made, dim=2)
    torch.testing.assert_close(torch.linalg.vector_norm(noise, dim=2), lengths)
    standard = noise / lengths.clamp_min(1e-9)[..., None] * math.sqrt(400)
    assert kstest(standard[0, :7].ravel(), "norm").pvalue > 1e-3
    assert abs(float(standard.mean())) < 0.02
    with pytest.raises(ValueError, match="moments or norms of an update, got 'mean'"):
        gaussian_update(made, "mean", stream(0, "noise"))  # type: ignore[arg-type]


def test_the_floor_of_bfloat16() -> None:
    """Rounding alone has a row innovation of about 1.5e-3, in directions that are random.

    Relative errors of numbers with 8 bits are uniform up to 2^-8 / mantissa.
    """
    states = gaussian(300, 2048)
    update = torch.from_numpy(0.1 * gaussian(300, 2048, seed=1))[None]
    before = factored(states)
    floor = rounding_update(before.states, update)
    total = states + update[0].numpy()
    mantissas, _ = np.frexp(total)
    expected = 2.0**-9 * np.sqrt((total**2 / mantissas**2).mean() / 3 / (total**2).mean())
    assert float(floor.square().mean().sqrt()) == pytest.approx(
        expected * np.sqrt((total**2).mean()), rel=0.01
    )
    found = innovation(before, factored(states + floor[0].numpy()))
    assert float(found.row) == pytest.approx(1.5e-3, abs=0.2e-3)
    assert float(found.kappa) == pytest.approx(1.0, abs=0.01)
    kept = torch.from_numpy(total)[None] + floor
    assert not rounding_update(kept, torch.zeros_like(kept)).any()


def test_streams_depend_on_their_name_alone() -> None:
    made = updates(8, 30)
    whole = haar_update(made, stream(3, "haar", "uid"))
    generator = stream(3, "haar", "uid")
    parts = torch.cat([haar_update(part, generator) for part in made.split(2)])
    torch.testing.assert_close(parts, whole)
    first = [stream(*key).random() for key in ((3, "a", 1), (3, "a", 2), (4, "a", 1), (3, "a1"))]
    assert len(set(first)) == 4
    assert stream(3, "a", 1).random() == first[0]
    assert first[0] == pytest.approx(0.0, abs=1.0)
