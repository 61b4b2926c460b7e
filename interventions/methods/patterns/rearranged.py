"""Learned patterns put on other keys, or turned upside down.

Axes: B batch, H heads, R rows, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.patterns.pattern import Pattern


@dataclass(frozen=True, kw_only=True)
class Permuted(Pattern):
    """The learned scores of the block, dealt to its keys in a random order (Fisher-Yates in law).

    Keeps everything about the learned pattern (entropy, maximum, mass) except where it points.
    """

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        return _dealt(view.scores, view.block, _order_of(view.address.bits(0), view))


@dataclass(frozen=True, kw_only=True)
class Reversed(Pattern):
    """The learned scores of the block in reverse order: the last key gets what the first had."""

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        place = -torch.arange(view.keys, device=view.scores.device)
        return _dealt(view.scores, view.block, place.expand_as(view.scores))


@dataclass(frozen=True, kw_only=True)
class Inverted(Pattern):
    """p_j is proportional to max_b w - w_j: what was attended most gets nothing.

    CausalMM calls it reversed (https://github.com/The-Martyr/CausalMM). A block whose weights are
    all equal has no inverse and is left alone.
    """

    proper: ClassVar[bool] = False

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        inside = torch.where(view.block, view.weights, -torch.inf)
        left = inside.amax(dim=-1, keepdim=True) - view.weights
        return left.masked_fill(left <= 0, 1.0).log().masked_fill(left <= 0, -torch.inf)


def _order_of(bits: Tensor, view: View) -> Tensor:
    """Sort keys for every entry, broadcast to all of them."""
    return bits.expand(view.scores.shape)


def _dealt(
    scores: Float[Tensor, "batch head row key"],
    block: Bool[Tensor, "batch head|1 row key"],
    order: Tensor,
) -> Float[Tensor, "batch head row key"]:
    """Scores of the block, taken in the order of `order` and given to its keys from first to last.

    Keys outside the block keep their scores.
    """
    last = torch.iinfo(torch.int64).max
    block = block.expand_as(scores)
    source = order.to(torch.int64).masked_fill(~block, last).argsort(dim=-1, stable=True)
    place = (~block).to(torch.int8).argsort(dim=-1, stable=True)
    dealt = scores.scatter(-1, place, scores.gather(-1, source))
    return torch.where(block, dealt, scores)
