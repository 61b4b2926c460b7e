"""Gaussian weights with the moments of the learned ones: "Noise-QKV" and "Noise-FFN".

Which tensors are replaced is for the caller to list by name.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from solvent.diagnostics.residual.random_streams import normal, stream

Draw = Literal["own", "same"]

LEAST = 1e-6  # the standard deviation that the helpers give a constant tensor


def gaussian_weights(
    weights: Float[Tensor, "*shape"], name: str, *, seed: int, draw: Draw
) -> Float[Tensor, "*shape"]:
    """N(mean, std^2) of one tensor, in its type, with its mean and population standard deviation.

    `own`: a stream of its own for every (seed, name). `same`: as the released helpers draw, every
    tensor from a generator with the same seed, so that two tensors of one shape (k and v, gate and
    up, the same projection of all layers) are the same noise but for scale and shift, and others
    share their first numbers; on a CPU their very numbers (`noise_utils.py` of
    https://github.com/Lrbomchz/vlms_lost_in_attn). Raises `ValueError` for other names.
    """
    if draw == "own":
        exact = weights.detach().to(torch.float64)
        noise = exact.mean() + exact.std(correction=0) * normal(exact, stream(seed, name))
        return noise.to(weights.dtype)
    if draw == "same":
        exact = weights.detach().to(torch.float32)
        spread = float(exact.std(correction=0)) or LEAST
        generator = torch.Generator(device=exact.device).manual_seed(seed)
        noise = torch.empty_like(exact).normal_(float(exact.mean()), spread, generator=generator)
        return noise.to(weights.dtype)
    raise ValueError(f"Weights are drawn from streams of their own or the same, got {draw!r}.")
