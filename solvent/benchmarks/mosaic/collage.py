"""The picture: a grid of square cells, a photo cut to the middle square in each."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageOps

from solvent.benchmarks.images import decoded, reason
from solvent.core.digests import Seal, seals
from solvent.core.types import Box

BACKGROUND = "white"
KEPT = 512  # cells that stay decoded: 19 MB of 112 x 112 pixels
ROWS = {2: ("top", "bottom"), 3: ("top", "middle", "bottom")}
COLUMNS = {2: ("left", "right"), 3: ("left", "middle", "right")}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where cells lie; they are numbered row by row."""

    rows: int  # 2 or 3
    columns: int  # 2 or 3
    side: int  # of a cell, in pixels
    gap: int  # between cells, in pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, in pixels."""
        width, height = (n * self.side + (n - 1) * self.gap for n in (self.columns, self.rows))
        return width, height

    @property
    def places(self) -> tuple[str, ...]:
        """What cells are called: "top left"; the one in the middle of both is "middle"."""
        names = (f"{row} {column}" for row in ROWS[self.rows] for column in COLUMNS[self.columns])
        return tuple("middle" if name == "middle middle" else name for name in names)

    def corner(self, cell: int) -> tuple[int, int]:
        """Left and top of a cell, in pixels."""
        row, column = divmod(cell, self.columns)
        return column * (self.side + self.gap), row * (self.side + self.gap)

    def box(self, cell: int) -> Box:
        """A cell, as shares of the picture's width and height."""
        (left, top), (width, height) = self.corner(cell), self.size
        right, bottom = left + self.side, top + self.side
        return left / width, top / height, right / width, bottom / height


@dataclass(frozen=True, kw_only=True)
class Collage:
    """A picture that exists only as its photos' names and places, until it is loaded."""

    name: str
    root: Path
    photos: tuple[str, ...]  # of every cell, relative to the root, with forward slashes
    grid: Grid
    regions: tuple[Box, ...]  # cells that the question is about

    @property
    def identity(self) -> str:
        """The sample's uid: every question has a picture of its own."""
        return self.name

    @property
    def files(self) -> tuple[Path, ...]:
        """Of every cell."""
        return tuple(self.root / photo for photo in self.photos)

    @property
    def content(self) -> tuple[str | Path, ...]:
        """Where cells lie, and the file in each."""
        return (repr(self.grid), *self.files)

    def load(self) -> Image.Image:
        """Put it together.

        Raises:
            OSError: a photo cannot be read, or two are the same, under two names.
        """
        picture = Image.new("RGB", self.grid.size, BACKGROUND)
        seen: dict[str, str] = {}
        files = zip(self.files, self.photos, seals(self.files), strict=True)
        for cell, (file, photo, seal) in enumerate(files):
            square, digest = _square(file, photo, self.grid.side, seal)
            if digest in seen:
                raise OSError(f"{seen[digest]} and {photo} are the same photo: delete one of them.")
            seen[digest] = photo
            picture.paste(square, self.grid.corner(cell))
        return picture


@lru_cache(maxsize=KEPT)
def _square(file: Path, name: str, side: int, seal: Seal | None) -> tuple[Image.Image, str]:
    """The middle of a photo, and a digest of its bytes, which change with its seal."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise OSError(f"the image {name} cannot be read: {reason(error)}.") from error
    square = ImageOps.fit(decoded(io.BytesIO(content), name), (side, side))
    return square, hashlib.blake2b(content, digest_size=16).hexdigest()
