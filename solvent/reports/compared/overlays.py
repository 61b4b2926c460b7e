"""Attention over a picture: colours of a perceptually uniform scale above a pale gray picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from PIL import Image

from solvent.reports.contact import mosaic

SCALE = "viridis"
COLOUR = 0.7  # share of the colour, the rest is the picture
CONTRAST = 0.9  # of the picture


def overlaid(picture: Image.Image, density: Float[np.ndarray, "y x"], top: float) -> Image.Image:
    """The picture below attention.

    Args:
        density: attention at every pixel, at least 0; see `solvent.cells.revisited`.
        top: what the brightest colour stands for. Maps with the same one can be compared by eye.
    """
    gray = np.asarray(picture.convert("L"), dtype=np.float64) / 255
    pale = np.clip(0.5 + CONTRAST * (gray - gray.mean()), 0, 1)  # alike in dark and light pictures
    values = density / top if top > 0 else np.zeros_like(density)
    return _mixed(values, pale)


def colour_bar(width: int, height: int) -> Image.Image:
    """The scale from 0 to the top, left to right, as it looks above mean gray."""
    values = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    return _mixed(values, np.full(values.shape, 0.5))


def thumbnail(pictures: Sequence[Image.Image], side: int) -> Image.Image:
    """Pictures side by side in one whose longer side has at most `side` pixels."""
    one = pictures[0].convert("RGB") if len(pictures) == 1 else mosaic(pictures)
    one = one.copy()
    one.thumbnail((side, side))
    return one


def _mixed(values: Float[np.ndarray, "y x"], gray: Float[np.ndarray, "y x"]) -> Image.Image:
    colours = colormaps[SCALE](np.clip(values, 0, 1))[..., :3]
    mixed = COLOUR * colours + (1 - COLOUR) * gray[..., None]
    return Image.fromarray(np.rint(255 * mixed).astype(np.uint8))
