"""A donor's picture in the size of the recipient's: cut to its shape, never stretched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from solvent.core.types import Box, LazyImage

SIZES = 1 << 16  # pictures whose sizes are remembered: all swaps of a run ask for them
WHOLE = 0.995  # share of a picture from which on it counts as uncut: sizes are whole pixels


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The middle of a picture in the shape of another one, resized to it; itself where both are
    equally large.
    """

    original: LazyImage
    like: LazyImage

    @property
    def identity(self) -> str:
        return f"{self.original.identity} cut to the size of {self.like.identity}"

    @property
    def regions(self) -> tuple[Box, ...]:
        """Where what mattered is in the part that is kept."""
        boxes = self.original.regions
        if not boxes:
            return ()
        (width, height), kept = size_of(self.original), self._kept()
        low, high = (kept[0] / width, kept[1] / height), (kept[2] / width, kept[3] / height)
        moved = (
            tuple(
                min(1.0, max(0.0, (box[side] - low[side % 2]) / (high[side % 2] - low[side % 2])))
                for side in range(4)
            )
            for box in boxes
        )
        return tuple((a, b, c, d) for a, b, c, d in moved if a < c and b < d)

    @property
    def said(self) -> str:
        """What was done to it."""
        (width, height), (left, top, right, bottom) = size_of(self.original), self._kept()
        share = (right - left) * (bottom - top) / (width * height)
        if share < WHOLE:
            return f"cut to {share:.0%} of its area"
        return "as it is" if (width, height) == size_of(self.like) else "resized"

    def load(self) -> Image.Image:
        """The picture. Raises `OSError` when either is unreadable."""
        picture, size = self.original.load(), self.like.load().size
        if picture.size == size:
            return picture
        box = middle(picture.size, size)
        return picture.resize(size, Image.Resampling.BICUBIC, box=box)

    def _kept(self) -> Box:
        return middle(size_of(self.original), size_of(self.like))


def middle(size: tuple[int, int], like: tuple[int, int]) -> Box:
    """Left, top, right and bottom of the largest part in the middle that has the shape of another
    picture, in pixels.
    """
    scale = max(like[0] / size[0], like[1] / size[1])
    across, along = min(size[0], like[0] / scale), min(size[1], like[1] / scale)
    left, top = (size[0] - across) / 2, (size[1] - along) / 2
    return left, top, left + across, top + along


@lru_cache(maxsize=SIZES)
def size_of(image: LazyImage) -> tuple[int, int]:
    """Width and height in pixels. Raises `OSError` when unreadable."""
    return image.load().size
