"""Both routes give what a plain SVD gives, of states of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from solvent.diagnostics.residual.effective_rank import effective_rank, spectral_change
from solvent.diagnostics.residual.factored import centred, factor
from solvent.diagnostics.residual.innovation import innovation
from tests.diagnostics.residual.plain_geometry import (
    factored,
    gaussian,
    plain_effective_rank,
    plain_innovation,
    plain_kappa,
)


def decaying(tokens: int, width: int, decades: float) -> np.ndarray:
    """Singular values from 1 down by that many decades."""
    left, right = np.linalg.qr(gaussian(tokens, tokens))[0], np.linalg.qr(gaussian(width, width))[0]
    least = min(tokens, width)
    values = np.logspace(0, -decades, least)
    return left[:, :least] * values @ right[:least]


def massive(tokens: int, width: int) -> np.ndarray:
    """Two entries a thousand times as large as the rest."""
    states = gaussian(tokens, width)
    states[0, 3], states[0, 7] = 3000.0, -3000.0
    return states


def repeated(tokens: int, width: int) -> np.ndarray:
    """As what enters the first layer where words come twice."""
    states = gaussian(tokens, width)
    states[1::2] = states[::2][: tokens // 2]
    return states


STATES = {
    "wide": gaussian(16, 40),
    "square": gaussian(24, 24),
    "tall": gaussian(40, 16),
    "rank 5, wide": gaussian(16, 40, rank=5),
    "rank 5, square": gaussian(24, 24, rank=5),
    "rank 5, tall": gaussian(40, 16, rank=5),
    "repeated tokens": repeated(16, 40),
    "a token of zeros": gaussian(16, 40) * (np.arange(16) != 4)[:, None],
    "a feature of zeros": gaussian(40, 16) * (np.arange(16) != 4),
    "massive": massive(16, 40),
    "over 4 decades": decaying(16, 40, 4),
    "over 8 decades": decaying(16, 40, 8),  # beyond what a Gram matrix shows
    "one token": gaussian(1, 40),
}


@pytest.mark.parametrize("route", ["fast", "svd"])
@pytest.mark.parametrize("kind", STATES)
def test_both_routes_are_plain_singular_value_decompositions(kind: str, route: str) -> None:
    before = STATES[kind]
    after = before + 0.3 * np.abs(before).mean() * gaussian(*before.shape, seed=1)
    first, second = factored(before, route=route), factored(after, route=route)
    values = np.linalg.svd(before, compute_uv=False)
    assert first.singular_values[0].numpy() == pytest.approx(values, abs=1e-10 * values[0])
    assert first.rank.tolist() == [np.linalg.matrix_rank(before)]
    assert float(effective_rank(first)) == pytest.approx(plain_effective_rank(before), rel=1e-9)
    found = innovation(first, second)
    column, row = plain_innovation(before, after)
    assert (float(found.column), float(found.row)) == pytest.approx((column, row), abs=1e-9)
    if first.rank < before.shape[1]:
        assert float(found.kappa) == pytest.approx(plain_kappa(before, after), abs=1e-9)
    change = (plain_effective_rank(after) - plain_effective_rank(before)) / min(before.shape)
    assert float(spectral_change(first, second)) == pytest.approx(change, abs=1e-9)


def test_a_batch_is_its_states_one_by_one() -> None:
    """Some through the Gram matrix, some not, and one that is broken."""
    names = ["wide", "rank 5, wide", "over 8 decades", "massive", "repeated tokens"]
    broken = STATES["wide"].copy()
    broken[3, 3] = np.nan
    together = factored(*(STATES[name] for name in names), broken, np.zeros((16, 40)))
    update = torch.from_numpy(gaussian(16, 40, seed=2)).expand(7, 16, 40)
    assert together.finite.tolist() == [True] * 5 + [False, True]
    assert together.rank.tolist() == [16, 5, 16, 16, 8, 0, 0]
    for number, name in enumerate(names):
        alone = factored(STATES[name])
        assert torch.equal(alone.rank, together.rank[number : number + 1])
        for part in ("outside_rows", "outside_columns"):
            expected = getattr(alone, part)(update[:1])
            torch.testing.assert_close(getattr(together, part)(update)[number], expected[0])
    assert float(together.outside_rows(update)[6]) == pytest.approx(  # zeros span nothing
        np.linalg.norm(update[6])
    )


def test_what_rounding_makes_of_the_rank() -> None:
    """Two decades of singular values that float32 rounding would drop, in known directions."""
    values = np.concatenate([[4000.0], np.full(49, 50.0), np.logspace(-0.5, -2, 250)])
    left = np.linalg.qr(gaussian(300, 300))[0]
    right = np.linalg.qr(gaussian(512, 512))[0]
    states = left * values @ right[:300]
    coarse = 512 * float(np.finfo(np.float32).eps)  # 0.24 of 4000 * eps
    assert factored(states).rank.tolist() == [300]
    dropped = values[values <= coarse * values[0]]
    for rtol, rank in ((coarse, 300 - len(dropped)), (1e-6, 300), (1e-3, 50)):
        assert factored(states, rtol=rtol).rank.tolist() == [rank]
    # The state itself, as an "update" by nothing: no innovation, but for what the rank dropped.
    whole = factored(states)
    assert float(innovation(whole, whole).row) == 0.0
    cut = factored(states, rtol=coarse)
    lost = float(np.linalg.norm(dropped) / np.linalg.norm(values))
    found = innovation(cut, cut)
    assert (float(found.row), float(found.column)) == pytest.approx((lost, lost), rel=1e-9)
    # An update into one new direction and one of the dropped ones.
    update = np.outer(left[:, 0], 3.0 * right[400] + 2.0 * right[299])
    size = float(np.linalg.norm(states + update))
    assert float(innovation(whole, factored(states + update)).row) == pytest.approx(3.0 / size)
    lost = np.sqrt(3.0**2 + 2.0**2 + (dropped**2).sum()) / size
    assert float(innovation(cut, factored(states + update)).row) == pytest.approx(lost)


def test_a_rank_that_hangs_on_the_precision() -> None:
    """Rank 50 in bfloat16, with two huge entries: float32 sees 51 of what float64 sees 300 of."""
    states = torch.from_numpy(gaussian(300, 2048, rank=50))
    states[0, 5] = states[0, 900] = 3000.0
    states = states.to(torch.bfloat16).double()
    update = 0.005 * torch.from_numpy(gaussian(300, 2048, seed=1))
    whole, cut = factored(states), factored(states, rtol=2048 * float(np.finfo(np.float32).eps))
    assert (whole.rank.tolist(), cut.rank.tolist()) == ([300], [51])
    values = np.linalg.svd(states.numpy(), compute_uv=False)
    dropped = float(np.linalg.norm(values[51:]) / np.linalg.norm(values))
    assert float(innovation(cut, cut).row) == pytest.approx(dropped, rel=1e-6)
    assert dropped > 1e-3
    after = factored(states + update)
    assert float(innovation(cut, after).row) > 2 * float(innovation(whole, after).row)


def test_centred_states_lie_around_their_mean() -> None:
    states = 5.0 + gaussian(16, 40)
    around = factored(centred(torch.from_numpy(states)[None])[0])
    assert around.rank.tolist() == [15]
    plain = states - states.mean(axis=0)
    assert float(effective_rank(around)) == pytest.approx(plain_effective_rank(plain))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_states_of_any_type_are_taken_in_float64(dtype: torch.dtype) -> None:
    states = torch.from_numpy(gaussian(16, 40)).to(dtype)[None].requires_grad_()
    found = factor(states, rtol=None, route="fast")
    assert found.states.dtype == torch.float64
    assert not found.states.requires_grad
    exact = states[0].detach().double().numpy()
    assert float(effective_rank(found)) == pytest.approx(plain_effective_rank(exact), rel=1e-12)


@pytest.mark.parametrize("shape", [(16, 40), (1, 0, 40), (2, 3, 4, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(batch, token, width\).*" + str(shape[0])):
        factor(torch.zeros(shape), rtol=None, route="fast")


def test_threads_are_given_back() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert factored(STATES["rank 5, wide"]).rank.tolist() == [5]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
