"""What happens inside one attention call: measure the rows after the image, edit the chosen ones.

`execute` materialises every weight of these rows and is the definition; `engine.fused` has a
function of the same signature that gives the same numbers without.

Axes: B batch, H heads, Q queries (rows) of this call, R those of them that are edited or measured,
K keys, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.engine.algebra import attention_output
from interventions.engine.reference import edited_weights
from interventions.engine.view import Call, Rows, View
from interventions.methods.heads import HeadRule
from interventions.methods.intervention import Intervention


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What one call adds to the log, per sample."""

    means: Float[Tensor, "4 batch"]  # of measurement.SUMS: over heads, summed over measured rows
    entries: Int[Tensor, "2 batch"]  # (head, row, key) triples edited in prompt and generated rows
    broken: Bool[Tensor, " batch"]  # whether a score that counts was NaN or infinite

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            means=self.means + other.means,
            entries=self.entries + other.entries,
            broken=self.broken | other.broken,
        )


def no_sums(batch: int, device: torch.device) -> Sums:
    """Nothing measured, nothing edited."""
    zero = torch.zeros(4, batch, device=device)
    return Sums(means=zero, entries=zero[:2].long(), broken=zero[0].bool())


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one call gave. `weights` is None in the fused execution."""

    sums: Sums
    index: Int[Tensor, " row"] | None = None  # rows of the call that follow; None: none was edited
    touched: Bool[Tensor, "batch head row"] | None = None
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
    weights, touched = weights_after(view, intervention, heads)
    return Outcome(
        sums=summed(view, before, measure(view, weights), touched, broken),
        index=view.rows.index,
        touched=touched,
        output=attention_output(weights, view.value),
        weights=weights,
    )


def weights_after(
    view: View, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> tuple[Float[Tensor, "batch head row key"], Bool[Tensor, "batch head row"] | None]:
    """Weights of all rows after the edit, and where rows were edited (None: nowhere)."""
    if heads is None or not view.rows.edits:
        return view.weights, None
    edited, editable = edited_weights(view, intervention)
    touched = editable & view.rows.edited[:, None, :] & chosen_heads(view, heads)
    return torch.where(touched[..., None], edited, view.weights), touched


def chosen_heads(view: View, heads: Sequence[int] | HeadRule) -> Bool[Tensor, "batch|1 head row|1"]:
    """Heads that are edited: a fixed set, or what a rule finds in each row."""
    if isinstance(heads, HeadRule):
        return heads.chosen(view)
    return _marked(tuple(heads), view.heads, view.call.query.device)


@lru_cache(maxsize=64)  # a copy to the device waits for it, and every layer asks
def _marked(heads: tuple[int, ...], count: int, device: torch.device) -> Bool[Tensor, "1 head 1"]:
    with torch.inference_mode(False):
        chosen = torch.zeros(count, dtype=torch.bool)
        chosen[list(heads)] = True
        return chosen[None, :, None].to(device)


def measure(
    view: View, weights: Float[Tensor, "batch head row key"]
) -> tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]:
    """Share of attention on image keys in [0, 1], and the entropy of the pattern on them in nats.

    The entropy of p_j = w_j / m is log m - (sum_j w_j log w_j) / m; 0 where m is 0.
    """
    visual = weights.detach() * view.with_role(["image"])
    share = visual.sum(dim=-1)
    logarithms = visual.clamp_min(torch.finfo(visual.dtype).tiny).log()  # xlogy is far slower
    spread = (visual * logarithms).sum(dim=-1) / share
    return share, torch.where(share > 0, share.log() - spread, 0.0)


def summed(
    view: View,
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    touched: Bool[Tensor, "batch head row"] | None,
    broken: Bool[Tensor, " batch"],
) -> Sums:
    """Sums of shares and entropies, (B, H, R) each, and of the entries that were edited."""
    shares, entropies = (torch.stack(pair) for pair in zip(before, after, strict=True))
    means = torch.cat([shares, entropies]).detach().mean(dim=2) * view.rows.measured
    entries = torch.zeros(2, *view.rows.position.shape, dtype=torch.long, device=means.device)
    if touched is not None:
        generated = view.rows.position >= view.rows.prompt_lengths[:, None]
        entries[0] = (touched * view.block.sum(dim=-1)).sum(dim=1)
        entries[1] = entries[0] * generated
        entries[0] -= entries[1]
    return Sums(means=means.sum(dim=-1), entries=entries.sum(dim=-1), broken=broken)


def not_finite(view: View) -> Bool[Tensor, " batch"]:
    """Samples with a NaN or infinite score where it counts."""
    used = (view.rows.edited | view.rows.measured)[:, None, :, None]
    return (view.allowed & used & ~view.scores.isfinite()).flatten(1).any(dim=1)
