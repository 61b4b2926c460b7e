"""The output projection of an attention module, as far as the lengths of what it gives go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interventions.errors import InterventionError


def output_grams(module: nn.Module, heads: int, width: int) -> Float[Tensor, "head width width"]:
    """W_h W_h^T of every head's slice of W_O (width x model), in float32.

    With it ||o W_h||_2^2 = o (W_h W_h^T) o^T needs no vector of the model's width. W_O is the last
    linear part of the module that takes all heads side by side.

    Raises `InterventionError` when there is none, or its weight is packed.
    """
    size = heads * width
    linear = [
        part
        for part in module.children()
        if isinstance(part, nn.Linear) and part.weight.ndim == 2 and part.weight.shape[1] == size
    ]
    if not linear or not linear[-1].weight.is_floating_point():
        raise InterventionError(
            f"{type(module).__name__} has no readable output projection from {heads} heads of "
            f"width {width} (quantised weights cannot be read); load the model in floating point "
            "to measure the attention budget."
        )
    with at_hand(linear[-1]) as weight:
        slices = weight.float().reshape(-1, heads, width)
        return torch.einsum("mhd,mhe->hde", slices, slices)


@contextmanager
def at_hand(linear: nn.Linear) -> Iterator[Float[Tensor, "out in"]]:
    """The weight of a layer, fetched by accelerate where that has off-loaded it."""
    hook = getattr(linear, "_hf_hook", None) if linear.weight.is_meta else None
    if hook is None:
        yield linear.weight.detach()
        return
    hook.pre_forward(linear)
    try:
        yield linear.weight.detach()
    finally:
        hook.post_forward(linear, None)
