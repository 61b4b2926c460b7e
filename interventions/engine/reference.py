"""The reference execution: every weight of every row, edited by the definition.

    s'_j = a_j - log sum_b exp(a) + l'_b   in the block,    s'_j = s_j (+ shift)   outside it
    w' = softmax(s')  over the allowed keys, or exp(s' - l) where the mass leaks
    w'_j <- value_gain w'_j in the block,  w' <- head_gain w'

Axes: B batch, H heads, R rows, K keys.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.algebra import attention_weights, log_add, log_mass
from interventions.engine.view import View
from interventions.methods.intervention import Intervention


def edited_weights(
    view: View, intervention: Intervention
) -> tuple[Float[Tensor, "batch head row key"], Bool[Tensor, "batch head row"]]:
    """Weights of all rows after the edit, and the rows in which there was something to edit.

    A row with no allowed key in the block, or none left after the edit (a dropped block that was
    the whole row), keeps its learned weights.
    """
    scores, block, mix = view.scores, view.block, intervention.mix
    pattern = proposed_scores(view, intervention).expand_as(scores)
    proposed = log_mass(pattern, block)
    replaced = intervention.mass.log_mass(view, proposed)
    editable = proposed.isfinite() & log_add(replaced, view.rest_log_mass).isfinite()
    others = intervention.mass.shift_others(view)
    outside = scores if others is None else scores + others
    edited = torch.where(block, pattern + (replaced - proposed)[..., None], outside)
    edited = torch.where(editable[..., None], edited, scores)
    if mix < 1.0 and intervention.mix_domain == "score":
        edited = (1.0 - mix) * scores + mix * edited
    weights = _normalised(edited, view, intervention)
    if mix < 1.0 and intervention.mix_domain == "weight":
        weights = (1.0 - mix) * view.weights + mix * weights
    gain = torch.where(block, intervention.value_gain, 1.0) * intervention.head_gain
    return torch.where(editable[..., None], gain * weights, view.weights), editable


def proposed_scores(
    view: View, intervention: Intervention
) -> Float[Tensor, "batch|1 head|1 row|1 key|1"]:
    """The pattern's proposal, brought to scale."""
    proposed = intervention.pattern.scores(view)
    if intervention.calibration is None:
        return proposed
    return intervention.calibration.apply(proposed.expand_as(view.scores), view)


def _normalised(
    edited: Float[Tensor, "batch head row key"], view: View, intervention: Intervention
) -> Float[Tensor, "batch head row key"]:
    """Softmax, or division by the learned normaliser where the mass leaks."""
    if not intervention.mass.leaks:
        return attention_weights(edited, view.allowed)
    total = log_mass(view.scores, view.allowed)[..., None]
    return torch.where(view.allowed, torch.exp(edited - total.nan_to_num(neginf=0.0)), 0.0)
