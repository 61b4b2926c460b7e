"""Other pixels that mean the same: how much answers move without a reason."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image
from scipy.ndimage import shift

from solvent.diagnostics.conditions.pictures import Edit


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
        with Image.open(file, formats=["JPEG"]) as decoded:
            return decoded.convert("RGB")


@dataclass(frozen=True, kw_only=True)
class Translate(Edit):
    """Every picture moved to the right and down; its edge fills what becomes free.

    By a share of its width and height, so that it means the same at any resolution; between pixels
    colours are mixed linearly.

    Raises:
        ValueError: `share` is not in [0, 1).
    """

    name: str
    share: float  # of either side; 0 changes nothing

    moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"{self.name}: share must be in [0, 1), got {self.share}")

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The moved picture."""
        pixels = np.asarray(picture, dtype=np.float32)
        offset = (self.share * picture.height, self.share * picture.width, 0)
        moved = shift(pixels, offset, order=1, mode="nearest")
        return Image.fromarray(moved.round().astype(np.uint8))
