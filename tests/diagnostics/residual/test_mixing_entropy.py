"""Token mixing entropy of states whose cosines are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from solvent.diagnostics.residual.mixing_entropy import mixing_entropy
from solvent.diagnostics.residual.update_geometry import measure
from tests.diagnostics.residual.plain_geometry import (
    factored,
    gaussian,
    plain_mixing_entropy,
)


def entropy(states: np.ndarray, alpha: float, rows: str = "mean") -> float:
    return float(mixing_entropy(factored(states), alpha=alpha, rows=rows))


def poles(first: int, second: int) -> np.ndarray:
    """Some tokens one way and some the other, of any lengths."""
    signs = np.concatenate([np.ones(first), -np.ones(second)])
    return np.outer(signs * np.arange(1, first + second + 1), [2.0, -1.0, 0.5])


@pytest.mark.parametrize("alpha", [1.0, 8.0])
@pytest.mark.parametrize("rows", ["mean", "last"])
def test_plain_loops(alpha: float, rows: str) -> None:
    for tokens, width in ((9, 20), (20, 9), (1, 5)):
        states = gaussian(tokens, width) + 0.5
        expected = plain_mixing_entropy(states, alpha, last=rows == "last")
        assert entropy(states, alpha, rows) == pytest.approx(expected)
    assert entropy(states, alpha, rows) == 0.0  # one token


@pytest.mark.parametrize("alpha", [1.0, 3.0, 8.0])
def test_equal_and_opposite_tokens(alpha: float) -> None:
    for tokens in (2, 10):
        assert entropy(poles(tokens, 0), alpha) == pytest.approx(math.log(tokens))
        assert entropy(poles(tokens, tokens), alpha) == pytest.approx(math.log(tokens))
    assert entropy(np.zeros((5, 3)), alpha) == pytest.approx(math.log(5))  # cosines of 0


def test_a_fraction_of_opposite_tokens() -> None:
    for first, second in ((9, 1), (7, 3), (5, 5)):
        share = first / (first + second)
        lost = -share * math.log(share) - (1 - share) * math.log(1 - share)
        assert entropy(poles(first, second), 1.0) == pytest.approx(math.log(10) - lost)


@pytest.mark.parametrize(
    ("tokens", "plain", "sharp"),
    [(2, 0.6365142, 0.0254752), (4, 1.3321790, 0.0758805), (300, 5.7025046, 3.7611926)],
)
def test_orthogonal_tokens(tokens: int, plain: float, sharp: float) -> None:
    states = np.eye(tokens, tokens + 3) * np.arange(1, tokens + 1)[:, None]
    for alpha, expected in ((1.0, plain), (8.0, sharp)):
        other = (tokens - 1) * 2**-alpha
        formula = math.log(1 + other) + alpha * math.log(2) * other / (1 + other)
        assert entropy(states, alpha) == pytest.approx(formula)
        assert entropy(states, alpha) == pytest.approx(expected, abs=1e-7)
        assert entropy(states, alpha, "last") == pytest.approx(formula)


def test_the_bound_of_alpha_1() -> None:
    """TME in [ln S - ln 2, ln S], reached by opposite halves and by equal tokens; not at 8."""
    for states in (gaussian(12, 30), gaussian(30, 3), poles(3, 9), gaussian(12, 1)):
        tokens = len(states)
        assert math.log(tokens / 2) - 1e-9 <= entropy(states, 1.0) <= math.log(tokens) + 1e-9
    halves, equal = poles(6, 6), poles(12, 0)
    gain = measure(
        factored(halves), factored(equal), combine="mean", rows="mean", alphas=(1.0, 8.0)
    )
    assert float(gain.mixig_nats[1.0]) == pytest.approx(math.log(2))
    assert float(gain.mixig[1.0]) == pytest.approx(math.log(2) / math.log(12))
    lost = entropy(np.eye(12), 1.0) - entropy(equal, 1.0)
    assert -math.log(2) < lost < 0
    assert entropy(np.eye(12), 8.0) - entropy(equal, 8.0) < -0.8  # what is printed for noise


@pytest.mark.parametrize(("tokens", "sharp"), [(300, 3.77), (1000, 6.00)])
def test_noise_has_nearly_the_greatest_entropy_at_alpha_1(tokens: int, sharp: float) -> None:
    states = gaussian(tokens, 2048)
    others = (tokens - 1) / 2
    orthogonal = math.log(1 + others) + math.log(2) * others / (1 + others)
    spread = 1 / (2 * 2048)  # half the variance of cosines
    assert entropy(states, 1.0) == pytest.approx(orthogonal - spread, abs=5e-5)
    assert math.log(tokens) - entropy(states, 1.0) < 0.0016
    assert entropy(states, 8.0) == pytest.approx(sharp, abs=0.02)


def test_a_token_of_zeros_resembles_all_by_half() -> None:
    states = gaussian(6, 10)
    states[2] = 0.0
    assert entropy(states, 8.0) == pytest.approx(plain_mixing_entropy(states, 8.0))


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="mean or last, got 'first'"):
        entropy(gaussian(3, 4), 1.0, "first")
    with pytest.raises(ValueError, match=r"above 0, got 0\.0"):
        entropy(gaussian(3, 4), 0.0)
