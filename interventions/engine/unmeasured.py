"""Rows edited without ever holding their weights, above all those that nobody measures.

Two kinds of edit allow it. Where the edited scores are linear in the learned ones,

    s'_ij = c_j s_ij + b_ij,    b_ij = log c, -inf (knocked out) or 0,

the backend's own kernel does the work on scaled keys under an additive mask. Where every key of a
row gets the same weight, the output is a mean of values: a prefix mean under a causal mask.

Axes: B batch, H heads, G key-value heads, R rows, K keys, W width of a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from interventions.engine.algebra import expand_groups, precise
from interventions.engine.execution import Outcome, chosen_heads, summed
from interventions.engine.view import View
from interventions.methods.heads import HeadRule
from interventions.methods.intervention import Intervention
from interventions.methods.masses import Drop, FromPattern, Keep, Shift
from interventions.methods.patterns import Learned, Uniform
from interventions.methods.selectors import ROLES, meant, several


def is_linear(intervention: Intervention) -> bool:
    """Whether the edited scores are linear in the learned ones, key by key."""
    whole = intervention.mix == 1.0 and intervention.value_gain == 1.0
    if not whole or intervention.calibration is not None or not intervention.token_probe:
        return False
    if isinstance(intervention.pattern, Learned):
        return isinstance(intervention.mass, Keep | Shift | Drop | FromPattern)
    return intervention.pattern.scales_keys and isinstance(intervention.mass, FromPattern)


def is_mean(intervention: Intervention) -> bool:
    """Whether every key that a row may see gets the same weight."""
    return (
        isinstance(intervention.pattern, Uniform)
        and set(ROLES[1:]) <= {*several(intervention.keys), *meant(several(intervention.keys))}
        and intervention.probe is None
        and intervention.calibration is None
        and intervention.mix == 1.0
        and (intervention.mass.leaks or isinstance(intervention.mass, Keep | FromPattern))
    )


@dataclass(frozen=True, kw_only=True)
class LearnedSums:
    """What was measured of rows before they are edited."""

    pair: tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]  # as `measure`
    broken: Bool[Tensor, " batch"]


class WholeRow(View):
    """A view whose block is all that a row may see: its log-mass is any constant."""

    @property
    def learned_log_mass(self) -> Float[Tensor, "batch head row"]:
        shape = (len(self.rows.sample), self.heads, len(self.rows.index))
        return torch.zeros(shape, dtype=self.precision, device=self.call.query.device)


def edit_linear(view: View, intervention: Intervention, heads: Sequence[int] | HeadRule) -> Outcome:
    """Scaled keys and an additive mask, in the kernel of `scaled_dot_product_attention`."""
    query, key, value = view.query, view.call.key, view.value
    factor = intervention.pattern.key_factor(view)
    if factor is not None:  # half precision would round the scaled keys
        factor = torch.where(view.of_keys(view.rows.chosen_key), factor, 1.0).transpose(-1, -2)
        query, key, value = precise(query), precise(key) * factor, precise(value)
    bias = torch.zeros_like(view.allowed, dtype=query.dtype)
    bias.masked_fill_(~view.allowed, -math.inf)
    shift = _shift(intervention)
    if shift != 0.0:
        bias = torch.where(view.block, bias + shift, bias)
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=bias,
        scale=view.call.scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    editable = view.block.any(dim=-1)
    if shift == -math.inf:
        editable = editable & (view.allowed & ~view.block).any(dim=-1)
    return _outcome(view, intervention, heads, output, editable)


def edit_mean(
    view: View,
    intervention: Intervention,
    heads: Sequence[int] | HeadRule,
    before: LearnedSums | None,
) -> Outcome:
    """The mean of the values that a row may see, times what a leaky mass leaves of it.

    Every visible key weighs the same: of n, of which k are of the image, the image has the share
    k / n of the row, with entropy log k.
    """
    value, allowed = precise(view.value), view.allowed
    if view.rows.causal(view.call.allowed):
        last = view.rows.index + view.keys - view.call.query.shape[2]
        visible = view.call.allowed[:, 0, -1, :, None]  # batch key 1: what the last row sees
        totals = (value * visible[:, None]).cumsum(dim=2)
        counts = visible.to(value.dtype).cumsum(dim=1)[:, last, 0]
        mean = totals[:, :, last] / counts.clamp_min(1.0)[:, None, :, None]
    else:
        mean = (allowed.to(value.dtype) / allowed.sum(dim=-1, keepdim=True).clamp_min(1)) @ value
    proposed = torch.zeros_like(view.learned_log_mass)
    kept: float | Tensor = 1.0
    if intervention.mass.leaks:
        kept = intervention.mass.log_mass(view, proposed).exp()[..., None]
    kept = kept * intervention.value_gain
    output = expand_groups(mean, view.heads) * kept
    outcome = _outcome(view, intervention, heads, output, view.block.any(dim=-1))
    if before is None or outcome.touched is None:
        return outcome
    image = (allowed & view.with_role(["image"])).sum(dim=-1)
    share = image / allowed.sum(dim=-1).clamp_min(1) * intervention.head_gain
    share = share * (kept[..., 0] if isinstance(kept, Tensor) else kept)
    after = (
        torch.where(outcome.touched, share, before.pair[0]),
        torch.where(outcome.touched, image.clamp_min(1).log(), before.pair[1]),
    )
    broken = outcome.sums.broken | before.broken
    return replace(outcome, sums=summed(view, before.pair, after, outcome.touched, broken))


def _shift(intervention: Intervention) -> float:
    """What is added to the scores of the block."""
    if isinstance(intervention.mass, Drop):
        return -math.inf
    return math.log(intervention.mass.factor) if isinstance(intervention.mass, Shift) else 0.0


def _outcome(
    view: View,
    intervention: Intervention,
    heads: Sequence[int] | HeadRule,
    output: Float[Tensor, "batch head row width"],
    editable: Tensor,
) -> Outcome:
    touched = editable & view.rows.edited[:, None, :] & chosen_heads(view, heads)
    touched = touched.expand(-1, view.heads, -1)
    broken = (touched & ~output.isfinite().all(dim=-1)).flatten(1).any(dim=1)
    nothing = torch.zeros_like(touched, dtype=view.precision)
    pair = (nothing, nothing)
    sums = summed(view, pair, pair, touched, broken)
    return Outcome(
        sums=sums,
        index=view.rows.index,
        touched=touched,
        output=precise(output) * intervention.head_gain,
    )
