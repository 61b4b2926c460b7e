"""Patterns that depend on the distance between row and key alone.

Axes: B batch, R rows, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.patterns.pattern import Pattern


@dataclass(frozen=True, kw_only=True)
class PositionalKernel(Pattern):
    """Hard-coded Gaussian attention, p_ij proportional to exp(-(j - i - offset)^2 / (2 width^2)).

    Row i and key j are positions in the unpadded sequence. The source does not normalise again
    after masking the future; here the pattern always sums to one over the block.
    Source: You et al. 2020, https://arxiv.org/abs/2005.00742
    """

    reads_scores: ClassVar[bool] = False
    offset: float  # tokens; -1 centres on the previous token
    width: float  # standard deviation in tokens, above 0

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"The width of a kernel must be above 0 tokens, got {self.width}.")

    def scores(self, view: View) -> Float[Tensor, "batch 1 row key"]:
        key = view.of_keys(view.rows.key_position)
        distance = key - view.rows.position[:, None, :, None] - self.offset
        return -(distance.to(view.precision) ** 2) / (2.0 * self.width**2)
