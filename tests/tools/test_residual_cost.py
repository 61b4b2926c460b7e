"""The table of costs has a number for every way that is taken."""

from __future__ import annotations

import pytest
import torch

from tools.residual_cost import measured, states


def test_every_way_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    before, update = states(2, 16, 64, "cpu")
    assert before.dtype == update.dtype == torch.bfloat16
    assert float(before.abs().max()) == 1000.0  # a massive activation
    found = measured(16, 64, layers=2, device="cpu", passing=True, repeats=1)
    assert set(found) == {"fast", "repeated", "svd", "haar"}
    assert all(isinstance(value, float) for value in found.values())
    monkeypatch.setattr("tools.residual_cost.PLAIN", 0)
    assert measured(16, 64, layers=2, device="cpu", passing=False, repeats=1)["svd"] is None
