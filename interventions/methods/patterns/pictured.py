"""Fixed patterns that come from the picture, equal in every layer, head and row.

Axes: P patches of one picture (one per visual token), Y and X pixels of one patch; B batch, K keys.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.errors import InterventionError
from interventions.methods.patterns.pattern import Pattern

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of width and height
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One grid of visual tokens, row by row: a whole picture, or the tile that `box` says."""

    height: int  # tokens
    width: int  # tokens
    patches: Float[Tensor, "patch y x"] | None = None  # gray pixels the vision encoder receives
    attention: Float[Tensor, " patch"] | None = None  # received in the encoder's last layer
    regions: tuple[Box, ...] | None = None  # that matter, as shares of the whole picture
    box: Box = WHOLE  # what the grid covers of the picture

    @property
    def rows(self) -> Float[Tensor, " row"]:
        """Centres of the rows of tokens, as shares of the whole picture's height."""
        return _centres(self.height, self.box[1], self.box[3])

    @property
    def columns(self) -> Float[Tensor, " column"]:
        """Centres of the columns of tokens, as shares of the whole picture's width."""
        return _centres(self.width, self.box[0], self.box[2])

    def cover(self, box: Box) -> Float[Tensor, " patch"]:
        """Share of every token's patch that lies in a box of the whole picture."""
        left, top, right, bottom = self.box
        down = _overlap(self.height, *((end - top) / (bottom - top) for end in box[1::2]))
        across = _overlap(self.width, *((end - left) / (right - left) for end in box[0::2]))
        return (down[:, None] * across).flatten()


@dataclass(frozen=True, kw_only=True)
class Prior(Pattern):
    """Base of fixed patterns: p_j comes from the picture."""

    reads_scores: ClassVar[bool] = False
    proper: ClassVar[bool] = False

    @property
    def pictured(self) -> Prior:
        return self

    @property
    def needs_patches(self) -> bool:
        """Whether the pixels of every token's patch must be given."""
        return False

    @property
    def needs_attention(self) -> bool:
        """Whether the vision encoder's attention must be captured."""
        return False

    def scores(self, view: View) -> Float[Tensor, "batch 1 1 key"]:
        if view.rows.prior is None:
            raise InterventionError("A fixed pattern needs one weight per visual token, got none.")
        return view.of_keys(view.rows.prior).to(view.precision).log()

    @abstractmethod
    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        """Unnormalised, non-negative weight of every token of a picture."""


@dataclass(frozen=True, kw_only=True)
class CentreGaussian(Prior):
    """p = exp(-d^2 / (2 width^2)), d the distance to the picture's centre with sides of length 1.

    Token (y, x) of an h x w grid sits at ((y + 1/2)/h, (x + 1/2)/w); the centre is (1/2, 1/2).
    Of a tile, that is meant within the tile, and the centre is that of the whole picture.
    """

    width: float  # standard deviation in picture sides, above 0

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"The width of a centre Gaussian must be above 0, got {self.width}.")

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        down, right = picture.rows - 0.5, picture.columns - 0.5
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

    @property
    def needs_patches(self) -> bool:
        return True

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        if picture.patches is None:
            raise InterventionError("The pixels of the picture's patches were not given.")
        gray = picture.patches.float()
        gradient_x = gray.diff(dim=2).abs().mean(dim=(1, 2))
        gradient_y = gray.diff(dim=1).abs().mean(dim=(1, 2))
        complexity = gradient_x + gradient_y + gray.var(dim=(1, 2), correction=0)
        spread = (complexity.max() - complexity.min()).clamp_min(torch.finfo(torch.float32).tiny)
        return torch.exp((complexity - complexity.min()) / spread / self.temperature)


@dataclass(frozen=True, kw_only=True)
class EncoderAttention(Prior):
    """Attention that every patch receives in the vision encoder's last layer.

    x = mean over heads and queries of the encoder's weights, its class token left out. Where the
    projector merges patches, the highest weight of a head between any patch of one unit and any of
    another stands for both units. p = x, or softmax(x / temperature) where a temperature is given.

    Source: the encoder prior of https://github.com/Lrbomchz/vlms_lost_in_attn (temperature 1)
    """

    temperature: float | None  # above 0; None: the attention itself

    def __post_init__(self) -> None:
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(
                f"The temperature of an encoder prior must be above 0, got {self.temperature}."
            )

    @property
    def needs_attention(self) -> bool:
        return True

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        if picture.attention is None:
            raise InterventionError("The attention of the vision encoder was not captured.")
        received = picture.attention.float()
        if self.temperature is None:
            return received
        return torch.exp((received - received.max()) / self.temperature)


@dataclass(frozen=True, kw_only=True)
class Regions(Prior):
    """p = outside + (1 - outside) * the share of the token's patch that lies in a region.

    Where boxes overlap, the largest share counts. Boxes come with the samples, from
    `log.expect(regions=...)`.
    """

    outside: float  # weight of a token outside all regions, in [0, 1)

    def __post_init__(self) -> None:
        if not 0.0 <= self.outside < 1.0:
            raise ValueError(
                f"The weight outside of regions must be in [0, 1), got {self.outside}."
            )

    def weights(self, picture: Picture) -> Float[Tensor, " patch"]:
        if not picture.regions:
            raise InterventionError(
                "A key-region pattern needs boxes for every picture, got none; give them to "
                "log.expect(regions=...) or use a benchmark whose samples have them."
            )
        cover = torch.stack([picture.cover(region) for region in picture.regions])
        return self.outside + (1.0 - self.outside) * cover.amax(dim=0)


def _centres(patches: int, start: float, stop: float) -> Float[Tensor, " patch"]:
    """Centres of the patches of a side that reaches from one point to another."""
    return start + (stop - start) * ((torch.arange(patches).float() + 0.5) / patches)


def _overlap(patches: int, start: float, stop: float) -> Float[Tensor, " patch"]:
    """Share of every patch of a side that lies between two points of [0, 1]."""
    left = torch.arange(patches).float() / patches
    inside = (left + 1.0 / patches).clamp(max=stop) - left.clamp(min=start)
    return (inside * patches).clamp(0.0, 1.0)
