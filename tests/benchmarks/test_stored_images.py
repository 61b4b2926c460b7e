"""Pictures in the cells of a table: every kind decodes alike, and damage is an error by name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from solvent.benchmarks.images import FileImage, StoredImage

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def stored(value: Any, place: int | None = None, folder: Path | None = None) -> StoredImage:
    return StoredImage(
        entries=lambda column, row: value,
        column="image",
        row=7,
        place=place,
        folder=folder,
        table=None,
    )


def of(content: bytes) -> StoredImage:
    return stored({"bytes": content, "path": None})


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    return encoded(Image.fromarray(NOISE), "jpeg", exif=exif, quality=95)


def clear_palette() -> bytes:
    palette = Image.new("P", (3, 2))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    return encoded(palette, "png", transparency=0)


@pytest.mark.parametrize(
    ("content", "size", "first"),
    [
        (encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "png"), (1, 1), (9, 8, 7)),
        (
            encoded(Image.fromarray(np.full((2, 3), 128 * 257, dtype=np.uint16)), "png"),
            (3, 2),
            (128, 128, 128),
        ),
        (encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg"), (8, 8), (254, 0, 0)),
        (turned(), (40, 60), None),
        (clear_palette(), (3, 2), (255, 255, 255)),
        (encoded(Image.new("LA", (2, 2), (0, 0)), "png"), (2, 2), (255, 255, 255)),
    ],
    ids=["1x1", "16-bit", "CMYK", "EXIF", "palette", "grey-alpha"],
)
def test_every_kind_becomes_upright_rgb_on_white(
    content: bytes, size: tuple[int, int], first: tuple[int, ...] | None, tmp_path: Path
) -> None:
    image = of(content).load()
    assert (image.mode, image.size) == ("RGB", size)
    if first is not None:
        assert np.abs(np.subtract(image.getpixel((0, 0)), first)).max() <= 2  # JPEG rounds
    (tmp_path / "same").write_bytes(content)
    assert FileImage(root=tmp_path, path="same").load().tobytes() == image.tobytes()


def test_fifty_megapixels_decode_and_a_bomb_is_an_error() -> None:
    assert of(encoded(Image.new("1", (10_000, 5_000)), "png")).load().size == (10_000, 5_000)
    bomb = of(encoded(Image.new("1", (20_000, 9_000)), "png"))
    with pytest.raises(OSError, match=r"'image' of row 7 cannot be read: .*180000000 pixels"):
        bomb.load()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_truncated_and_corrupt_bytes_are_named(kind: str) -> None:
    content = encoded(Image.fromarray(NOISE), kind)
    for bad in (b"", b"not a picture", content[: len(content) // 2], content[len(content) // 2 :]):
        with pytest.raises(OSError, match="the image 'image' of row 7 cannot be read"):
            of(bad).load()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "it is neither bytes nor their base64 form"),
        (b"bytes alone", "it is damaged, or none of PNG"),
        ("iVBORw0KGgo" + "A" * 20, "its base64 text is damaged .*padding"),
        ("iVBORw0KGgo" + "A" * 20 + "#", "its base64 text is damaged"),
        ("data:image/png;base64,AAAA", "it is damaged, or none of PNG"),
        ({"bytes": None, "path": None}, "the table holds no bytes of it"),
        ({"bytes": None, "path": "a.png"}, "the table holds no bytes of it"),
    ],
)
def test_a_cell_without_a_picture_is_named(value: Any, message: str) -> None:
    with pytest.raises(OSError, match=f"row 7 cannot be read: {message}"):
        stored(value).load()


def test_a_path_is_read_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(NOISE), "png"))
    image = stored({"bytes": None, "path": "a.png"}, folder=tmp_path)
    assert np.array_equal(np.asarray(image.load()), NOISE)
    with pytest.raises(OSError, match=r"row 7 cannot be read: .*No such file.*b\.png"):
        stored({"bytes": None, "path": "b.png"}, folder=tmp_path).load()


def test_a_list_holds_several_pictures() -> None:
    pictures = [{"bytes": encoded(Image.new("RGB", (n, 1)), "png"), "path": None} for n in (1, 2)]
    assert [stored(pictures, place).load().size for place in (0, 1)] == [(1, 1), (2, 1)]
    with pytest.raises(OSError, match="row 7, picture 0 cannot be read"):
        stored([None], 0).load()


def test_identity_is_the_content_wherever_it_is_stored() -> None:
    one, other = (encoded(Image.new("RGB", (2, 2), c), "png") for c in ("red", "blue"))
    found = [
        of(one),
        stored({"bytes": one, "path": "elsewhere.png"}),
        stored([{"bytes": other, "path": None}, {"bytes": one, "path": None}], 1),
    ]
    assert len({image.identity for image in found}) == 1
    assert of(other).identity != of(one).identity
    assert stored(None).identity == "'image' of row 7"


def test_nothing_is_read_before_somebody_looks() -> None:
    read: list[tuple[str, int]] = []

    def cells(column: str, row: int) -> Any:
        read.append((column, row))
        return {"bytes": encoded(Image.new("RGB", (2, 2)), "png"), "path": None}

    image = StoredImage(entries=cells, column="image", row=3, place=None, folder=None, table=None)
    assert "image" in repr(image)
    assert not read
    assert image.identity == image.identity
    assert read == [("image", 3)]
