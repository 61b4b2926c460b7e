"""Attention as a sum over key blocks: the arithmetic, readable as the formula.

For one row, split the allowed keys into a block b and the rest t, with log-masses
l_b = log sum_{j in b} exp(s_j) and l_t likewise:

    w_j = exp(s_j - l),   l = logaddexp(l_b, l_t),   m_b = exp(l_b - l),   o = sum_j w_j v_j

An edit proposes other scores a_j inside the block (the pattern) and another log-mass l'_b (the
mass). Both together are one edited row of scores, so rows sum to one by construction:

    s'_j = a_j - log sum_{b} exp(a) + l'_b   in the block,      s'_j = s_j   outside it

`engine.reference` and `engine.fused` carry it out. All arithmetic here is float32
(float64 in a float64 model), and the caller casts once; where a backend's own kernel does the work,
it does so in the model's precision. Where a set of keys is empty its log-mass is -inf, and
nothing flows back from there: the functions below give that a gradient of zero, where torch's own
give NaN.

Axes: B batch, H heads, G key-value heads, Q queries (rows), K keys, D width of a head.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def precise(values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """In float32, unless it is more already."""
    return values if values.dtype == torch.float64 else values.float()


def attention_scores(
    query: Float[Tensor, "batch head query width"],
    key: Float[Tensor, "batch group key width"],
    scaling: float | None,
    softcap: float | None,
) -> Float[Tensor, "batch head query key"]:
    """Scaled scores before the mask, s = cap * tanh(scaling * q.k / cap).

    `scaling` None means 1/sqrt(width); `softcap` None means no cap. Query heads share key heads in
    consecutive groups (https://arxiv.org/abs/2305.13245).
    """
    scaling = 1.0 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    batch, heads, rows, _ = query.shape
    groups = key.shape[1]
    shared = precise(query).reshape(batch, groups, heads // groups * rows, query.shape[-1])
    scores = shared * scaling @ precise(key).transpose(-1, -2)
    scores = scores.reshape(batch, heads, rows, key.shape[2])
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def expand_groups(
    grouped: Float[Tensor, "batch group key width"], heads: int
) -> Float[Tensor, "batch head key width"]:
    """Repeat every key-value head for the query heads that share it."""
    return grouped.repeat_interleave(heads // grouped.shape[1], dim=1)


def attention_weights(
    scores: Float[Tensor, "batch head query key"], allowed: Bool[Tensor, "batch 1 query key"]
) -> Float[Tensor, "batch head query key"]:
    """Softmax over the allowed keys: exactly 0 elsewhere; an all-zero row where none is allowed."""
    masked = restricted(scores, allowed)
    highest = masked.detach().amax(dim=-1, keepdim=True)
    nothing = highest.isneginf()
    powers = torch.exp(masked - highest.masked_fill(nothing, 0.0))
    return powers / powers.sum(dim=-1, keepdim=True).masked_fill(nothing, 1.0)


def log_mass(
    scores: Float[Tensor, "batch head query key"], keys: Bool[Tensor, "batch 1 query key"]
) -> Float[Tensor, "batch head query"]:
    """Logarithm of the unnormalised attention of a set of keys; -inf for an empty set."""
    return log_sum(restricted(scores, keys))


def log_sum(scores: Float[Tensor, "*axes key"]) -> Float[Tensor, "*axes"]:
    """log sum_j exp(s_j); -inf, without a gradient, where all are -inf."""
    if not scores.requires_grad or not scores.shape[-1]:
        return torch.logsumexp(scores, dim=-1)
    nothing = scores.detach().amax(dim=-1).isneginf()
    some = scores.masked_fill(nothing[..., None], 0.0)
    return torch.logsumexp(some, dim=-1).masked_fill(nothing, -torch.inf)


def log_add(
    first: Float[Tensor, "*axes"], second: Float[Tensor, "*axes"]
) -> Float[Tensor, "*axes"]:
    """log(e^first + e^second); -inf, without a gradient, where both are -inf."""
    nothing = first.isneginf() & second.isneginf()
    total = torch.logaddexp(first.masked_fill(nothing, 0.0), second.masked_fill(nothing, 0.0))
    return total.masked_fill(nothing, -torch.inf)


def restricted(
    scores: Float[Tensor, "batch head query key"], keys: Bool[Tensor, "batch 1 query key"]
) -> Float[Tensor, "batch head query key"]:
    """Scores of some keys, -inf elsewhere; adding is far faster than filling under a broadcast."""
    return scores + torch.zeros_like(keys, dtype=scores.dtype).masked_fill(~keys, -torch.inf)


def attention_output(
    weights: Float[Tensor, "batch head query key"], value: Float[Tensor, "batch group key width"]
) -> Float[Tensor, "batch head query width"]:
    """o = sum_j w_j v_j; the value width may differ from the query width."""
    batch, heads, rows, keys = weights.shape
    groups = value.shape[1]
    shared = weights.reshape(batch, groups, heads // groups * rows, keys) @ precise(value)
    return shared.reshape(batch, heads, rows, value.shape[-1])
