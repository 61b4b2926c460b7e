"""Edited pictures: how much changes, where, and that size and randomness are kept."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from solvent.core.types import Sample
from solvent.diagnostics.conditions import (
    Blank,
    Blur,
    Colour,
    Crop,
    Jpeg,
    Mask,
    Noise,
    Shuffle,
    Translate,
)
from tests.diagnostics.pixels import flat, picture, pixels, question, random

RED = (255, 0, 0)
LEFT = (0.0, 0.0, 0.25, 0.5)
SAMPLE = question("a", random("one", (48, 32), (LEFT,)), random("two", (20, 30)))
EDITS = [
    Jpeg(name="j", quality=95),
    Translate(name="t", share=0.01),
    Blank(name="b", colour=None),
    Noise(name="n", seed=0),
    Shuffle(name="s", cell=8, seed=0),
    Mask(name="m", share=0.25, colour=None, seed=0),
    Crop(name="c", share=0.25),
    Colour(name="h", share=0.25, turns=0.5, darkening=0.5),
]


def mask(share: float, seed: int = 0) -> Mask:
    return Mask(name="mask", share=share, colour=RED, seed=seed)


def red(sample: Sample, place: int = 0) -> np.ndarray:
    return (pixels(sample, place) == RED).all(axis=2)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_picture_keeps_its_size_and_is_drawn_alike(edit: object) -> None:
    (view,), (again,) = edit.views([SAMPLE]), edit.views([SAMPLE])
    assert replace(view, images=SAMPLE.images) == SAMPLE
    for place, (image, own) in enumerate(zip(view.images, SAMPLE.images, strict=True)):
        assert image.load().size == own.load().size
        assert image.identity == again.images[place].identity != own.identity
        assert (pixels(view, place) == pixels(again, place)).all()
        assert (pixels(view, place) != pixels(SAMPLE, place)).any()
    moved = edit.name in "tsc"
    assert view.images[0].regions == (() if moved else (LEFT,))


def test_no_two_edits_share_an_identity() -> None:
    views = [edit.views([SAMPLE])[0] for edit in [*EDITS, mask(0.1), mask(0.2), mask(0.2, seed=1)]]
    assert len({image.identity for view in views for image in view.images}) == 2 * len(views)


@pytest.mark.parametrize(
    "edit",
    [
        Translate(name="t", share=0.0),
        mask(0.0),
        Blur(name="u", share=0.0),
        Crop(name="c", share=0.0),
        Colour(name="h", share=0.0, turns=0.5, darkening=0.5),
    ],
    ids=lambda edit: edit.name,
)
def test_a_share_of_zero_changes_no_pixel(edit: object) -> None:
    (view,) = edit.views([SAMPLE])
    assert all((pixels(view, place) == pixels(SAMPLE, place)).all() for place in (0, 1))


def test_rotations_of_a_question_look_alike() -> None:
    images = (random("one", (48, 32)),)
    pair = [question(uid, *images, groups={"circular": "a"}) for uid in ("a", "a/rotation1")]
    for edit in EDITS:
        one, other = edit.views(pair)
        assert (pixels(one) == pixels(other)).all()
    one, other = mask(0.1).views([question(uid, *images) for uid in "ab"])
    assert (pixels(one) != pixels(other)).any()


def test_jpeg_changes_little() -> None:
    ramp = np.broadcast_to(np.arange(64)[None, :, None] * (3, 2, 1), (64, 64, 3))
    sample = question("a", picture("ramp", ramp))
    (view,) = Jpeg(name="j", quality=95).views([sample])
    assert 0 < np.abs(pixels(view) - pixels(sample)).max() <= 8


def test_translation_repeats_the_edge() -> None:
    sample = question("a", random("square", (16, 16)))
    own = pixels(sample)
    (view,) = Translate(name="t", share=1 / 16).views([sample])
    moved = pixels(view)
    assert (moved[1:, 1:] == own[:-1, :-1]).all()
    assert (moved[0, 1:] == own[0, :-1]).all()
    assert (moved[1:, 0] == own[:-1, 0]).all()
    (view,) = Translate(name="t", share=1 / 32).views([sample])  # half a pixel mixes four
    mixed = (own[:-1, :-1] + own[1:, :-1] + own[:-1, 1:] + own[1:, 1:].astype(float)) / 4
    assert np.abs(pixels(view)[1:, 1:] - mixed).max() <= 0.5


def test_blank_takes_the_mean_colour_of_all_pictures() -> None:
    """Every picture counts once, whatever its size and however often it is shown."""
    small, large = flat("small", (2, 2), 10), flat("large", (20, 20), 31)
    samples = [question("a", small), question("b", large), question("c", large)]
    for view in Blank(name="blank", colour=None).views(samples):
        assert np.unique(pixels(view)).tolist() == [20]  # 20.5, rounded to even
    (given, *_) = Blank(name="blank", colour=[1, 2, 3]).views(samples)
    assert np.unique(pixels(given).reshape(-1, 3), axis=0).tolist() == [[1, 2, 3]]


class _Broken:
    identity = "broken"
    regions = ()

    def load(self) -> Image.Image:
        raise OSError("it is broken.")


def test_a_mean_colour_leaves_out_what_nobody_can_read() -> None:
    samples = [question("a", flat("p", level=40)), question("b", _Broken())]
    readable, broken = Blank(name="blank", colour=None).views(samples)
    assert np.unique(pixels(readable)).tolist() == [40]
    with pytest.raises(OSError, match="it is broken"):
        broken.images[0].load()


def test_noise_has_the_channels_mean_and_spread() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal((100, 120, 140), (5, 10, 15), (128, 128, 3))
    sample = question("a", picture("gauss", own.clip(0, 255)))
    (view,) = Noise(name="noise", seed=0).views([sample])
    noise = pixels(view)
    np.testing.assert_allclose(noise.mean(axis=(0, 1)), (100, 120, 140), atol=0.5)
    np.testing.assert_allclose(noise.std(axis=(0, 1)), (5, 10, 15), rtol=0.03)
    assert abs(np.corrcoef(noise[..., 0].ravel(), own[..., 0].ravel())[0, 1]) < 0.03


def test_noise_is_clipped() -> None:
    bright = np.random.default_rng(0).choice([0, 255], (32, 32, 3), p=[0.1, 0.9])
    (view,) = Noise(name="noise", seed=0).views([question("a", picture("bright", bright))])
    assert pixels(view).min() >= 0
    assert (pixels(view) == 255).mean() > 0.3


def test_a_blur_is_a_gaussian_of_a_share_of_the_width() -> None:
    """Of an edge, by another library; Pillow's kernel is made of boxes, and rounds."""
    array = np.zeros((20, 200, 3))
    array[:, 100:] = 255
    for share in (0.02, 0.05, 0.1):
        (view,) = Blur(name="blur", share=share).views([question("a", picture("p", array))])
        smooth = gaussian_filter(array, (0, share * 200, 0), mode="nearest")
        assert np.abs(pixels(view) - smooth)[:, 40:160].max() < 5
        assert smooth[0, 95, 0] > 20  # which a narrower kernel would leave at 0


def test_shuffle_moves_every_whole_cell() -> None:
    sample = question("a", random("p", (20, 17)))
    (view,) = Shuffle(name="shuffle", cell=8, seed=0).views([sample])
    own, mixed = pixels(sample), pixels(view)
    cells = [(slice(8 * r, 8 * r + 8), slice(8 * c, 8 * c + 8)) for r in range(2) for c in range(2)]
    assert sorted(own[cell].tobytes() for cell in cells) == sorted(
        mixed[cell].tobytes() for cell in cells
    )
    assert all((own[cell] != mixed[cell]).any() for cell in cells)
    assert (own[16:] == mixed[16:]).all()
    assert (own[:, 16:] == mixed[:, 16:]).all()


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("size", [(48, 32), (7, 5), (64, 64)])
def test_a_mask_covers_exactly_its_share(share: float, size: tuple[int, int]) -> None:
    for uid in "abcd":
        (view,) = mask(share).views([question(uid, random("p", size))])
        covered = red(view)
        assert covered.sum() == round(share * size[0] * size[1])
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        assert covered.sum() > len(rows) * len(columns) - len(rows) - len(columns)  # its rim
        sides = np.array([len(columns), len(rows)])
        assert (np.abs(sides - np.sqrt(share) * np.array(size)) <= 1).all()
        (own,) = [question(uid, random("p", size))]
        assert (pixels(view)[~covered] == pixels(own)[~covered]).all()


def test_masks_are_nested() -> None:
    samples = [question(uid, random("p", (33, 21)), random("q", (9, 40))) for uid in "abcd"]
    steps = [mask(share).views(samples) for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    for smaller, larger in pairwise(steps):
        for one, other in zip(smaller, larger, strict=True):
            for place in (0, 1):
                assert (red(one, place) <= red(other, place)).all()


def test_a_crop_shows_the_middle() -> None:
    """Three quarters cut away: a bright middle of half the side fills the picture."""
    frame = np.zeros((64, 32, 3))
    frame[16:48, 8:24] = 200
    (view,) = Crop(name="crop", share=0.75).views([question("a", picture("frame", frame))])
    assert (pixels(view)[4:-4, 4:-4] == 200).all()
    (half,) = Crop(name="crop", share=0.5).views([question("a", picture("frame", frame))])
    bright = (pixels(half)[..., 0] > 100).mean()
    assert bright == pytest.approx(0.25 / 0.5, abs=0.06)


def test_colours_turn_and_darken() -> None:
    orange = (230, 120, 20)
    sample = question("a", picture("orange", np.full((4, 4, 3), orange)))
    (view,) = Colour(name="colour", share=1.0, turns=0.5, darkening=0.5).views([sample])
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in orange))
    expected = colorsys.hsv_to_rgb((hue + 0.5) % 1, saturation, value / 2)
    np.testing.assert_allclose(pixels(view)[0, 0] / 255, expected, atol=0.02)
    distance = [
        np.abs(pixels(edit.views([sample])[0]) - orange).sum()
        for share in (0.1, 0.25, 0.5, 0.75, 1.0)
        for edit in [Colour(name="colour", share=share, turns=0.5, darkening=0.5)]
    ]
    assert distance == sorted(distance)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mask(1.5), r"mask: share must be in \[0, 1\], got 1.5"),
        (lambda: Crop(name="crop", share=1.0), r"crop: share must be in \[0, 0.99\], got 1.0"),
        (
            lambda: Colour(name="c", share=0.5, turns=2.0, darkening=0.0),
            r"c: turns must be in \[0, 1\], got 2.0",
        ),
        (lambda: Jpeg(name="j", quality=0), "j: quality must be in 1 ... 100, got 0"),
        (lambda: Translate(name="t", share=-1), r"t: share must be in \[0, 1\), got -1"),
        (lambda: Shuffle(name="s", cell=0, seed=0), "s: cell must be at least 1 pixel, got 0"),
    ],
)
def test_bad_settings(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
