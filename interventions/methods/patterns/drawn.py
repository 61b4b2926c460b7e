"""Patterns drawn at random, keyed by (seed, sample, layer, head, row, key) within their scope.

Axes: B batch, H heads, R rows, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interventions.engine.noise import exponential, log_gamma_draw, normal, uniform
from interventions.engine.view import View
from interventions.methods.patterns.pattern import Pattern
from interventions.methods.scaling import moments


@dataclass(frozen=True, kw_only=True)
class Gaussian(Pattern):
    """a_j = mean + std * z_j, z_j ~ N(0, 1), with the moments of the learned scores of that row.

    Mean and population standard deviation are taken over the block, per (sample, layer, head, row).
    They are matched in distribution: one draw's own moments scatter around them.
    """

    def scores(self, view: View) -> Float[Tensor, "batch head row key"]:
        mean, deviation = moments(view.scores, view.block)
        return mean + deviation * normal(view.address.bits(0)).to(view.precision)


@dataclass(frozen=True, kw_only=True)
class Normal(Pattern):
    """a_j = z_j, z_j ~ N(0, std^2), whatever the learned scores are."""

    reads_scores: ClassVar[bool] = False
    std: float  # above 0

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"The std of normal scores must be above 0, got {self.std}.")

    def scores(self, view: View) -> Float[Tensor, "batch head|1 row|1 key"]:
        return self.std * normal(view.address.bits(0)).to(view.precision)


@dataclass(frozen=True, kw_only=True)
class Dirichlet(Pattern):
    """The pattern itself is a draw from Dirichlet(alpha, ..., alpha) over the keys of the block.

    A normalised vector of independent Gamma(alpha) draws, proposed as their logarithms. Alpha 1 is
    uniform on the simplex; below 1 few keys take nearly all, far above 1 the pattern is flat.
    """

    reads_scores: ClassVar[bool] = False
    alpha: float  # concentration, above 0

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(
                f"The concentration alpha of a Dirichlet must be above 0, got {self.alpha}."
            )

    def scores(self, view: View) -> Float[Tensor, "batch head|1 row|1 key"]:
        if self.alpha == 1.0:
            return exponential(view.address.bits(0)).log().to(view.precision)
        return log_gamma_draw(view.address, self.alpha).to(view.precision)


@dataclass(frozen=True, kw_only=True)
class UniformNoise(Pattern):
    """Weights proportional to independent U(0, 1) draws, as in CausalMM's random attention.

    Source: https://github.com/The-Martyr/CausalMM
    """

    reads_scores: ClassVar[bool] = False

    def scores(self, view: View) -> Float[Tensor, "batch head|1 row|1 key"]:
        return uniform(view.address.bits(0)).log().to(view.precision)
