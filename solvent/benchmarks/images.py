"""Pictures on disk or in a table, decoded only when somebody looks at them.

PNG, JPEG, WEBP, GIF, BMP and TIFF are; everything else is an error of its sample.

Pictures of up to 178 megapixels are decoded, which is Pillow's own limit against decompression
bombs; a larger one is an error of its sample.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from solvent.benchmarks.tables.base64_text import decoded_base64, listed
from solvent.core import paths
from solvent.core.types import Box

# Decoded whatever the file's name says; nothing else is, since some decoders run other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")  # of a picture elsewhere: nobody fetches it
FULL = (1.0, 255.0, 65535.0)  # white of a grey picture that is stored in 32 bits, as far as it goes


@dataclass(frozen=True, kw_only=True)
class FileImage:
    """A picture file under a data folder.

    Attributes:
        root: the data folder, absolute.
        path: the file, relative to `root`, with forward slashes.

    Raises:
        ValueError: the path leads out of `root`.
    """

    root: Path
    path: str
    regions: ClassVar[tuple[Box, ...]] = ()  # a table of files does not say what matters in them

    def __post_init__(self) -> None:
        paths.check_inside(self.path)

    @property
    def file(self) -> Path:
        """The absolute path of the picture."""
        return self.root / self.path

    @property
    def identity(self) -> str:
        """The path below the data folder: the same on every machine that has the same data."""
        return self.path

    @property
    def content(self) -> Path:
        """The file, whose bytes decide the pixels."""
        return self.file

    def load(self) -> Image.Image:
        """The picture in RGB, turned upright by its EXIF tag, transparency composited on white.

        Raises:
            OSError: the file is missing, truncated or not a picture.
        """
        return decoded(self.file, self.path)


class Entries(Protocol):
    """A table that is read one entry at a time."""

    def __call__(self, column: str, row: int) -> Any:
        """The value of one entry."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredImage:
    """A picture in an entry of a table: `{bytes, path}`, as `datasets` stores it, bytes alone, or
    the base64 form of the bytes.

    Attributes:
        entries: the table.
        column: of the entry.
        row: of the entry, counting from 0.
        place: which picture of an entry that holds a list, or None where it holds one.
        folder: where a path without bytes starts; None: such an entry is an error.
        table: digest of the table's files, where the picture's bytes stand in them; else None.
    """

    entries: Entries = field(repr=False)
    column: str
    row: int
    place: int | None
    folder: Path | None
    table: str | None
    regions: ClassVar[tuple[Box, ...]] = ()

    @cached_property
    def identity(self) -> str:
        """A hash of the stored content: the same wherever the picture is stored."""
        try:
            return hashlib.blake2b(self._content(), digest_size=16).hexdigest()
        except OSError:  # nobody can read it; it is no other picture
            return self._name

    @property
    def file(self) -> Path | None:
        """The picture's own file beside the table; None where the table holds its bytes."""
        if self.table is not None or self.folder is None:
            return None
        try:
            return self._path(self._value())
        except OSError:  # nobody can read it
            return None

    @property
    def content(self) -> str | Path:
        """The place in a table of known content, the file beside the table, or else a hash."""
        if self.table is not None:
            return f"{self.table}/{self.column}/{self.row}/{self.place}"
        return self.file or self.identity

    def load(self) -> Image.Image:
        """The picture in RGB, turned upright by its EXIF tag, transparency composited on white.

        Raises:
            OSError: the entry holds no bytes and no file, or they are truncated or not a picture.
        """
        return decoded(io.BytesIO(self._content()), self._name)

    @property
    def _name(self) -> str:
        place = "" if self.place is None else f", picture {self.place}"
        return f"{self.column!r} of row {self.row}{place}"

    def _content(self) -> bytes:
        value = self._value()
        if isinstance(value, Mapping):
            value = value.get("bytes")
            if value is None:
                return self._beside()
        if isinstance(value, bytes):
            return value
        try:
            return decoded_base64(value)
        except ValueError as error:
            raise OSError(f"the image {self._name} cannot be read: {error}.") from error

    def _beside(self) -> bytes:
        try:
            return self._path(self._value()).read_bytes()
        except OSError as error:
            raise OSError(f"the image {self._name} cannot be read: {reason(error)}.") from error

    def _value(self) -> Mapping[str, Any] | bytes | str:
        value = self.entries(self.column, self.row)
        if self.place is not None:
            value = (listed(value) if isinstance(value, str) else value)[self.place]
        if not isinstance(value, Mapping | bytes | str):
            raise OSError(
                f"the image {self._name} cannot be read: it is neither bytes nor their base64 form."
            )
        return value

    def _path(self, value: Any) -> Path:
        path = value.get("path") if isinstance(value, Mapping) else None
        if self.folder is None or not path:
            raise OSError(f"the image {self._name} cannot be read: the table holds no bytes of it.")
        try:
            return self.folder / paths.check_inside(path)
        except ValueError as error:
            raise OSError(f"the image {self._name} cannot be read: {error}.") from error


@dataclass(frozen=True, kw_only=True)
class TextImage:
    """A picture that a row holds as text, in base64."""

    text: str = field(repr=False)
    regions: ClassVar[tuple[Box, ...]] = ()

    @cached_property
    def identity(self) -> str:
        """A hash of the file's bytes: the same wherever the picture is stored."""
        try:
            content = decoded_base64(self.text)
        except ValueError:  # nobody can read it; it is no other picture
            content = self.text.encode()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    @property
    def content(self) -> str:
        """The same hash."""
        return self.identity

    def load(self) -> Image.Image:
        """The picture in RGB, turned upright by its EXIF tag, transparency composited on white.

        Raises:
            OSError: the text is damaged, or what it stands for is not a picture.
        """
        name = f"{self.text[:12]!r}..."
        try:
            content = decoded_base64(self.text)
        except ValueError as error:
            raise OSError(f"the image {name} cannot be read: {error}.") from error
        return decoded(io.BytesIO(content), name)


def decoded(file: Path | BinaryIO, name: str) -> Image.Image:
    """An encoded picture in RGB, upright, on white. Raises `OSError` naming it when unreadable."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            return on_white(ImageOps.exif_transpose(picture))
    except MemoryError:
        raise  # the batch is halved, and it is tried again
    except UnidentifiedImageError as error:
        raise OSError(
            f"the image {name} cannot be read: it is damaged, or none of {', '.join(FORMATS)}."
        ) from error
    except Exception as error:  # decoders raise whatever they meet: it is an error of this picture
        raise OSError(f"the image {name} cannot be read: {reason(error)}.") from error


def reason(error: Exception) -> str:
    """What it says, a file by its name alone: the folder is another one on every machine."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {Path(error.filename).name}"
    return str(error).rstrip(".")  # it ends a sentence of ours


def eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits as 8 bits. White is 65535 in integers, and in floating-point numbers
    the least of 1, 255 and 65535 that no pixel exceeds; beyond these the brightest pixel.

    Raises `ValueError` where a pixel is no number.
    """
    levels = np.asarray(picture, dtype=np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("a pixel is infinite or no number")
    highest = levels.max(initial=0.0)
    scales = FULL if picture.mode == "F" else FULL[-1:]
    white = next((scale for scale in scales if highest <= scale), highest)
    scaled = np.floor(np.clip(levels, 0.0, white) * (255.0 / white) + 0.5)
    return Image.fromarray(scaled.astype(np.uint8), "L")


def on_white(picture: Image.Image) -> Image.Image:
    """RGB copy of a picture of any mode: `alpha * colour + (1 - alpha) * white`."""
    if picture.mode.startswith(("I", "F")):  # convert() would clip deep grey instead of scaling it
        picture = eight_bits(picture)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    colours = picture.convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")
