"""Quantiles over heads are those of torch, which some releases compute only by waiting."""

from __future__ import annotations

import pytest
import torch

from interventions.methods.heads import quantile


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("heads", [1, 2, 4, 28, 32])
@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_quantiles_are_those_of_torch(share: float, heads: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(heads)
    values = torch.randn(3, heads, 5, generator=generator, dtype=dtype)
    values[1, 0, 2] = torch.nan
    expected = torch.quantile(values, share, dim=1, keepdim=True)
    assert torch.equal(quantile(values, share).nan_to_num(7.0), expected.nan_to_num(7.0))
