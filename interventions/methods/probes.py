"""Key probes: which keys of the chosen roles form the block, where that depends on the sample.

Axes: B batch, H heads, R rows, K keys, T tokens, D hidden width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.parts import Part


@dataclass(frozen=True, kw_only=True)
class Probe(metaclass=Part):
    """Base of all probes."""

    needs_hidden: ClassVar[bool] = False  # whether it reads what enters every edited layer
    needs_whole_prompt: ClassVar[bool] = False  # whether the prompt may not come in chunks
    by_head: ClassVar[bool] = False  # whether heads and rows have blocks of their own
    watches: ClassVar[str | None] = None  # field that names a layer whose attention it looks at

    @abstractmethod
    def keys(self, view: View) -> Bool[Tensor, "batch head|1 row|1 key"]:
        """Keys that belong to the block, if their role does too."""


@dataclass(frozen=True, kw_only=True)
class Heavy(Probe):
    """Keys that get more than `factor` times the mean learned weight of the keys of their roles.

    Per head and row: such keys are sinks of that row.
    """

    by_head: ClassVar[bool] = True
    factor: float  # above 0

    def keys(self, view: View) -> Bool[Tensor, "batch head row key"]:
        candidates = view.of_keys(view.rows.chosen_key) & view.allowed
        inside = torch.where(candidates, view.weights, 0.0)
        mean = inside.sum(dim=-1, keepdim=True) / candidates.sum(dim=-1, keepdim=True)
        return inside > self.factor * mean


@dataclass(frozen=True, kw_only=True)
class Sinks(Probe):
    """Prompt tokens with a massive activation: max over some hidden dimensions of |x_d| / rms(x).

    x is what enters the layer, before its norm. Without given dimensions, those two are taken that
    are largest in the sample's first token, where sinks are found in every model that has any.
    Source: VAR, https://github.com/seilk/VisAttnSink (dimensions 1415 and 2533 of LLaMA-2 7B)
    """

    needs_hidden: ClassVar[bool] = True
    dimensions: Sequence[int] | None
    threshold: float  # of |x_d| / rms(x), above 0

    def __post_init__(self) -> None:
        if self.dimensions is not None:
            object.__setattr__(self, "dimensions", tuple(self.dimensions))

    def keys(self, view: View) -> Bool[Tensor, "batch 1 1 key"]:
        return view.of_keys(view.rows.recall_tokens(f"sinks.{view.layer}"))

    def observe(
        self, hidden: Float[Tensor, "batch token width"], first: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "batch token"]:
        """Which tokens are sinks; `first` is what enters the layer at each sample's first token."""
        size = _relative(hidden)
        if self.dimensions is None:
            chosen = _relative(first).topk(2, dim=-1).indices
        else:
            outside = [d for d in self.dimensions if not 0 <= d < hidden.shape[-1]]
            if outside:
                raise ValueError(
                    f"The model has {hidden.shape[-1]} hidden dimensions, so sinks cannot be found "
                    f"in {outside}; give dimensions of this model or null."
                )
            chosen = torch.tensor(self.dimensions, device=hidden.device).expand(len(hidden), -1)
        picked = size.gather(-1, chosen[:, None, :].expand(-1, size.shape[1], -1))
        return picked.amax(dim=-1) >= self.threshold


@dataclass(frozen=True, kw_only=True)
class LeastAttended(Probe):
    """Image tokens outside the top share by attention of the last prompt token in one layer.

    Ranked by the learned weights of that row, averaged over heads; ties go to the earlier token.
    Source: FastV, https://github.com/pkunlp-icler/FastV
    """

    needs_whole_prompt: ClassVar[bool] = True
    watches: ClassVar[str] = "layer"
    layer: int  # whose attention ranks the tokens; edited layers come after it
    keep: float  # share of image tokens that stay outside the block, in [0, 1]

    def __post_init__(self) -> None:
        if not 0.0 <= self.keep <= 1.0:
            raise ValueError(f"The share of kept image tokens must be in [0, 1], got {self.keep}.")

    def keys(self, view: View) -> Bool[Tensor, "batch 1 1 key"]:
        return view.of_keys(view.rows.recall_tokens("least attended"))

    def observe(self, view: View) -> Bool[Tensor, "batch token"]:
        """Which tokens are dropped, seen from the last prompt row of every sample (`edited`)."""
        importance = (view.weights.mean(dim=1) * view.rows.edited[..., None]).sum(dim=1)
        image = view.with_role(["image"])[:, 0, 0]
        order = importance.masked_fill(~image, -1.0).argsort(dim=1, descending=True, stable=True)
        rank = order.argsort(dim=1)
        kept = (image.sum(dim=1, keepdim=True) * self.keep + 1e-9).long()
        return image & (rank >= kept)


def _relative(hidden: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
    hidden = hidden.float()
    return hidden.abs() / hidden.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-6)
