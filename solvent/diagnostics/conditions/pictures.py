"""The same question with its pictures edited, pixel size kept: what all such conditions share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from solvent.core.content import files_of
from solvent.core.digests import Seal, seals
from solvent.core.types import Box, LazyImage, Sample
from solvent.diagnostics.conditions.keys import question_key

MOST_PICTURES = 256  # that a mean colour is taken over
Pixels = UInt8[np.ndarray, "H W 3"]


class Edit(ABC):
    """A condition that edits every picture by itself. Its repr is its definition."""

    intervention: ClassVar[None] = None
    moves: ClassVar[bool] = False  # content to other places: then nobody knows what matters where

    @abstractmethod
    def edit(self, picture: Image.Image, key: str) -> Image.Image:
        """The edited picture, as large; `key` seeds what is random."""

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with its pictures edited once somebody looks at them."""
        return [
            replace(
                sample,
                images=tuple(
                    Edited(original=image, by=self, key=f"{question_key(sample)}/{place}")
                    for place, image in enumerate(sample.images)
                ),
            )
            for sample in samples
        ]


@dataclass(frozen=True, kw_only=True)
class Edited:
    """An edited picture, drawn when it is loaded."""

    original: LazyImage
    by: Edit
    key: str  # of the random choices; the same for every order of a question's options

    @property
    def identity(self) -> str:
        """Of the edit, its randomness and the original."""
        return f"{self.by} at {self.key} of {self.original.identity}"

    @property
    def regions(self) -> tuple[Box, ...]:
        """Where what matters is or would be; nothing where the content moved."""
        return () if self.by.moves else self.original.regions

    def load(self) -> Image.Image:
        """The edited picture. Raises `OSError` when the original is unreadable."""
        return self.by.edit(self.original.load(), self.key)


@dataclass(frozen=True, kw_only=True, repr=False)
class MeanColour:
    """The mean colour of some pictures, every picture with equal weight; unreadable ones left out.

    It is taken once, when the first picture is painted with it, over at most `MOST_PICTURES` that
    are spread evenly over all.
    """

    pictures: tuple[LazyImage, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> MeanColour:
        """The mean colour of the pictures of some samples."""
        seen = {image.identity: image for sample in samples for image in sample.images}
        every = list(seen.values())
        kept = min(len(every), MOST_PICTURES)
        spread = (every[index * len(every) // kept] for index in range(kept))
        return cls(pictures=tuple(spread))

    def __repr__(self) -> str:
        names = "\n".join(image.identity for image in self.pictures)
        return f"MeanColour({hashlib.blake2b(names.encode(), digest_size=8).hexdigest()})"

    @property
    def value(self) -> tuple[int, ...]:
        """RGB, 0 to 255. Raises `OSError` when no picture is readable."""
        return _mean(self.pictures, seals(files_of(self.pictures)))


Fill = Sequence[int] | MeanColour | None
"""RGB, 0 to 255; None: the mean colour of the samples' pictures, filled in by `Filling`."""


class Filling(Edit):
    """An edit that paints with one colour."""

    colour: Fill

    def __post_init__(self) -> None:
        if isinstance(self.colour, list):  # as YAML gives it; a tuple can be a key
            object.__setattr__(self, "colour", tuple(self.colour))

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with its pictures painted on."""
        if self.colour is None:
            return replace(self, colour=MeanColour.of(samples)).views(samples)
        return super().views(samples)

    def rgb(self) -> tuple[int, ...]:
        """The colour, 0 to 255."""
        return rgb(self.colour)


def rgb(fill: Fill) -> tuple[int, ...]:
    """The colour, looked up where it is a mean."""
    return fill.value if isinstance(fill, MeanColour) else tuple(fill)


def check_share(name: str, share: float, most: float = 1.0) -> None:
    """Raise `ValueError` unless `share` is in [0, most]."""
    if not 0.0 <= share <= most:
        raise ValueError(f"{name}: share must be in [0, {most:g}], got {share}")


@lru_cache(maxsize=8)  # all conditions of a run paint with the same one
def _mean(pictures: tuple[LazyImage, ...], changed: Sequence[Seal | None]) -> tuple[int, ...]:
    means = []
    for picture in pictures:
        try:
            means.append(np.asarray(picture.load(), np.float64).mean(axis=(0, 1)))
        except OSError:  # that sample is a recorded error of its own
            continue
    if not means:
        raise OSError("no picture is readable, so that they have no mean colour.")
    return tuple(int(level) for level in np.rint(np.mean(means, axis=0)))
