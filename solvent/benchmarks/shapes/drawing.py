"""How a scene is painted: 64 x 64 pixels, every object inside its own 16 x 16 cell.

Masks are drawn once, eight times larger, and averaged down; a picture is then a few array
operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from solvent.benchmarks.shapes.world import GRID, Object, Scene
from solvent.core.types import Box

CELL = 16  # pixels
SIDE = GRID * CELL  # pixels
SUPERSAMPLING = 8
RGB = {
    "red": (215, 35, 35),
    "green": (35, 155, 55),
    "blue": (45, 75, 220),
    "yellow": (240, 210, 30),
    "purple": (140, 50, 180),
    "orange": (245, 135, 20),
    "cyan": (50, 200, 215),
    "pink": (245, 125, 180),
}
RADII = {"small": (4.6, 5.0, 5.4), "large": (7.0, 7.4, 7.8)}  # pixels
JITTER = {"small": 2, "large": 0}  # pixels, so that an object never leaves its cell
COLOUR_JITTER = 14.0  # intensity levels
DARK_PROBABILITY = 0.35
DARK, LIGHT, TINT = (15.0, 75.0), (170.0, 240.0), 15.0  # intensity levels of the background

Point = tuple[float, float]


def _polar(centre: float, radius: float, turns: float) -> Point:
    angle = 2 * math.pi * turns - math.pi / 2
    return centre + radius * math.cos(angle), centre + radius * math.sin(angle)


def _box(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, bottom]


def _paint(draw: ImageDraw.ImageDraw, shape: str, c: float, r: float) -> None:
    """Paint one white shape with centre `c` and radius `r`, both in supersampled pixels."""
    if shape in ("circle", "ring"):
        draw.ellipse(_box(c - r, c - r, c + r, c + r), fill=255)
        if shape == "ring":
            hole = 0.55 * r
            draw.ellipse(_box(c - hole, c - hole, c + hole, c + hole), fill=0)
    elif shape == "square":
        half = 0.86 * r
        draw.rectangle(_box(c - half, c - half, c + half, c + half), fill=255)
    elif shape == "triangle":
        draw.polygon(
            [(c, c - r), (c + 0.95 * r, c + 0.8 * r), (c - 0.95 * r, c + 0.8 * r)], fill=255
        )
    elif shape == "diamond":
        draw.polygon([(c, c - r), (c + 0.75 * r, c), (c, c + r), (c - 0.75 * r, c)], fill=255)
    elif shape == "cross":
        arm = 0.34 * r
        draw.rectangle(_box(c - arm, c - r, c + arm, c + r), fill=255)
        draw.rectangle(_box(c - r, c - arm, c + r, c + arm), fill=255)
    elif shape == "star":
        spikes = [_polar(c, r if k % 2 == 0 else 0.42 * r, k / 10) for k in range(10)]
        draw.polygon(spikes, fill=255)
    elif shape == "heart":
        lobe = 1.06 * r
        draw.ellipse(_box(c - r, c - 0.85 * r, c - r + lobe, c - 0.85 * r + lobe), fill=255)
        draw.ellipse(_box(c + r - lobe, c - 0.85 * r, c + r, c - 0.85 * r + lobe), fill=255)
        draw.polygon(
            [(c - 0.95 * r, c - 0.1 * r), (c + 0.95 * r, c - 0.1 * r), (c, c + 0.95 * r)], fill=255
        )


@cache
def mask(shape: str, radius: float) -> np.ndarray:
    """Coverage of each pixel of a cell by a centred shape, in [0, 1], (16, 16, 1)."""
    side = CELL * SUPERSAMPLING
    canvas = Image.new("L", (side, side), 0)
    _paint(ImageDraw.Draw(canvas), shape, side / 2, radius * SUPERSAMPLING)
    small = canvas.resize((CELL, CELL), Image.Resampling.BOX)
    return np.asarray(small, np.float32)[:, :, None] / 255.0


def draw(scene: Scene, rng: Random) -> np.ndarray:
    """Paint a scene: (64, 64, 3) bytes. Background, sizes, places and tones vary with `rng`."""
    low, high = DARK if rng.random() < DARK_PROBABILITY else LIGHT
    level = rng.uniform(low, high)
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[:] = [level + rng.uniform(-TINT, TINT) for _ in range(3)]
    for thing in scene:
        jitter = JITTER[thing.size]
        top = thing.row * CELL + rng.randint(-jitter, jitter)
        left = thing.column * CELL + rng.randint(-jitter, jitter)
        coverage = mask(thing.shape, rng.choice(RADII[thing.size]))
        colour = [level + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER) for level in RGB[thing.colour]]
        coverage, top, left = _clip(coverage, top, left)
        height, width = coverage.shape[:2]
        patch = picture[top : top + height, left : left + width]
        patch *= 1 - coverage
        patch += coverage * np.asarray(colour, np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _clip(coverage: np.ndarray, top: int, left: int) -> tuple[np.ndarray, int, int]:
    """Cut off what hangs over the picture's edge; a small shape's own pixels never do."""
    coverage = coverage[max(0, -top) :, max(0, -left) :]
    top, left = max(0, top), max(0, left)
    return coverage[: SIDE - top, : SIDE - left], top, left


def cell_of(thing: Object) -> Box:
    """The cell of the grid that an object never leaves."""
    left, top = thing.column / GRID, thing.row / GRID
    return (left, top, left + 1 / GRID, top + 1 / GRID)


@dataclass(frozen=True, kw_only=True)
class DrawnImage:
    """A picture that exists only as its scene and the seed of its tones, until it is loaded."""

    scene: Scene
    seed: str
    regions: tuple[Box, ...] = ()  # what matters for the question that was asked about the picture

    @property
    def identity(self) -> str:
        """The seed names the picture."""
        return self.seed

    @property
    def content(self) -> str:
        """What is painted, in words."""
        return f"{self.seed}: {self.scene!r}"

    def load(self) -> Image.Image:
        """Paint it."""
        return Image.fromarray(draw(self.scene, Random(f"{self.seed}/tones")))
