"""Painting over what matters for the question, or as much of what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from PIL import Image

from solvent.core.types import Box, LazyImage, Sample
from solvent.diagnostics.conditions.keys import generator, question_key
from solvent.diagnostics.conditions.pictures import Fill, MeanColour, rgb

STEPS = 16  # places per axis that are tried, beside those that touch another box
TOUCHING = 1e-9  # boxes that share an edge only do not overlap


@dataclass(frozen=True, kw_only=True)
class MaskEvidence:
    """The boxes that matter for the question painted over, or boxes of the same sizes elsewhere.

    Boxes that overlap are first joined to the box around them. Both variants exist for the same
    samples: those with boxes, and with room for as many again outside of them.
    """

    name: str
    relevant: bool  # the boxes that matter, or the others
    colour: Fill  # RGB, 0 to 255; None = mean of all pictures
    seed: int  # of the places of the others, together with the question

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples for which both variants exist, painted on once somebody looks at them."""
        fill = MeanColour.of(samples) if self.colour is None else tuple(self.colour)
        views = ((sample, self._painted(sample, fill)) for sample in samples)
        return [replace(sample, images=images) for sample, images in views if images]

    def _painted(self, sample: Sample, fill: Fill) -> tuple[LazyImage, ...]:
        """The sample's pictures, painted on where they have boxes; none without boxes or room."""
        images: list[LazyImage] = []
        for place, image in enumerate(sample.images):
            boxes = joined(image.regions)
            key = f"{self.seed}/{question_key(sample)}/{place}"
            others = elsewhere(boxes, generator("evidence", key))
            if others is None:
                return ()
            covered = boxes if self.relevant else others
            images.append(_Covered(original=image, boxes=covered, fill=fill) if boxes else image)
        seen = any(isinstance(image, _Covered) for image in images)
        return tuple(images) if seen else ()


@dataclass(frozen=True, kw_only=True)
class _Covered:
    original: LazyImage
    boxes: tuple[Box, ...]
    fill: Fill

    @property
    def identity(self) -> str:
        return f"{self.boxes} covered by {self.fill} on {self.original.identity}"

    @property
    def regions(self) -> tuple[Box, ...]:
        """What matters is where it was, seen or not."""
        return self.original.regions

    def load(self) -> Image.Image:
        picture = self.original.load().copy()
        for box in self.boxes:
            picture.paste(rgb(self.fill), _pixels(box, picture.size))
        return picture


def joined(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Boxes without overlaps: those that overlap are replaced by the box around them."""
    separate: list[Box] = []
    for box in boxes:
        while (other := next((each for each in separate if _overlap(box, each)), None)) is not None:
            separate.remove(other)
            low, high = np.minimum(box, other), np.maximum(box, other)
            box = (*low[:2].tolist(), *high[2:].tolist())
        separate.append(box)
    return tuple(separate)


def elsewhere(boxes: Sequence[Box], random: np.random.Generator) -> tuple[Box, ...] | None:
    """Boxes of the same sizes that overlap neither these nor each other, at random places.

    Larger ones are placed first. None where there is no room left.
    """
    taken = list(boxes)
    for box in sorted(boxes, key=_area, reverse=True):
        free = _free_places(box, np.array(taken))
        if not len(free):
            return None
        left, top = free[random.integers(len(free))].tolist()
        taken.append((left, top, left + box[2] - box[0], top + box[3] - box[1]))
    return tuple(taken[len(boxes) :])


def _free_places(
    box: Box, taken: Float[np.ndarray, "boxes 4"]
) -> Float[np.ndarray, "places left_top"]:
    """Left upper corners at which a box overlaps none: on a grid, and beside those taken.

    If there is room at all, there is room against the picture's or a taken box's edge.
    """
    size = np.array([box[2] - box[0], box[3] - box[1]])
    steps = np.linspace(0.0, 1.0, STEPS + 1)[:, None] * (1 - size)
    lefts, tops = (
        np.unique(np.concatenate([steps[:, axis], taken[:, 2 + axis]])) for axis in (0, 1)
    )
    corners = np.stack(np.meshgrid(lefts, tops, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    shared = np.minimum(corners + size, taken[:, 2:]) - np.maximum(corners, taken[:, :2])
    overlaps = (shared > TOUCHING).all(axis=2).any(axis=1)
    inside = (corners[:, 0] + size <= 1 + TOUCHING).all(axis=1)
    return corners[inside & ~overlaps, 0]


def _overlap(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return across > TOUCHING and along > TOUCHING


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels; boxes of one size cover equally many everywhere."""
    corners = []
    for low, high, length in zip(box[:2], box[2:], size, strict=True):
        extent = min(length, max(1, round((high - low) * length)))
        start = min(max(0, round(low * length)), length - extent)
        corners.append((start, start + extent))
    (left, right), (top, bottom) = corners
    return (left, top, right, bottom)
