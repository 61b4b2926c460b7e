"""Weights of the decoder as Gaussians with their moments: "Noise-QKV" and "Noise-FFN".

Source: Large Vision-Language Models Get Lost in Attention, https://arxiv.org/abs/2605.05668, and
`utils/noise_utils.py` of https://github.com/Lrbomchz/vlms_lost_in_attn, which lets all tensors
share one seed and also replaces weights of vision towers that bear the same names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.controls.decoder_weights import (
    DecoderParts,
    feed_forward_parts,
    query_key_value_parts,
)
from interventions.controls.restoring import restored
from interventions.methods.selectors import check_choice

Which = Literal["qkv", "ffn"]
Draw = Literal["own", "same"]

PARTS = {"qkv": query_key_value_parts, "ffn": feed_forward_parts}
LEAST = 1e-6  # the standard deviation that a constant tensor gets in the released helpers


@dataclass(frozen=True, kw_only=True)
class Noised:
    """What was replaced: names of tensors within the decoder, and layers without such tensors."""

    names: tuple[str, ...]
    skipped: Mapping[int, str]


def check_noisable(model: PreTrainedModel, which: Which) -> None:
    """Raise what `noised_weights` would raise, without drawing anything."""
    check_choice(which, tuple(PARTS), "which")
    PARTS[which](model)


@block('with noised_weights(model, "qkv", seed=0, draw="own") as noised')
def noised_weights(
    model: PreTrainedModel, which: Which, *, seed: int, draw: Draw
) -> Iterator[Noised]:
    """Replace weights by independent draws of N(mean, std^2), with the moments of each matrix.

    `which` is "qkv", what makes queries, keys and values in the decoder's self-attention, or "ffn",
    every matrix of its feed-forward parts, experts and routers included. Biases, norms, gates of
    the attention and everything outside of the decoder stay.

    draw: "own": a stream of its own for every (seed, name), and moments of each part of tensors
    that hold several; the result depends on no order. "same": as the released helpers, every whole
    tensor from a generator with this one seed on its device, so that tensors of one shape (keys and
    values, gate and up, one projection in all layers) hold the same noise but for scale and shift.

    Raises `InterventionError` where the tensors cannot be told.
    """
    check_choice(which, tuple(PARTS), "which")
    check_choice(draw, ("own", "same"), "draw")
    found: DecoderParts = PARTS[which](model)
    parts = {part.name: part for part in found.parts}
    weights = {name.partition("[")[0]: part.weight for name, part in parts.items()}
    with restored(weights.values()):
        if draw == "own":
            for name, part in parts.items():
                part.values.copy_(_own(part.values, name, seed))
        else:
            for weight in weights.values():
                weight.detach().copy_(_same(weight.detach(), seed))
        names = parts if draw == "own" else weights
        yield Noised(names=tuple(names), skipped=found.skipped)


def _own(weights: Float[Tensor, "out in"], name: str, seed: int) -> Float[Tensor, "out in"]:
    """Noise of one matrix in float64, drawn on the CPU, so that no device gets other noise."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    stream = np.random.default_rng([seed, int.from_bytes(digest, "little")])
    noise = torch.from_numpy(stream.standard_normal(tuple(weights.shape))).to(weights.device)
    exact = weights.to(torch.float64)
    return exact.mean() + exact.std(correction=0) * noise


def _same(weights: Float[Tensor, "*shape"], seed: int) -> Float[Tensor, "*shape"]:
    """Noise of one tensor in float32, on a CPU the very numbers of the released helpers."""
    exact = weights.to(torch.float32)
    spread = float(exact.std(correction=0)) or LEAST
    generator = torch.Generator(device=weights.device).manual_seed(seed)
    return torch.empty_like(exact).normal_(float(exact.mean()), spread, generator=generator)
