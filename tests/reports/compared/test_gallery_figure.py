"""The gallery as a figure: everything is on it, nothing lies on anything else, equal bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from solvent.core.plotting import PAPER
from solvent.reports.compared import gallery
from solvent.reports.compared.figures.figure_plan import Plan
from solvent.reports.compared.frames import Flip
from solvent.reports.compared.gallery import ROWS, draw_gallery
from solvent.reports.compared.overlays import colour_bar, overlaid, thumbnail
from tests.reports.compared.made_up import HOSTILE, made_up

FIRST, SECOND = made_up(1, 1).flips
LONG = replace(
    FIRST,
    uid="a/very/" + "long" * 20,
    question=" ".join([HOSTILE] * 9) + "\x1b[31m and a line\nbelow",
    options=tuple(f"option {number} {HOSTILE}" for number in range(9)),
    gold="W" * 200,
    arm_answer=HOSTILE * 3,
)


def figures(monkeypatch: pytest.MonkeyPatch, flips: list[Flip], folder: Path) -> list[Figure]:
    made = []
    save = gallery.save

    def kept(plan: Plan, *where: object) -> object:
        made.append(plan.draw())
        return save(plan, *where)

    with monkeypatch.context() as patched:
        patched.setattr(gallery, "save", kept)
        draw_gallery(flips, folder, ["png"], {FIRST.arm: f"name {HOSTILE * 4}"})
    return made


def texts(figure: Figure) -> list[str]:
    return [each.get_text() for each in figure.texts]


@pytest.mark.parametrize("maps", [True, False], ids=["with maps", "without"])
def test_all_is_told_and_nothing_lies_on_anything_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maps: bool
) -> None:
    bare = {"control_attention": None, "arm_attention": None, "scale": None}
    bare |= {"control_mass": None, "arm_mass": None}
    flips = [each if maps else replace(each, **bare) for each in (FIRST, SECOND, LONG)]
    (figure,) = figures(monkeypatch, flips, tmp_path)
    told = " ".join(" ".join(texts(figure)).split())
    wanted = ["What colour is the square?", "red | blue", "gold: red", "control, correct: red",
              "arm, wrong: blue", "control, wrong: nothing that could be read",
              "arm, correct: two", "no picture", "\\x1b[31m", HOSTILE[:20]]  # fmt: skip
    maps_told = ["visual mass 41.0 %", "visual mass 0.0 %", "1.41 (yellow)"]
    assert [each for each in wanted if each not in told] == []
    assert all((each in told) == maps for each in maps_told)
    assert not {"None", "nan"} & set(told.split())
    with matplotlib.rc_context(PAPER):
        boxes = [text.get_window_extent() for text in figure.texts]
        boxes += [axes.get_window_extent() for axes in figure.axes]
    assert len(figure.axes) == (2 * 3 + 1 if maps else 2)  # with the scale's colours
    room = figure.bbox
    for number, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0
        assert (box.x1, box.y1) <= (room.x1, room.y1)
        for other in boxes[:number]:
            both = Bbox.intersection(box, other)
            assert both is None or min(both.width, both.height) < 3, (box, other)  # pixels


def test_names_stand_once_above_their_flips(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flips = [FIRST, SECOND, replace(SECOND, arm="other", uid="shapes/3", question="")]
    (figure,) = figures(monkeypatch, flips, tmp_path)
    written = texts(figure)
    assert written.count("other") == 1  # has no name of its own
    assert "The question is not on this machine." in " ".join(written).replace("\n", " ")
    assert sum(each.startswith("name a_b & 50%") for each in written) == 1


def test_equal_flips_are_equal_bytes_with_their_fonts(tmp_path: Path) -> None:
    flips = [replace(FIRST, uid=f"shapes/{number}") for number in range(ROWS + 1)]
    made = [draw_gallery(flips, tmp_path / place, ["png", "pdf"]) for place in ("a", "b")]
    assert [path.name for path in made[0]] == [
        "gallery-1.png", "gallery-1.pdf", "gallery-2.png", "gallery-2.pdf"
    ]  # fmt: skip
    for one, other in zip(*made, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pdf = made[0][1].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert draw_gallery([], tmp_path / "none", ["png"]) == []
    assert not (tmp_path / "none").exists()


def test_colours_grow_lighter_with_attention_whatever_the_picture() -> None:
    """Luminance of the mean colour, which is what a perceptually uniform scale orders."""
    values = np.linspace(0, 2, 32).reshape(4, 8)
    for shade in ("black", "#8899aa", "white"):
        seen = overlaid(Image.new("RGB", (8, 4), shade), values, 2.0)
        light = np.asarray(seen.convert("L"), dtype=int).ravel()
        assert (np.diff(light) >= 0).all()
        assert light[-1] - light[0] > 90
        ends = [seen.getpixel(place) for place in ((0, 0), (7, 3))]
        bar = colour_bar(16, 1)
        assert ends == [bar.getpixel((0, 0)), bar.getpixel((15, 0))]
    nothing = overlaid(Image.new("RGB", (8, 4)), np.zeros((4, 8)), 0.0)
    assert set(nothing.get_flattened_data()) == {colour_bar(4, 1).getpixel((0, 0))}


def test_thumbnails_are_small_and_hold_all_pictures() -> None:
    wide, small = Image.new("RGB", (900, 300), "red"), Image.new("RGB", (30, 60), "blue")
    assert thumbnail([wide], 320).size == (320, 107)
    assert thumbnail([small], 320).size == (30, 60)
    both = thumbnail([wide, small], 320)
    assert max(both.size) == 320
    colours = {both.getpixel((place, both.height // 2)) for place in (5, 315)}
    assert colours == {(255, 0, 0), (0, 0, 255)}
    assert wide.size == (900, 300)
