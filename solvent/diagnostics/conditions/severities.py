"""Pictures that lose their content by degrees: `share` goes from 0, nothing, to 1, all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from solvent.diagnostics.conditions.keys import generator
from solvent.diagnostics.conditions.pictures import Edit, Fill, Filling, check_share


@dataclass(frozen=True, kw_only=True)
class Mask(Filling):
    """A rectangle of a picture's shape, at a random place, painted over.

    It covers round(share * width * height) pixels. With one seed a larger mask contains every
    smaller one: a rectangle of relative side r starts at (u (1 - r), v (1 - r)), u and v drawn once
    per question, so that a pixel at x is inside from r = |x - u| / u or |x - u| / (1 - u) on, and
    pixels are painted in this order.

    Raises:
        ValueError: `share` is not in [0, 1].
    """

    name: str
    share: float  # of the area, 0 to 1
    colour: Fill  # RGB, 0 to 255; None = mean of all pictures
    seed: int  # together with the question

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.name, self.share)

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The picture behind its mask."""
        pixels = np.array(picture)
        height, width = pixels.shape[:2]
        u, v = generator("mask", self.seed, key).random(2)
        inside_from = np.maximum(_reach(width, u), _reach(height, v)[:, None]).ravel()
        covered = np.argsort(inside_from, kind="stable")[: round(self.share * inside_from.size)]
        pixels.reshape(-1, 3)[covered] = self.rgb()
        return Image.fromarray(pixels)


@dataclass(frozen=True, kw_only=True)
class Crop(Edit):
    """The middle of every picture, resized to the whole.

    Raises:
        ValueError: `share` is not in [0, 0.99]; nothing can be seen of an empty middle.
    """

    name: str
    share: float  # of the area that is cut away, 0 to 0.99

    moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_share(self.name, self.share, most=0.99)

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The middle, as large as the picture was."""
        (width, height), side = picture.size, math.sqrt(1.0 - self.share)
        left, top = width * (1 - side) / 2, height * (1 - side) / 2
        box = (left, top, width - left, height - top)
        return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)


@dataclass(frozen=True, kw_only=True)
class Colour(Edit):
    """Other hues, and darker: hue + share * turns, brightness * (1 - share * darkening).

    Raises:
        ValueError: `share`, `turns` or `darkening` is not in [0, 1].
    """

    name: str
    share: float  # of the full shift, 0 to 1
    turns: float  # of the colour circle at share 1; 0.5 is the opposite hue
    darkening: float  # of the brightness at share 1; 1 is black

    def __post_init__(self) -> None:
        check_share(self.name, self.share)
        for field in ("turns", "darkening"):
            if not 0.0 <= getattr(self, field) <= 1.0:
                raise ValueError(
                    f"{self.name}: {field} must be in [0, 1], got {getattr(self, field)}"
                )

    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The recoloured picture."""
        if self.share == 0.0:  # there and back between colour spaces rounds
            return picture.copy()
        hue, saturation, value = picture.convert("HSV").split()
        turn, kept = round(256 * self.share * self.turns), 1.0 - self.share * self.darkening
        hue = hue.point(lambda level: (level + turn) % 256)
        value = value.point(lambda level: round(level * kept))
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _reach(length: int, start: float) -> np.ndarray:
    """Relative side from which on a mask contains each pixel of one axis, in [0, 1]."""
    centres = (np.arange(length) + 0.5) / length
    return np.abs(centres - start) / np.where(centres < start, start, 1.0 - start)
