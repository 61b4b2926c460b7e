"""What a pattern is, and the plainest ones.

A pattern proposes scores a_j for the keys of the block; their softmax over the block is the new
pattern, so adding a constant to all of them changes nothing unless the mass is taken from them.
A distribution p over the keys is proposed as log p.

Axes: B batch, H heads, R rows, K keys. An axis on which a proposal does not depend may have size
one: the faster execution then computes it once.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.parts import Part

if TYPE_CHECKING:
    from interventions.methods.patterns.pictured import Prior  # which is a Pattern


@dataclass(frozen=True, kw_only=True)
class Pattern(metaclass=Part):
    """Base of all patterns."""

    reads_scores: ClassVar[bool] = True  # whether proposals depend on the learned scores
    proper: ClassVar[bool] = True  # whether some key of every block gets a weight above zero
    needs_confidence: ClassVar[bool] = False  # whether an unedited pass must come first

    scales_keys: ClassVar[bool] = False  # whether a_j = c_j s_j, see `key_factor`

    @property
    def pictured(self) -> Prior | None:
        """The part that is computed from pictures (a `Prior`), if there is one."""
        return None

    def key_factor(self, view: View) -> Float[Tensor, "batch|1 1 1 key|1"] | None:
        """c_j of a pattern that multiplies learned scores; None means 1."""
        return None

    @abstractmethod
    def scores(self, view: View) -> Float[Tensor, "batch|1 head|1 row|1 key|1"]:
        """Proposed scores; entries outside the block are ignored, -inf inside it means weight 0."""


@dataclass(frozen=True, kw_only=True)
class Learned(Pattern):
    """a_j = s_j."""

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        return view.scores


@dataclass(frozen=True, kw_only=True)
class Uniform(Pattern):
    """a_j = 0: every key of the block receives the same weight."""

    reads_scores: ClassVar[bool] = False

    def scores(self, view: View) -> Float[Tensor, "1 1 1 1"]:
        return view.call.query.new_zeros(1, 1, 1, 1, dtype=view.precision)


@dataclass(frozen=True, kw_only=True)
class OneHot(Pattern):
    """All weight on one key of the block, counted from its start: 0 is the first-token sink."""

    reads_scores: ClassVar[bool] = False
    proper: ClassVar[bool] = False
    key: int  # 0 or above; rows whose block is shorter are left alone

    def __post_init__(self) -> None:
        if self.key < 0:
            raise ValueError(f"The key of a one-hot pattern must be 0 or above, got {self.key}.")

    def scores(self, view: View) -> Float[Tensor, "batch 1 row key"]:
        number = view.block.cumsum(dim=-1) - 1
        return torch.zeros_like(number, dtype=view.precision).masked_fill(
            number != self.key, -torch.inf
        )


@dataclass(frozen=True, kw_only=True)
class AsLogits(Pattern):
    """a_j = p_j: the probabilities of another pattern over the block, used as if they were scores.

    With n keys every p_j is of the order 1/n, so unless a calibration magnifies them the result is
    nearly uniform. This is what the code of "Large VLMs Get Lost in Attention" does with its
    priors: https://github.com/Lrbomchz/vlms_lost_in_attn
    """

    of: Pattern

    @property
    def reads_scores(self) -> bool:  # type: ignore[override]  # as the pattern in it
        return self.of.reads_scores

    @property
    def needs_confidence(self) -> bool:  # type: ignore[override]  # as the pattern in it
        return self.of.needs_confidence

    @property
    def pictured(self) -> Prior | None:
        return self.of.pictured

    def scores(self, view: View) -> Float[Tensor, "batch head|1 row key"]:
        proposed = self.of.scores(view).masked_fill(~view.block, -torch.inf)
        return torch.softmax(proposed, dim=-1).nan_to_num(0.0)
