"""Pictures on disk, decoded only when somebody looks at them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

# What Pillow's decoders raise on damaged files, beside OSError.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    struct.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, kw_only=True)
class FileImage:
    """A picture file under a data folder.

    Attributes:
        root: the data folder, absolute.
        path: the file, relative to `root`, with forward slashes.
    """

    root: Path
    path: str

    @property
    def file(self) -> Path:
        """The absolute path of the picture."""
        return self.root / self.path

    @property
    def identity(self) -> str:
        """The path below the data folder: the same on every machine that has the same data."""
        return self.path

    def load(self) -> Image.Image:
        """The picture in RGB, turned upright by its EXIF tag, transparency composited on white.

        Raises:
            OSError: the file is missing, truncated or not a picture.
        """
        try:
            with Image.open(self.file) as picture:
                return on_white(ImageOps.exif_transpose(picture))
        except DAMAGED as error:
            raise OSError(f"the image {self.file} cannot be read: {error}.") from error


def on_white(picture: Image.Image) -> Image.Image:
    """RGB copy of a picture of any mode: `alpha * colour + (1 - alpha) * white`."""
    if picture.mode.startswith("I;16"):  # convert() would clip 16-bit grey instead of scaling it
        picture = picture.convert("I").point(lambda level: level / 257 + 0.5).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    colours = picture.convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")
