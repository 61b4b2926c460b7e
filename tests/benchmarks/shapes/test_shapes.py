"""The procedural world: answers agree with the scene, pictures with the objects, laws with their
names.
"""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import numpy as np
import pytest

from solvent.benchmarks.shapes.drawing import CELL, RGB, DrawnImage, cell_of, draw
from solvent.benchmarks.shapes.generated import Shapes
from solvent.benchmarks.shapes.questions import KINDS
from solvent.benchmarks.shapes.world import COLOURS, HABITS, SHAPES, Object, draw_scene
from solvent.core.types import Sample


def shapes(
    law: str = "balanced", kinds: tuple[str, ...] = KINDS, questions: int = 40
) -> list[Sample]:
    return Shapes(law=law, kinds=kinds, questions=questions, seed=0)()


def words(sample: Sample) -> list[str]:
    return re.sub(r"[^a-z ]", "", sample.text.lower()).split()


def answer_again(sample: Sample) -> str:
    """The right answer, derived from the words of the question and the scene alone."""
    scene, said = sample.images[0].scene, words(sample)
    singular = [word if word == "cross" else word.removesuffix("s") for word in said]
    named = [word.replace("crosse", "cross") for word in singular]
    named = [word for word in named if word in SHAPES]
    colours = [word for word in said if word in COLOURS]
    first = [thing for thing in scene if thing.shape == named[0]]
    kind = sample.tags["kind"]
    if kind == "existence":
        wanted = [t for t in first if not colours or t.colour == colours[0]]
        return "yes" if wanted else "no"
    if kind == "count":
        return str(len(first))
    (thing,) = first
    if kind in ("colour", "override"):
        return thing.colour
    if kind == "caption":
        return "yes" if thing.colour == colours[0] else "no"
    if kind == "size":
        return thing.size
    if kind == "where":
        return (
            ("left", "right")[thing.column > 1]
            if "left" in said
            else ("upper", "lower")[thing.row > 1]
        )
    (other,) = [t for t in scene if t.shape == named[1]]
    if kind == "relation":
        if "left" in said:
            return "left" if thing.column < other.column else "right"
        return "above" if thing.row < other.row else "below"
    large = max(thing, other, key=lambda t: t.size == "large")
    small = min(thing, other, key=lambda t: t.size == "large")
    return (large if "larger" in said else small).shape


@pytest.mark.parametrize("law", ["balanced", "prior"])
@pytest.mark.parametrize("kind", KINDS)
def test_gold_answers_follow_from_the_scene(law: str, kind: str) -> None:
    for sample in shapes(law, (kind,)):
        assert sample.options[sample.gold] == answer_again(sample), sample.text


@pytest.mark.parametrize("kind", KINDS)
def test_balanced_answers_are_spread_evenly(kind: str) -> None:
    samples = shapes("balanced", (kind,), 80)
    golds = Counter(sample.gold for sample in samples)
    assert max(golds.values()) - min(golds.values()) <= 1
    assert len(golds) == len(samples[0].options)


def test_a_caption_in_an_override_question_is_false() -> None:
    for sample in shapes("balanced", ("override",)):
        said = [word for word in words(sample) if word in COLOURS]
        assert said[0] != sample.options[sample.gold]


def test_the_prior_law_has_its_typical_colours_and_the_balanced_law_has_none() -> None:
    for law, low, high in (("prior", 0.85, 0.97), ("balanced", 0.05, 0.2)):
        rng = Random(3)
        things = [thing for _ in range(3000) for thing in draw_scene(rng, law)]
        stars = [thing for thing in things if thing.shape == "star"]
        typical = np.mean([thing.colour == HABITS["star"].colour for thing in stars])
        assert low < typical < high, law  # 0.9 + 0.1 / 8 = 0.9125, and 1 / 8


def test_samples_are_a_pure_function_of_the_seed() -> None:
    once, again = shapes(questions=5), shapes(questions=5)
    assert once == again
    assert shapes(questions=3) == [sample for sample in once if int(sample.uid[-5:]) < 3]
    other = Shapes(law="balanced", kinds=KINDS, questions=5, seed=1)()
    assert [sample.text for sample in other] != [sample.text for sample in once]
    assert len({sample.uid for sample in once}) == len(once)


def test_pictures_show_the_objects_of_the_scene_and_nothing_else() -> None:
    for sample in shapes(questions=3):
        picture = np.asarray(sample.images[0].load()).astype(int)
        assert picture.shape == (64, 64, 3)
        assert np.array_equal(picture, np.asarray(sample.images[0].load()))
        occupied = {(thing.row, thing.column): thing for thing in sample.images[0].scene}
        for row in range(4):
            for column in range(4):
                cell = picture[row * CELL :, column * CELL :][:CELL, :CELL]
                if thing := occupied.get((row, column)):
                    distance = np.abs(cell - np.array(RGB[thing.colour])).max(-1)
                    assert (distance <= 15).sum() >= 12, (sample.uid, thing)
                else:
                    assert np.ptp(cell.reshape(-1, 3), axis=0).max() == 0


def test_large_objects_cover_more_than_small_ones() -> None:
    for shape in SHAPES:
        area = {}
        for size in ("small", "large"):
            picture = draw((Object(shape, "red", size, 1, 1),), Random(0)).astype(int)
            area[size] = (np.abs(picture - picture[0, 0]).max(-1) > 20).sum()
        assert area["large"] > 1.5 * area["small"], shape


def test_unknown_kinds_and_laws_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown kinds \\['taste'\\]"):
        shapes(kinds=("taste",))
    with pytest.raises(ValueError, match="balanced or prior, not 'fair'"):
        shapes("fair")


def test_regions_are_the_cells_of_what_is_asked_about() -> None:
    for sample in Shapes(law="balanced", kinds=KINDS, questions=12, seed=5)():
        (image,) = sample.images
        kind, cells = sample.tags["kind"], set(image.regions)
        drawn = {cell_of(thing): thing for thing in image.scene}
        if kind == "existence" and sample.options[sample.gold] == "no":
            assert cells == {(0.0, 0.0, 1.0, 1.0)}
            continue
        shapes = [drawn[cell].shape for cell in cells]
        assert all(shape in sample.text for shape in shapes), sample.text
        if kind == "count":
            assert len(cells) == int(sample.options[sample.gold])
        elif kind != "existence":
            assert len(cells) == (2 if kind in ("relation", "comparison") else 1)


def test_an_object_never_leaves_its_cell() -> None:
    thing = Object(shape="star", colour="red", size="large", row=1, column=2)
    pixels = np.asarray(DrawnImage(scene=(thing,), seed="a").load(), dtype=int)
    left, top, right, bottom = (round(64 * side) for side in cell_of(thing))
    assert (left, top, right, bottom) == (32, 16, 48, 32)
    outside = np.ones((64, 64), dtype=bool)
    outside[top:bottom, left:right] = False
    assert (pixels[outside] == pixels[0, 0]).all()
    assert (pixels[~outside] != pixels[0, 0]).any()
