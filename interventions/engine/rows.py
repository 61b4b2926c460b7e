"""Roles turned into rows and keys, once per forward.

Axes: B batch, R rows, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.sequences import Sequences
from interventions.engine.view import Rows, as_slice
from interventions.errors import InterventionError
from interventions.methods.intervention import Intervention
from interventions.methods.selectors import (
    ROLES,
    TEXT_AFTER_IMAGE,
    has_role,
    left_out,
    select_rows,
    select_tokens,
    several,
)


def resolve_rows(
    sequences: Sequences, count: int, intervention: Intervention, roles: Tensor, layers: int
) -> Rows:
    """For the last `count` tokens of the sequences; `roles` are those of all tokens, (B, T)."""
    positions = sequences.positions()
    image = has_role(roles, ("image",))
    fresh = torch.arange(roles.shape[1], device=roles.device) >= sequences.measured
    measured = has_role(roles, TEXT_AFTER_IMAGE) & (image.cumsum(dim=1) > 0) & fresh
    edited = select_rows(roles, positions, intervention.rows, intervention.phase)
    edited = edited & torch.tensor(not intervention.is_identity, device=roles.device)
    edited, measured = edited[:, -count:], measured[:, -count:]
    index = (measured | edited).any(dim=0).nonzero()[:, 0]
    if intervention.needs_whole_prompt and sequences.cuts_prompt(count):
        raise InterventionError(
            f"The intervention {intervention.name!r} needs the whole prompt in one forward; "
            "leave out prefill_chunk_size."
        )
    priors = sequences.priors if intervention.pattern.pictured is not None else None
    span = as_slice(index)
    return Rows(
        index=index,
        span=span if isinstance(span, slice) else None,
        edited=edited[:, index],
        measured=measured[:, index],
        position=positions[:, -count:][:, index],
        edits=bool(edited.any()),
        key_position=positions,
        key_role=roles,
        chosen_key=select_tokens(roles, positions, intervention.keys),
        prompt_lengths=sequences.prompt_lengths,
        image_counts=torch.tensor(sequences.image_counts, device=roles.device),
        layers=layers,
        sample=sequences.samples,
        prior=None if priors is None else place_priors(image, priors),
        memory=sequences.memory,
        uids=tuple(record.uid for record in sequences.records),
        seed=intervention.seed,
        scope=intervention.scope,
    )


def warn_uncovered(intervention: Intervention, roles: Tensor) -> bool:
    """Warn where a prompt has tokens that an intervention's names do not cover, though one might
    think so; whether there was anything to say.
    """
    present = [ROLES[role] for role in roles.unique().tolist()]
    lists = {"keys": several(intervention.keys), "rows": several(intervention.rows)}
    found = [
        (where, *pair)
        for where, names in lists.items()
        for pair in left_out(names, present).items()
    ]
    if intervention.is_identity:
        return False
    for where, near, far in found:
        warnings.warn(
            f"A prompt has tokens with the role {far!r}, and the {where} of the intervention "
            f"{intervention.name!r} name {near!r} without it, so they are left as they are; add "
            f"{far!r} to {where} if they are meant too.",
            stacklevel=2,
        )
    return bool(found)


def place_priors(
    image: Bool[Tensor, "batch token"], priors: Sequence[Float[np.ndarray, " token"]]
) -> Float[Tensor, "batch token"]:
    """Every image token's weight at its column; 1 elsewhere."""
    placed = torch.ones(image.shape, dtype=torch.float32)
    for row, prior in enumerate(priors):
        columns = image[row].cpu().nonzero()[:, 0]
        placed[row, columns] = torch.as_tensor(np.asarray(prior)[: len(columns)]).float()
    return placed.to(image.device)
