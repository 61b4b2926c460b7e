"""Pictures: transparency, orientation, and files that cannot be read."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from solvent.benchmarks.images import FileImage, StoredImage, on_white


def saved(folder: Path, name: str, picture: Image.Image, **options: object) -> FileImage:
    picture.save(folder / name, **options)
    return FileImage(root=folder, path=name)


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    image = saved(tmp_path, "a.png", Image.fromarray(pixels, "RGBA")).load()
    alpha = pixels[..., 3:].astype(float) / 255
    expected = alpha * pixels[..., :3] + (1 - alpha) * 255
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image, dtype=float), expected, atol=1)


def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    assert on_white(clear.convert("LA")).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    image = saved(tmp_path, "p.png", palette, transparency=0).load()
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]
    for mode in ("1", "L", "CMYK", "YCbCr", "RGB"):
        assert on_white(Image.new(mode, (2, 1))).mode == "RGB"
    deep = Image.fromarray(np.array([[0, 128 * 257, 65535]], dtype=np.uint16))
    assert [on_white(deep).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_orientation_is_honoured(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 16), "black")
    picture.paste("white", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image = saved(tmp_path, "turned.jpg", picture, exif=exif, quality=95).load()
    assert image.size == (16, 32)
    assert image.getpixel((8, 4))[0] > 200
    assert image.getpixel((8, 28))[0] < 50


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    missing = FileImage(root=tmp_path, path="nowhere/x.png")
    with pytest.raises(OSError, match=r"the image .*nowhere/x\.png cannot be read"):
        missing.load()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.png", "empty.png"):
        with pytest.raises(OSError, match=rf"the image .*{name} cannot be read"):
            FileImage(root=tmp_path, path=name).load()


def test_what_is_wrong_with_a_picture_does_not_depend_on_where_the_data_lie(
    tmp_path: Path,
) -> None:
    """It is recorded with the results, which are the same on every machine."""
    said = []
    for place in ("here", "there"):
        folder = tmp_path / place
        (folder / "d").mkdir(parents=True)
        (folder / "d/text.png").write_text("not a picture")
        for image in (
            FileImage(root=folder, path="d/text.png"),
            FileImage(root=folder, path="d/missing.png"),
            StoredImage(
                entries=lambda column, row: {"bytes": None, "path": "d/missing.png"},
                column="image", row=3, place=None, folder=folder, table=None,
            ),
        ):  # fmt: skip
            with pytest.raises(OSError, match="cannot be read") as refused:
                image.load()
            said.append(str(refused.value))
    assert said[:3] == said[3:]
    assert said[1:3] == [
        "the image d/missing.png cannot be read: No such file or directory: missing.png.",
        "the image 'image' of row 3 cannot be read: No such file or directory: missing.png.",
    ]


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "x.webp"])
def test_a_damaged_file_is_an_error_and_never_other_pixels(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    whole = saved(tmp_path, name, Image.fromarray(noise))
    content, pixels = whole.file.read_bytes(), whole.load().tobytes()
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9):
        whole.file.write_bytes(content[: int(share * len(content))])
        with pytest.raises(OSError, match="cannot be read"):
            whole.load()
    for place in range(0, len(content), max(1, len(content) // 150)):
        whole.file.write_bytes(
            content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        )
        with contextlib.suppress(OSError):  # the only kind of error; many flips are no damage
            whole.load()
    for cut in range(1, 12):  # without its last bytes a file may still hold every pixel
        whole.file.write_bytes(content[:-cut])
        with contextlib.suppress(OSError):
            assert whole.load().tobytes() == pixels


def test_a_png_with_a_broken_later_chunk_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    image = saved(tmp_path, "big.png", Image.fromarray(noise))
    content = bytearray(image.file.read_bytes())
    second = content.index(b"IDAT", content.index(b"IDAT") + 1)
    content[second] = 0
    image.file.write_bytes(content)
    with pytest.raises(OSError, match=r"big\.png cannot be read"):
        image.load()


def test_identity_does_not_know_the_machine(tmp_path: Path) -> None:
    images = [FileImage(root=tmp_path / place, path="d/a.png") for place in ("here", "there")]
    assert {image.identity for image in images} == {"d/a.png"}


@pytest.mark.parametrize(
    ("levels", "options"),
    [
        (np.array([[0, 12850, 51400]], dtype=np.int32), {}),
        (np.array([[0.0, 12850 / 65535, 51400 / 65535]], dtype=np.float32), {}),
        (np.array([[0.0, 50.0, 200.0]], dtype=np.float32), {}),
        (np.array([[0.0, 12850.0, 51400.0]], dtype=np.float32), {}),
    ],
)
def test_deep_grey_is_scaled_and_not_clipped(
    tmp_path: Path, levels: np.ndarray, options: dict[str, object]
) -> None:
    """50 and 200 of 255, as in 16 bits; every encoding of them is the same picture."""
    image = saved(tmp_path, "deep.tif", Image.fromarray(levels), **options).load()
    found = [image.getpixel((x, 0)) for x in range(3)]
    assert found == [(level,) * 3 for level in (0, 50, 200)]


def test_deep_grey_beyond_sixteen_bits_and_without_numbers(tmp_path: Path) -> None:
    levels = np.array([[0, 2**30, 2**31 - 1]], dtype=np.int32)
    image = saved(tmp_path, "deeper.tif", Image.fromarray(levels)).load()
    assert [image.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    broken = saved(
        tmp_path, "nan.tif", Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32))
    )
    with pytest.raises(OSError, match=r"nan\.tif cannot be read: a pixel is infinite or no number"):
        broken.load()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\nshowpage\n"


def test_no_decoder_runs_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow knows PostScript by its content, and hands it to Ghostscript."""
    ran: list[object] = []
    for name in ("run", "Popen", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, lambda *a, **k: ran.append(a))
    (tmp_path / "harmless.png").write_bytes(POSTSCRIPT)
    with pytest.raises(OSError, match=r"damaged, or none of PNG, JPEG, WEBP, GIF, BMP, TIFF"):
        FileImage(root=tmp_path, path="harmless.png").load()
    assert ran == []


def test_whatever_a_decoder_raises_is_an_error_of_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = saved(tmp_path, "a.png", Image.new("RGB", (2, 2)))
    for raised in (subprocess.CalledProcessError(1, "gs"), RuntimeError("odd"), KeyError("x")):
        with monkeypatch.context() as patched:
            patched.setattr(Image, "open", Raising(raised))
            with pytest.raises(OSError, match=r"a\.png cannot be read"):
                image.load()
    monkeypatch.setattr(Image, "open", Raising(MemoryError()))
    with pytest.raises(MemoryError):
        image.load()


class Raising:
    """In the place of a function."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, *_: object, **__: object) -> None:
        raise self._error
