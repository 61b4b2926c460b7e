"""Draws of a fixed number of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from solvent.diagnostics.residual.random_streams import stream
from solvent.diagnostics.residual.token_draws import token_draws


@pytest.mark.parametrize(("count", "size"), [(20, 16), (33, 32), (64, 16), (97, 40)])
def test_draws_are_spread_and_fair(count: int, size: int) -> None:
    positions = 100 + 3 * np.arange(count)
    drawn = token_draws(positions, size, 2000, stream(0, "tokens"))
    assert drawn.shape == (2000, size)
    assert (np.diff(drawn, axis=1) > 0).all()  # in order, each once
    assert np.isin(drawn, positions).all()
    counts = np.searchsorted(positions, drawn)
    times = np.bincount(counts.ravel(), minlength=count)
    expected = 2000 * size / count
    # A binomial count each, of which neighbours push each other away: no chi-square, but a bound.
    limit = 4.5 * np.sqrt(expected * (1 - size / count))
    assert np.abs(times - expected).max() < limit
    first = np.stack([np.searchsorted(row, np.arange(count)) for row in counts])
    assert np.abs(first - np.arange(count) * size / count).max() < 1.0
    halves = np.bincount(counts.ravel() % 2, minlength=2)
    shares = np.bincount(np.arange(count) % 2) / count
    assert chisquare(halves, shares * halves.sum()).pvalue > 1e-4  # no columns of an image favoured


def test_all_tokens_are_drawn_where_there_are_no_more() -> None:
    positions = np.arange(5, 21)
    drawn = token_draws(positions, 16, 3, stream(0, "tokens"))
    assert (drawn == positions).all()
    with pytest.raises(ValueError, match="17 tokens are to be drawn of 16"):
        token_draws(positions, 17, 3, stream(0, "tokens"))
    with pytest.raises(ValueError, match="At least 16 tokens are measured, got 15"):
        token_draws(positions, 15, 3, stream(0, "tokens"))


def test_draws_are_a_function_of_their_stream() -> None:
    positions = np.arange(100)
    same = [token_draws(positions, 20, 2, stream(0, "uid")) for _ in range(2)]
    assert (same[0] == same[1]).all()
    assert (same[0][0] != same[0][1]).any()
    assert (token_draws(positions, 20, 2, stream(0, "other")) != same[0]).any()
