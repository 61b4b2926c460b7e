"""How much of a row's attention a block receives.

A mass answers one question: given the block's learned log-mass l_b and the log-mass of the proposed
scores, what is the block's new log-mass? The other blocks keep theirs, the softmax over all of them
decides the shares.

Axes: B batch, H heads, Q queries (rows).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Mass(ABC):
    """Base of all masses."""

    @abstractmethod
    def log_mass(
        self,
        learned: Float[Tensor, "batch head query"],
        proposed: Float[Tensor, "batch head query"],
    ) -> Float[Tensor, "batch head query"]:
        """New log-mass of the block; -inf means that it receives nothing."""


@dataclass(frozen=True, kw_only=True)
class Keep(Mass):
    """l'_b = l_b: the block receives exactly what it received before."""

    def log_mass(
        self,
        learned: Float[Tensor, "batch head query"],
        proposed: Float[Tensor, "batch head query"],
    ) -> Float[Tensor, "batch head query"]:
        return learned


@dataclass(frozen=True, kw_only=True)
class FromPattern(Mass):
    """l'_b = log sum_b exp(a): what a softmax over the row with replaced scores gives."""

    def log_mass(
        self,
        learned: Float[Tensor, "batch head query"],
        proposed: Float[Tensor, "batch head query"],
    ) -> Float[Tensor, "batch head query"]:
        return proposed


@dataclass(frozen=True, kw_only=True)
class Shift(Mass):
    """l'_b = l_b + log c: every score of the block moves by log c, m -> c m / (c m + 1 - m).

    Unlike multiplying scores, which lowers negative ones, c > 1 always raises the block's share.
    The additive form is PASTA's (https://arxiv.org/abs/2311.02262).
    """

    factor: float  # c, above 0; 1 changes nothing

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 0):
            raise ValueError(
                f"The factor of a mass shift must be a number above 0, got {self.factor}; "
                "to remove a block use the mass Drop."
            )

    def log_mass(
        self,
        learned: Float[Tensor, "batch head query"],
        proposed: Float[Tensor, "batch head query"],
    ) -> Float[Tensor, "batch head query"]:
        return learned + math.log(self.factor)


@dataclass(frozen=True, kw_only=True)
class Drop(Mass):
    """l'_b = -inf: attention knockout, the rest of the row absorbs the block's share.

    Source: Geva et al. 2023, https://arxiv.org/abs/2304.14767
    """

    def log_mass(
        self,
        learned: Float[Tensor, "batch head query"],
        proposed: Float[Tensor, "batch head query"],
    ) -> Float[Tensor, "batch head query"]:
        return torch.full_like(learned, -torch.inf)
