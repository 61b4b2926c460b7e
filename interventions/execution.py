"""What happens inside one attention call: measure the rows after the image, edit the chosen ones.

`execute` is the reference execution, the definition that any faster one is compared with.

Axes: B batch, H heads, Q queries (rows) of this call, R those of them that are edited or measured,
K keys, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.blocks import (
    attention_output,
    attention_scores,
    attention_weights,
    edited_weights,
)
from interventions.intervention import Intervention
from interventions.noise import Address
from interventions.selectors import ROLES_AFTER_IMAGE, has_role, select_rows
from interventions.sequences import InterventionError, Sequences


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer's attention."""

    layer: int
    query: Float[Tensor, "batch head query width"]
    key: Float[Tensor, "batch group key width"]
    value: Float[Tensor, "batch group key width"]
    allowed: Bool[Tensor, "batch 1 query key"]
    scaling: float | None
    softcap: float | None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is done with the rows of one forward; the same for all of its layers."""

    index: Int[Tensor, " row"]  # rows of the call that are edited or measured in some sample
    edited: Bool[Tensor, "batch row"]
    measured: Bool[Tensor, "batch row"]
    position: Int[Tensor, "batch row"]  # in the unpadded sequence
    key_position: Int[Tensor, "batch token"]
    image: Bool[Tensor, "batch token"]
    block: Bool[Tensor, "batch token"]
    sample: Int[Tensor, " batch"]
    prior: Float[Tensor, "batch token"] | None
    uids: tuple[str, ...]

    def to(self, device: torch.device) -> Rows:
        """On the device of a layer; layers of one model may sit on several."""
        if self.index.device == device:
            return self
        values = self.__dict__.items()
        return Rows(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one call gave. The last three are None when nothing was to be edited."""

    before: Float[Tensor, " batch"]  # visual mass: mean over heads, sum over the measured rows
    after: Float[Tensor, " batch"]
    cells: Int[Tensor, " batch"]  # (head, row, key) triples that were edited
    touched: Bool[Tensor, "batch head row"] | None = None
    weights: Float[Tensor, "batch head row key"] | None = None
    output: Float[Tensor, "batch head row width"] | None = None


def resolve_rows(
    sequences: Sequences, count: int, intervention: Intervention, image_token_id: int
) -> Rows:
    """Roles turned into rows and keys, for the last `count` tokens of the sequences."""
    roles, positions = sequences.roles(image_token_id), sequences.positions()
    image = has_role(roles, ("image",))
    fresh = torch.arange(roles.shape[1], device=roles.device) >= sequences.measured
    measured = has_role(roles, ROLES_AFTER_IMAGE) & image.any(dim=1, keepdim=True) & fresh
    edited = select_rows(roles, intervention.rows, intervention.phase)
    edited = edited & torch.tensor(not intervention.is_identity, device=roles.device)
    fixed = intervention.pattern.needs_picture and sequences.priors is not None
    index = (measured | edited)[:, -count:].any(dim=0).nonzero()[:, 0]
    return Rows(
        index=index,
        edited=edited[:, -count:][:, index],
        measured=measured[:, -count:][:, index],
        position=positions[:, -count:][:, index],
        key_position=positions,
        image=image,
        block=has_role(roles, intervention.keys),
        sample=sequences.samples,
        prior=place_priors(image, sequences.priors) if fixed else None,
        uids=tuple(record.uid for record in sequences.records),
    )


def execute(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | None
) -> Outcome:
    """Measure the rows, and edit those of `heads` (None: only measure, as in untouched layers)."""
    nothing = torch.zeros(len(rows.sample), device=call.query.device)
    if len(rows.index) == 0:
        return Outcome(before=nothing, after=nothing, cells=nothing.long())
    query = call.query[:, :, rows.index]
    scores = attention_scores(query, call.key, call.scaling, call.softcap)
    allowed = call.allowed[:, :, rows.index]
    _check_finite(scores, allowed, rows, call.layer)
    learned = attention_weights(scores, allowed)
    before = visual_mass(learned, rows)
    if heads is None or not rows.edited.any():
        return Outcome(before=before, after=before, cells=nothing.long())
    block = rows.block[:, None, None, -scores.shape[-1] :] & allowed
    edited, editable = _edit(call.layer, scores, allowed, block, rows, intervention)
    chosen = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
    chosen[list(heads)] = True
    touched = editable & rows.edited[:, None, :] & chosen[None, :, None]
    weights = torch.where(touched[..., None], edited, learned)
    return Outcome(
        before=before,
        after=visual_mass(weights, rows),
        cells=(touched * block.sum(dim=-1)).sum(dim=(1, 2)),
        touched=touched,
        weights=weights,
        output=attention_output(weights, call.value),
    )


def visual_mass(
    weights: Float[Tensor, "batch head row key"], rows: Rows
) -> Float[Tensor, " batch"]:
    """Share of attention on image keys, in [0, 1] per row: mean over heads, summed over rows."""
    image = rows.image[:, None, None, -weights.shape[-1] :]
    share = (weights.detach() * image).sum(dim=-1).mean(dim=1)
    return (share * rows.measured).sum(dim=1)


def place_priors(
    image: Bool[Tensor, "batch token"], priors: Sequence[Float[np.ndarray, " token"]]
) -> Float[Tensor, "batch token"]:
    """Every image token's weight at its column; 1 elsewhere."""
    placed = torch.ones(image.shape, dtype=torch.float32)
    for row, prior in enumerate(priors):
        columns = image[row].cpu().nonzero()[:, 0]
        placed[row, columns] = torch.as_tensor(np.asarray(prior)[: len(columns)]).float()
    return placed.to(image.device)


def overwritten(
    original: Tensor, axis: int, index: Int[Tensor, " row"], where: Tensor, new: Tensor
) -> Tensor:
    """A copy of `original` whose rows `index` are replaced by `new` where `where` says so."""
    kept = original.index_select(axis, index)
    chosen = torch.where(where[..., None], new.to(original.dtype), kept)
    return original.index_copy(axis, index, chosen)


def _edit(
    layer: int,
    scores: Float[Tensor, "batch head row key"],
    allowed: Bool[Tensor, "batch 1 row key"],
    block: Bool[Tensor, "batch 1 row key"],
    rows: Rows,
    intervention: Intervention,
) -> tuple[Float[Tensor, "batch head row key"], Bool[Tensor, "batch head row"]]:
    """Edited weights of all rows and heads, and where there was something to edit."""
    keys = scores.shape[-1]
    address = Address(
        seed=intervention.seed,
        scope=intervention.scope,
        layer=layer,
        sample=rows.sample,
        head=torch.arange(scores.shape[1], device=scores.device),
        row=rows.position,
        key=rows.key_position[:, -keys:],
    )
    prior = None if rows.prior is None else rows.prior[:, -keys:]
    pattern = intervention.pattern.scores(scores, block, address, prior)
    return edited_weights(
        scores,
        allowed,
        block,
        pattern,
        intervention.mass,
        intervention.mix,
        intervention.mix_domain,
    )


def _check_finite(
    scores: Float[Tensor, "batch head row key"],
    allowed: Bool[Tensor, "batch 1 row key"],
    rows: Rows,
    layer: int,
) -> None:
    """Raise on NaN or infinite scores where they count, naming layer and sample."""
    used = allowed & (rows.edited | rows.measured)[:, None, :, None]
    broken = (used & ~scores.isfinite()).flatten(1).any(dim=1)
    if broken.any():
        names = [rows.uids[row] for row in broken.nonzero()[:, 0].tolist()]
        raise InterventionError(
            f"Attention scores of decoder layer {layer} are not finite for samples {names}."
        )
