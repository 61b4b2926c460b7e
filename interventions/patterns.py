"""What replaces the learned pattern inside a block.

A pattern proposes scores a_j for the keys of the block; their softmax over the block is the new
pattern, so adding a constant to all of them changes nothing unless the mass is taken from them.
A distribution p over the keys is proposed as log p.

Axes: B batch, H heads, Q queries (rows), K keys, P patches of one picture, Y and X
pixels of one patch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.noise import Address, exponential, log_gamma_draw, normal


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture as the decoder meets it: a grid of visual tokens, row by row."""

    height: int  # tokens
    width: int  # tokens
    patches: Float[Tensor, "patch y x"]  # gray pixels, as the vision encoder receives them


@dataclass(frozen=True, kw_only=True)
class Pattern(ABC):
    """Base of all patterns."""

    needs_picture: ClassVar[bool] = False  # whether it is a `Prior`, asked for weights

    @abstractmethod
    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        """Proposed scores; entries outside the block are ignored.

        `address` numbers the entries for random draws; `prior` holds, for patterns that need the
        picture, one non-negative weight per visual token at that token's key.
        """


@dataclass(frozen=True, kw_only=True)
class Learned(Pattern):
    """a_j = s_j."""

    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        return learned


@dataclass(frozen=True, kw_only=True)
class Uniform(Pattern):
    """a_j = 0: every key of the block receives the same weight."""

    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        return torch.zeros_like(learned)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Pattern):
    """a_j = mean + std * z_j, z_j ~ N(0, 1), with the moments of the learned scores of that row.

    Mean and population standard deviation are taken over the block, per (sample, layer, head, row).
    They are matched in distribution: one draw's own moments scatter around them.
    """

    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        count = block.sum(dim=-1, keepdim=True).clamp_min(1)
        mean = torch.where(block, learned, 0.0).sum(dim=-1, keepdim=True) / count
        variance = (
            torch.where(block, learned - mean, 0.0).square().sum(dim=-1, keepdim=True) / count
        )
        return mean + variance.sqrt() * normal(address.bits(0)).float()


@dataclass(frozen=True, kw_only=True)
class Dirichlet(Pattern):
    """The pattern itself is a draw from Dirichlet(alpha, ..., alpha) over the keys of the block.

    A normalised vector of independent Gamma(alpha) draws, proposed as their logarithms. Alpha 1 is
    uniform on the simplex; below 1 few keys take nearly all, far above 1 the pattern is flat.
    """

    alpha: float  # concentration, above 0

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(
                f"The concentration alpha of a Dirichlet must be above 0, got {self.alpha}."
            )

    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        if self.alpha == 1.0:
            draw = exponential(address.bits(0)).log()
        else:
            draw = log_gamma_draw(address, self.alpha)
        return draw.float().expand_as(learned)


@dataclass(frozen=True, kw_only=True)
class Prior(Pattern):
    """Base of fixed patterns: p_j comes from the picture, equal in every layer, head and row."""

    needs_picture: ClassVar[bool] = True

    def scores(
        self,
        learned: Float[Tensor, "batch head query key"],
        block: Bool[Tensor, "batch 1 query key"],
        address: Address,
        prior: Float[Tensor, "batch key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        if prior is None:
            raise ValueError("A fixed pattern needs one weight per visual token, got none.")
        return prior.float().log()[:, None, None, :].expand_as(learned)

    @abstractmethod
    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        """Unnormalised, positive weight of every token of a picture."""


@dataclass(frozen=True, kw_only=True)
class CentreGaussian(Prior):
    """p = exp(-d^2 / (2 width^2)), d the distance to the picture's centre with sides of length 1.

    Token (y, x) of an h x w grid sits at ((y + 1/2)/h, (x + 1/2)/w); the centre is (1/2, 1/2).
    """

    width: float  # standard deviation in picture sides, above 0

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"The width of a centre Gaussian must be above 0, got {self.width}.")

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        down = (torch.arange(picture.height).float() + 0.5) / picture.height - 0.5
        right = (torch.arange(picture.width).float() + 0.5) / picture.width - 0.5
        squared = down[:, None].square() + right[None, :].square()
        return torch.exp(-squared / (2.0 * self.width**2)).flatten()


@dataclass(frozen=True, kw_only=True)
class PatchComplexity(Prior):
    """p = softmax(x / temperature), x the patch complexity scaled to [0, 1] over one picture.

    Complexity of a patch is mean|dI/dx| + mean|dI/dy| + variance of its gray pixels, on the pixels
    the vision encoder receives (after the processor's normalisation). A picture whose patches are
    all alike gets equal weights. At temperature 1 no two weights differ by more than a factor e.

    Source: the complexity prior of https://github.com/Lrbomchz/vlms_lost_in_attn
    """

    temperature: float  # above 0; lower is sharper

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"The temperature of a complexity prior must be above 0, got {self.temperature}."
            )

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        gray = picture.patches.float()
        gradient_x = gray.diff(dim=2).abs().mean(dim=(1, 2))
        gradient_y = gray.diff(dim=1).abs().mean(dim=(1, 2))
        complexity = gradient_x + gradient_y + gray.var(dim=(1, 2), correction=0)
        spread = (complexity.max() - complexity.min()).clamp_min(torch.finfo(torch.float32).tiny)
        return torch.exp((complexity - complexity.min()) / spread / self.temperature)
