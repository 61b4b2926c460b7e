"""Score maps: the learned scores of the block, multiplied or lifted.

Multiplying signed scores is a temperature, not "more attention": a factor above 1 lowers negative
scores. Lifting by a multiple of |s| raises all of them.

Axes: B batch, H heads, R rows, K keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.patterns.pattern import Pattern
from interventions.methods.selectors import ROLES, check_choice
from interventions.methods.tensor_files import read_tensor, stored_at


@dataclass(frozen=True, kw_only=True)
class Scale(Pattern):
    """a_j = c s_j, one c for each role of key.

    Sources: ScalingVis (https://github.com/shiqichen17/AdaptVis) with one factor for the image,
    VAF (https://github.com/ustc-hyin/ClearSight) with another for the text before it.
    """

    scales_keys: ClassVar[bool] = True
    factors: Mapping[str, float]  # role of the key to c; 1 where a role is not named

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", dict(self.factors))
        for name in self.factors:
            check_choice(name, ROLES[1:], "a scaled role")

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.factors.items())))

    def key_factor(self, view: View) -> Float[Tensor, "batch 1 1 key"]:
        factor = torch.ones(1, device=view.call.query.device)
        for name, value in self.factors.items():
            factor = torch.where(view.with_role([name]), value, factor)
        return factor

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        return self.key_factor(view) * view.scores


@dataclass(frozen=True, kw_only=True)
class Lift(Pattern):
    """a_j = s_j + alpha |s_j|; across heads: a_hj = s_hj + alpha * mean over heads of |s_h'j|.

    Sources: PAI (https://github.com/LALBJ/PAI), and across heads
    https://github.com/ZhangqiJiang07/middle_layers_indicating_hallucinations
    """

    alpha: float
    across_heads: bool

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        magnitude = view.scores.abs()
        if self.across_heads:
            magnitude = magnitude.mean(dim=1, keepdim=True)
        return view.scores + self.alpha * magnitude


@dataclass(frozen=True, kw_only=True)
class AdaptiveScale(Pattern):
    """a_j = c s_j with c chosen for each sample by the confidence of the unedited model.

    Confidence is the highest probability of the first answer token, rounded to two decimals.
    Source: AdaptVis, https://github.com/shiqichen17/AdaptVis
    """

    needs_confidence: ClassVar[bool] = True
    scales_keys: ClassVar[bool] = True
    threshold: float  # of confidence, in [0, 1]
    unsure: float  # c below the threshold
    sure: float  # c from the threshold on

    def key_factor(self, view: View) -> Float[Tensor, "batch 1 1 1"]:
        confidence = view.rows.recall("confidence").mul(100).round().div(100)
        factor = torch.where(confidence < self.threshold, self.unsure, self.sure)
        return factor[:, None, None, None]

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        return self.key_factor(view) * view.scores


@dataclass(frozen=True, kw_only=True)
class CautiousScale(Pattern):
    """a_j = f s_j, f = max(1, c * lowest + (1 - c) * highest), c the unedited model's confidence.

    Confidence from `threshold` on counts as 1. It is that of the first answer token; the source
    measures it again for every token: CAAC, https://github.com/mehrdadfazli/CAAC
    """

    needs_confidence: ClassVar[bool] = True
    scales_keys: ClassVar[bool] = True
    threshold: float  # of confidence, in [0, 1]
    lowest: float  # f of a sure model
    highest: float  # f of a model without any confidence

    def key_factor(self, view: View) -> Float[Tensor, "batch 1 1 1"]:
        confidence = view.rows.recall("confidence")
        confidence = torch.where(confidence < self.threshold, confidence, 1.0)
        factor = confidence * self.lowest + (1.0 - confidence) * self.highest
        return factor.clamp_min(1.0)[:, None, None, None]

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        return self.key_factor(view) * view.scores


@dataclass(frozen=True, kw_only=True)
class StoredScale(Pattern):
    """a_hj = k_hj s_hj with k of shape (1, layer, head, image token) from a file.

    Source: the visual token calibration of CAAC, https://github.com/mehrdadfazli/CAAC
    """

    file: str

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        factor = read_tensor(self.file, "scale", view.scores.device)
        return stored_at(factor, self.file, view) * view.scores
