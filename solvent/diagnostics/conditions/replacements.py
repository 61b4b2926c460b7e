"""Pictures whose content is gone: one colour, noise, a blur, or their squares in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image, ImageFilter

from solvent.diagnostics.conditions.keys import generator
from solvent.diagnostics.conditions.pictures import Edit, Fill, Filling, check_share


@dataclass(frozen=True, kw_only=True)
class Blank(Filling):
    """Pictures of one colour. Without content, but a blank picture is evidence of its own."""

    name: str
    colour: Fill  # RGB, 0 to 255; None = mean of all pictures

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """A picture of one colour."""
        return Image.new("RGB", picture.size, self.rgb())


@dataclass(frozen=True, kw_only=True)
class Noise(Edit):
    """Gaussian pixels with every channel's mean and standard deviation, clipped to 0 ... 255."""

    name: str
    seed: int  # together with the question

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """A picture of noise."""
        pixels = np.asarray(picture, np.float64)
        mean, spread = pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))
        noise = generator("noise", self.seed, key).normal(mean, spread, pixels.shape)
        return Image.fromarray(np.rint(noise).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True, kw_only=True)
class Blur(Edit):
    """Every picture behind a Gaussian kernel, whose standard deviation is a share of its width, so
    that it means the same at any resolution; the edge's colours go on beyond the edge.

    Raises:
        ValueError: `share` is not in [0, 1].
    """

    name: str
    share: float  # of the width; 0 changes nothing

    moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_share(self.name, self.share)

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The blurred picture."""
        return picture.filter(ImageFilter.GaussianBlur(self.share * picture.width))


@dataclass(frozen=True, kw_only=True)
class Shuffle(Edit):
    """Pictures cut into squares that change places along one random cycle.

    No cell keeps its place. What is left over at the right and lower edge stays, and a picture that
    holds fewer than two whole squares does not change.

    Raises:
        ValueError: `cell` is below 1.
    """

    name: str
    cell: int  # pixels per side: patch size times merge size of the model
    seed: int  # together with the question

    moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.cell < 1:
            raise ValueError(f"{self.name}: cell must be at least 1 pixel, got {self.cell}")

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The picture with its squares in another order."""
        pixels, side = np.array(picture), self.cell
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
        inner = pixels[: rows * side, : columns * side]
        grid = inner.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
        squares = grid.reshape(rows * columns, side, side, 3)
        cycle = generator("shuffle", self.seed, key).permutation(len(squares))
        mixed = np.empty_like(squares)
        mixed[cycle] = squares[np.roll(cycle, 1)]
        grid = mixed.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
        pixels[: rows * side, : columns * side] = grid.reshape(inner.shape)
        return Image.fromarray(pixels)
