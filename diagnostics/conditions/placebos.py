"""Other pixels that mean the same: how much answers move without a reason."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from diagnostics.conditions.pictures import Edit


@dataclass(frozen=True, kw_only=True)
class Jpeg(Edit):
    """Every picture written as JPEG and read again.

    Raises:
        ValueError: `quality` is not in 1 ... 100.
    """

    name: str
    quality: int  # 1 to 100; at 95 a person sees no difference

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"{self.name}: quality must be in 1 ... 100, got {self.quality}")

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The picture after one round of compression."""
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=self.quality)
        with Image.open(file) as decoded:
            return decoded.convert("RGB")


@dataclass(frozen=True, kw_only=True)
class Translate(Edit):
    """Every picture moved to the right and down; its edge pixels fill what becomes free.

    Raises:
        ValueError: `pixels` is negative.
    """

    name: str
    pixels: int  # of either axis; 0 changes nothing

    moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.pixels < 0:
            raise ValueError(f"{self.name}: pixels must be 0 or above, got {self.pixels}")

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The moved picture."""
        width, height = picture.size
        margin = (self.pixels, 0)
        padded = np.pad(np.asarray(picture), (margin, margin, (0, 0)), mode="edge")
        return Image.fromarray(padded[:height, :width])
