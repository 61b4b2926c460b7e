"""What happens inside one attention call: measure the rows after the image, edit the chosen ones.

`execute` materialises every weight of these rows and is the definition; `interventions.fused` has a
function of the same signature that gives the same numbers without.

Axes: B batch, H heads, Q queries (rows) of this call, R those of them that are edited or measured,
K keys, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.blocks import attention_output
from interventions.heads import HeadRule
from interventions.intervention import Intervention
from interventions.reference import edited_weights
from interventions.view import Call, Rows, View


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Per sample: sums over the measured rows of means over heads."""

    mass_before: Float[Tensor, " batch"]  # share of attention on image tokens
    mass_after: Float[Tensor, " batch"]
    entropy_before: Float[Tensor, " batch"]  # of the pattern over image tokens, in nats
    entropy_after: Float[Tensor, " batch"]
    cells_prefill: Int[Tensor, " batch"]  # (head, row, key) triples that were edited
    cells_decode: Int[Tensor, " batch"]
    broken: Bool[Tensor, " batch"]  # whether a score that counts was NaN or infinite

    def __add__(self, other: Sums) -> Sums:
        values = {}
        for name, value in self.__dict__.items():
            added = getattr(other, name)
            values[name] = value | added if name == "broken" else value + added
        return Sums(**values)


def no_sums(batch: int, device: torch.device) -> Sums:
    """Nothing measured, nothing edited."""
    zero = torch.zeros(batch, device=device)
    return Sums(
        mass_before=zero,
        mass_after=zero,
        entropy_before=zero,
        entropy_after=zero,
        cells_prefill=zero.long(),
        cells_decode=zero.long(),
        broken=zero.bool(),
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one call gave. `weights` is None in the fused execution."""

    sums: Sums
    touched: Bool[Tensor, "batch head row"] | None = None  # None: nothing was to be edited
    output: Float[Tensor, "batch head row width"] | None = None
    weights: Float[Tensor, "batch head row key"] | None = None


def execute(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> Outcome:
    """The reference: measure the rows, and edit those of `heads` (None: only measure)."""
    if len(rows.index) == 0:
        return Outcome(sums=no_sums(len(rows.sample), call.query.device))
    return execute_view(View(call=call, rows=rows, probe=intervention.probe), intervention, heads)


def execute_view(
    view: View, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> Outcome:
    """The same for rows that somebody else chose."""
    before, broken = measure(view, view.weights), not_finite(view)
    if heads is None or not view.rows.edits:
        return Outcome(sums=summed(view, before, before, None, broken))
    edited, editable = edited_weights(view, intervention)
    touched = editable & view.rows.edited[:, None, :] & chosen_heads(view, heads)
    weights = torch.where(touched[..., None], edited, view.weights)
    return Outcome(
        sums=summed(view, before, measure(view, weights), touched, broken),
        touched=touched,
        output=attention_output(weights, view.value),
        weights=weights,
    )


def chosen_heads(view: View, heads: Sequence[int] | HeadRule) -> Bool[Tensor, "batch|1 head row|1"]:
    """Heads that are edited: a fixed set, or what a rule finds in each row."""
    if isinstance(heads, HeadRule):
        return heads.chosen(view)
    chosen = torch.zeros(view.heads, dtype=torch.bool, device=view.call.query.device)
    chosen[list(heads)] = True
    return chosen[None, :, None]


def measure(
    view: View, weights: Float[Tensor, "batch head row key"]
) -> tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]:
    """Share of attention on image keys in [0, 1], and the entropy of the pattern on them in nats.

    The entropy of p_j = w_j / m is log m - (sum_j w_j log w_j) / m; 0 where nothing is on the image.
    """
    visual = weights.detach() * view.with_role(["image"])
    share = visual.sum(dim=-1)
    spread = torch.special.xlogy(visual, visual).sum(dim=-1) / share
    return share, torch.where(share > 0, share.log() - spread, 0.0)


def summed(
    view: View,
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    touched: Bool[Tensor, "batch head row"] | None,
    broken: Bool[Tensor, " batch"],
) -> Sums:
    """Sums of shares and entropies, (B, H, R) each, and of the cells that were edited."""
    means = [value.mean(dim=1) * view.rows.measured for value in (*before, *after)]
    cells = torch.zeros_like(view.rows.position)
    if touched is not None:
        cells = (touched * view.block.sum(dim=-1)).sum(dim=1)
    generated = view.rows.position >= view.rows.prompt_lengths[:, None]
    return Sums(
        mass_before=means[0].sum(dim=1),
        mass_after=means[2].sum(dim=1),
        entropy_before=means[1].sum(dim=1),
        entropy_after=means[3].sum(dim=1),
        cells_prefill=(cells * ~generated).sum(dim=1),
        cells_decode=(cells * generated).sum(dim=1),
        broken=broken,
    )


def not_finite(view: View) -> Bool[Tensor, " batch"]:
    """Samples with a NaN or infinite score where it counts."""
    used = (view.rows.edited | view.rows.measured)[:, None, :, None]
    return (view.allowed & used & ~view.scores.isfinite()).flatten(1).any(dim=1)
