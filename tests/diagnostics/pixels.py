"""Samples with known pictures, for tests of conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from solvent.core.types import Box, Sample


@dataclass(frozen=True)
class Picture:
    """A picture in memory."""

    identity: str
    pixels: bytes
    size: tuple[int, int]
    regions: tuple[Box, ...] = ()

    def load(self) -> Image.Image:
        return Image.frombytes("RGB", self.size, self.pixels)


def picture(name: str, array: np.ndarray, regions: tuple[Box, ...] = ()) -> Picture:
    """The picture of an array, (height, width, 3)."""
    height, width, _ = array.shape
    return Picture(name, np.rint(array).astype(np.uint8).tobytes(), (width, height), regions)


def flat(name: str, size: tuple[int, int] = (8, 8), level: int = 100) -> Picture:
    """A grey picture of one level."""
    return picture(name, np.full((size[1], size[0], 3), level))


def random(name: str, size: tuple[int, int], regions: tuple[Box, ...] = ()) -> Picture:
    """A picture of seeded random pixels around middle grey, that no two names share."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return picture(name, rng.integers(60, 200, (size[1], size[0], 3)), regions)


def question(
    uid: str,
    *images: Picture,
    text: str = "True?",
    options: tuple[str, ...] = ("yes", "no"),
    gold: int = 0,
    groups: dict[str, str] | None = None,
    meta: dict[str, str] | None = None,
) -> Sample:
    """A sample with these pictures."""
    return Sample(
        uid=uid,
        images=images,
        text=text,
        options=options,
        gold=gold,
        groups=groups or {},
        meta=meta or {},
    )


def pixels(sample: Sample, place: int = 0) -> np.ndarray:
    """What a sample's picture shows, (height, width, 3)."""
    return np.asarray(sample.images[place].load()).astype(int)
