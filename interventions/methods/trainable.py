"""A pattern and a mass that are fitted: the formulas of `Stored` and `Fitted`, over parameters.

Gradients flow into them through either execution.

Axes: L layers, H heads, N image tokens; B batch, R rows, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.intervention import Intervention
from interventions.methods.masses import Mass
from interventions.methods.patterns import Pattern
from interventions.methods.tensor_files import stored_at


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainablePattern(Pattern):
    """p = softmax over the image tokens of one logit per layer, head and token."""

    reads_scores: ClassVar[bool] = False
    logits: Float[Tensor, "layer head token"]

    def scores(self, view: View) -> Float[Tensor, "batch head 1 key"]:
        logits = self.logits.to(view.rows.sample.device)
        return stored_at(logits.log_softmax(dim=-1)[None], "The pattern that is fitted", view)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainableMass(Mass):
    """l'_b = l_rest + logit: a constant share per layer and head."""

    logits: Float[Tensor, "layer head"]

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        logits = self.logits.to(view.rows.sample.device)
        return view.rest_log_mass + logits[view.layer][None, :, None]


def trainable(
    intervention: Intervention,
    pattern: Float[Tensor, "layer head token"],
    mass: Float[Tensor, "layer head"],
) -> Intervention:
    """The same intervention with a pattern and a mass that follow two tensors of logits."""
    return replace(
        intervention, pattern=TrainablePattern(logits=pattern), mass=TrainableMass(logits=mass)
    )
