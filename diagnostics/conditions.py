"""What the model is shown: views of a benchmark's samples that keep uid, text, options and gold.

A condition maps all samples at once, because a donor image comes from another sample. Conditions
are orthogonal to interventions: they change the input, never the attention.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from PIL import Image

from evaluation.types import Box, LazyImage, Sample


@dataclass(frozen=True, kw_only=True)
class Real:
    """The sample as it is."""

    name: ClassVar[str] = "real"

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The same samples."""
        return list(samples)


@dataclass(frozen=True, kw_only=True)
class Text:
    """The question without any image: no placeholder, no image token."""

    name: ClassVar[str] = "text"

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample without its images."""
        return [replace(sample, images=()) for sample in samples]


@dataclass(frozen=True, kw_only=True)
class Swap:
    """The question with the images of another sample.

    Donors form one seeded cycle per stratum, so that no sample keeps its own images and every image
    is used as often as before. Samples that share their images are never each other's donors.
    """

    stratum: str | None  # tag whose value donor and recipient share; None = any
    seed: int
    name: ClassVar[str] = "swap"

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with a donor's images.

        Raises `ValueError` when a stratum has one picture only.
        """
        strata: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            strata[sample.tags.get(self.stratum, "") if self.stratum else ""].append(sample)
        donors: dict[str, tuple[LazyImage, ...]] = {}
        for name, members in strata.items():
            donors |= self._cycle(name, members)
        return [replace(sample, images=donors[sample.uid]) for sample in samples]

    def _cycle(self, name: str, members: list[Sample]) -> dict[str, tuple[LazyImage, ...]]:
        pictures = {_picture(sample): sample.images for sample in members}
        order = sorted(pictures)
        if len(order) < 2:
            raise ValueError(
                f"swap needs at least two different pictures among samples with "
                f"{self.stratum}={name!r}, found {len(order)}; raise limit or set "
                "condition.stratum=null"
            )
        Random(f"{self.seed}/{name}").shuffle(order)
        donor = dict(zip(order, order[1:] + order[:1], strict=True))
        return {sample.uid: pictures[donor[_picture(sample)]] for sample in members}


@dataclass(frozen=True, kw_only=True)
class Blank:
    """The question with pictures of one colour, each as large as the one it stands for."""

    colour: Sequence[int]  # RGB, 0 to 255
    name: ClassVar[str] = "blank"

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with its images painted over."""
        colour = tuple(self.colour)
        return [
            replace(
                sample,
                images=tuple(
                    _PaintedOver(original=image, colour=colour) for image in sample.images
                ),
            )
            for sample in samples
        ]


@dataclass(frozen=True, kw_only=True)
class _PaintedOver:
    original: LazyImage
    colour: tuple[int, ...]

    @property
    def identity(self) -> str:
        return f"blank {self.colour} over {self.original.identity}"

    @property
    def regions(self) -> tuple[Box, ...]:
        """Where what matters would be: the same pattern as on the original, without its content."""
        return getattr(self.original, "regions", ())

    def load(self) -> Image.Image:
        return Image.new("RGB", self.original.load().size, self.colour)


def _picture(sample: Sample) -> tuple[str, ...]:
    return tuple(image.identity for image in sample.images)
