"""How the proposed scores of a block are brought to the scale of the learned ones.

Statistics are taken over the block, per (sample, layer, head, row), unless a class says otherwise.

Axes: B batch, H heads, G key-value heads, R rows, K keys, D width of a head.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.algebra import expand_groups, log_mass, precise
from interventions.engine.view import View
from interventions.errors import InterventionError
from interventions.methods.parts import Part

BISECTIONS = 50  # halvings of the logarithm of a temperature, from [e^-20, e^20]


@dataclass(frozen=True, kw_only=True)
class Calibration(metaclass=Part):
    """Base of all calibrations."""

    needs_whole_prompt = False  # whether the prompt may not come in chunks

    @abstractmethod
    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        """Calibrated scores; entries outside the block are ignored."""


@dataclass(frozen=True, kw_only=True)
class MatchMean(Calibration):
    """a <- a - mean(a) + mean(s)."""

    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        inside = torch.where(view.block, proposed, 0.0)
        return proposed - moments(inside, view.block)[0] + moments(view.scores, view.block)[0]


@dataclass(frozen=True, kw_only=True)
class MatchMeanStd(Calibration):
    """a <- (a - mean(a)) / std(a) * std(s) + mean(s), exactly; equal scores only get the mean."""

    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        mean, deviation = moments(torch.where(view.block, proposed, 0.0), view.block)
        target_mean, target = moments(view.scores, view.block)
        equal = deviation == 0
        ratio = (target / deviation.masked_fill(equal, 1.0)).masked_fill(equal, 0.0)
        return (proposed - mean) * ratio + target_mean


@dataclass(frozen=True, kw_only=True)
class MatchMass(Calibration):
    """a <- a + l_b(s) - l_b(a): the softmax over the row then keeps the block's mass."""

    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        gap = view.learned_log_mass - log_mass(proposed, view.block)
        return proposed + torch.where(view.block.any(dim=-1), gap, 0.0)[..., None]


@dataclass(frozen=True, kw_only=True)
class MatchEntropy(Calibration):
    """a <- t a, with the t > 0 that gives softmax(t a) the entropy of the learned pattern.

    Where no t reaches it (equal scores, or ties at the top) the nearest in [e^-20, e^20] is taken.
    """

    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        block = view.block
        target = pattern_entropy(view.scores, block)
        low = torch.full_like(target, -20.0)
        high = -low
        fixed = proposed.detach()
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            above = pattern_entropy(middle.exp()[..., None] * fixed, block) > target
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        found = _moving(((low + high) / 2).detach(), proposed, target, block)
        return found.exp()[..., None] * proposed


@dataclass(frozen=True, kw_only=True)
class HalfMeanMagnitude(Calibration):
    """a <- a * n |mean S| / 2, with n keys in the block.

    S are the scores of all heads, all rows and all keys of one call of the published code, future
    keys included: for a prompt row all prompt tokens against all prompt tokens, for a generated row
    its own row alone. Their mean over a call is scaling * mean(q) . mean(k), head by head.

    Source: the LLaVA and LLaVA-OneVision models of https://github.com/Lrbomchz/vlms_lost_in_attn
    """

    needs_whole_prompt = True

    def apply(
        self, proposed: Float[Tensor, "batch head row key"], view: View
    ) -> Float[Tensor, "batch head row key"]:
        if view.call.softcap is not None:
            raise InterventionError(
                "The half-mean magnitude is defined on uncapped scores; this model caps them."
            )
        count = view.block.sum(dim=-1, keepdim=True)
        return proposed * count * _mean_score(view).abs()[:, None, :, None] / 2.0


def _moving(
    root: Float[Tensor, "batch head row"],
    proposed: Float[Tensor, "batch head row key"],
    target: Float[Tensor, "batch head row"],
    block: Bool[Tensor, "batch head|1 row key"],
) -> Float[Tensor, "batch head row"]:
    """The root x of H(e^x a) = target, with its derivative: dx = (d target - dH) / (dH / dx).

    By the implicit function theorem; constant where the entropy does not change with x.
    """
    if not (proposed.requires_grad or target.requires_grad):
        return root
    with torch.enable_grad():
        moved = root.clone().requires_grad_()
        entropy = pattern_entropy(moved.exp()[..., None] * proposed.detach(), block)
        (slope,) = torch.autograd.grad(entropy.sum(), moved)
    gap = target - pattern_entropy(root.exp()[..., None] * proposed, block)
    flat = slope == 0
    step = (gap / slope.masked_fill(flat, 1.0)).masked_fill(flat, 0.0)
    return root + step - step.detach()


def _mean_score(view: View) -> Float[Tensor, "batch row"]:
    """Mean over heads, rows and keys of the scores of the call that a row belongs to."""
    call, rows = view.call, view.rows
    scaling = 1.0 / math.sqrt(call.query.shape[-1]) if call.scaling is None else call.scaling
    length = rows.prompt_lengths[:, None]
    keys = call.key.shape[2]
    position = rows.key_position[:, -keys:]
    real = ~rows.keys_with(("padding",))[:, -keys:]
    key = precise(expand_groups(call.key, view.heads))
    prompt = (real & (position < length)).to(key.dtype)
    generated = rows.position >= length  # batch row
    seen = real[:, None, :] & (position[:, None, :] <= rows.position[:, :, None])
    span = torch.where(generated[..., None], seen, prompt[:, None, :] > 0).to(key.dtype)
    span = span / span.sum(dim=-1, keepdim=True).clamp_min(1.0)
    mean_key = torch.einsum("bhkd,brk->bhrd", key, span)
    own = prompt[:, -call.query.shape[2] :]
    whole = torch.einsum("bhqd,bq->bhd", precise(call.query), own) / length[..., None]
    mean_query = torch.where(generated[:, None, :, None], precise(view.query), whole[:, :, None, :])
    return scaling * (mean_query * mean_key).sum(dim=-1).mean(dim=1)


def moments(
    scores: Float[Tensor, "batch head row key"], block: Bool[Tensor, "batch head|1 row key"]
) -> tuple[Float[Tensor, "batch head row 1"], Float[Tensor, "batch head row 1"]]:
    """Mean and population standard deviation over the block; 0 where it is empty."""
    inside = block.to(scores.dtype)
    count = inside.sum(dim=-1, keepdim=True).clamp_min(1.0)
    mean = (scores * inside).sum(dim=-1, keepdim=True) / count
    spread = ((scores - mean) * inside).square().sum(dim=-1, keepdim=True) / count
    equal = spread == 0  # there the root has no derivative
    return mean, spread.masked_fill(equal, 1.0).sqrt().masked_fill(equal, 0.0)


def pattern_entropy(
    scores: Float[Tensor, "batch head row key"], block: Bool[Tensor, "batch head|1 row key"]
) -> Float[Tensor, "batch head row"]:
    """Entropy of the softmax over the block, in nats; 0 where it is empty."""
    nothing = ~block.any(dim=-1, keepdim=True)
    logs = torch.log_softmax(scores.masked_fill(~block & ~nothing, -torch.inf), dim=-1)
    logs = torch.where(block & ~logs.isneginf(), logs, 0.0)
    return -(logs.exp() * logs).sum(dim=-1)
