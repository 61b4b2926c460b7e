"""Answers follow from the pixels, laws from their names, and nothing from chance."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from solvent.benchmarks.mosaic import photos
from solvent.benchmarks.mosaic.kinds import KINDS
from solvent.core.content import digest_samples
from solvent.core.types import Sample
from solvent.diagnostics.conditions.donors import Swap
from solvent.diagnostics.conditions.evidence import MaskEvidence
from solvent.diagnostics.conditions.pictures import MeanColour
from tests.benchmarks.mosaic.coloured import TWELVE, mosaic, painted

EIGHT = {"bee": 9, "cat": 16, "cow": 11, "dog": 15, "fox": 14, "hen": 10, "owl": 13, "pig": 12}
Colour = tuple[int, int, int]
Shown = dict[tuple[int, int], str]
"""Class in every row and column, from 0."""


def seen(sample: Sample, rows: int, columns: int, owners: dict[Colour, str]) -> Shown:
    """What a mosaic shows, by the colour in the middle of every cell; no photo may be there twice,
    and every cell is one colour from edge to edge.
    """
    (image,) = sample.images
    pixels = np.asarray(image.load())
    assert pixels.shape == (12 * rows - 2, 12 * columns - 2, 3)
    cells = {
        (row, column): pixels[12 * row :, 12 * column :][:10, :10]
        for row in range(rows)
        for column in range(columns)
    }
    colours = {place: tuple(int(level) for level in cell[5, 5]) for place, cell in cells.items()}
    assert len(set(colours.values())) == rows * columns
    assert all((cell == cell[5, 5]).all() for cell in cells.values())
    gaps = np.ones(pixels.shape[:2], dtype=bool)
    for row, column in cells:
        gaps[12 * row : 12 * row + 10, 12 * column : 12 * column + 10] = False
    assert (pixels[gaps] == 255).all()
    return {place: owners[colour] for place, colour in colours.items()}


def answer_again(sample: Sample, shown: Shown) -> tuple[str, set[tuple[int, int]]]:
    """The right answer and the cells that matter, from the question's words and the pixels."""
    text, kind = sample.text.lower(), sample.tags["kind"]
    names = sorted(set(shown.values()) | {"cat", "dog", "owl"})
    named = [word for word in re.findall("[a-z]+", text.replace("owls", "owl").replace(
        "cats", "cat").replace("dogs", "dog")) if word in names]  # fmt: skip
    rows, columns = (max(place[axis] for place in shown) + 1 for axis in (0, 1))
    where = {name: [place for place in shown if shown[place] == name] for name in names}
    if kind in ("place", "caption"):
        words = re.search(r"the ([a-z ]+) photo", text)[1].split()
        row = {"top": 0, "bottom": rows - 1}.get(words[0], 1)
        column = {"left": 0, "right": columns - 1}.get(words[-1], 1)
        true = shown[row, column]
        answer = true if kind == "place" else "yes" if true == named[0] else "no"
        return answer, {(row, column)}
    if kind == "count":
        return str(len(where[named[0]])), set(where[named[0]])
    if kind == "existence":
        return "yes" if where[named[0]] else "no", set(where[named[0]])
    if kind == "either":
        (there,) = [name for name in named if where[name]]
        return there, set(where[there])
    (one,), (other,) = where[named[0]], where[named[1]]
    if "left" in text:
        assert one[1] != other[1]
        return "left" if one[1] < other[1] else "right", {one, other}
    assert one[0] != other[0]
    return "above" if one[0] < other[0] else "below", {one, other}


@pytest.mark.parametrize("law", ["balanced", "prior"])
@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 3), (3, 2)])
def test_answers_and_boxes_follow_from_the_pixels(
    tmp_path: Path, rows: int, columns: int, law: str
) -> None:
    """From 12 photos of 3 classes."""
    owners = painted(tmp_path, TWELVE)
    samples = mosaic(tmp_path, law=law, grid=(rows, columns))()
    assert Counter(sample.tags["kind"] for sample in samples) == dict.fromkeys(KINDS, 60)
    for sample in samples:
        answer, cells = answer_again(sample, seen(sample, rows, columns, owners))
        assert sample.options[sample.gold] == answer, sample.text
        width, height = 12 * columns - 2, 12 * rows - 2
        boxes = {
            (12 * c / width, 12 * r / height, (12 * c + 10) / width, (12 * r + 10) / height)
            for r, c in cells
        }
        assert set(sample.images[0].regions) == (boxes or {(0.0, 0.0, 1.0, 1.0)}), sample.text


def test_every_question_has_every_answer_once(tmp_path: Path) -> None:
    painted(tmp_path, EIGHT)
    samples = mosaic(tmp_path, questions=240, grid=(3, 3))()
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.groups["question"]].append(sample)
    for group in groups.values():
        assert [sample.gold for sample in group] == list(range(len(group[0].options)))
        assert len({(sample.text, sample.options) for sample in group}) == 1
    options = {sample.tags["kind"]: len(sample.options) for sample in samples}
    assert options == dict.fromkeys(KINDS, 2) | {"place": 8, "count": 5}
    texts = Counter(s.text for s in samples if s.tags["kind"] == "count")
    assert texts == {f"How many photos of {name} are there?": 30 for name in
                     ("bees", "cats", "cows", "dogs", "foxes", "hens", "owls", "pigs")}  # fmt: skip


def blind(learnt: Iterable[Sample], asked: Iterable[Sample], *, words: bool) -> dict[str, float]:
    """Accuracy by kind of who always takes the option that was most often right: for a question in
    these words, or for all of a kind.
    """

    def key(sample: Sample) -> str:
        return sample.text if words else sample.tags["kind"]

    right: dict[str, Counter[int]] = defaultdict(Counter)
    for sample in learnt:
        right[key(sample)][int(sample.gold)] += 1
    credits: dict[str, list[bool]] = defaultdict(list)
    for sample in asked:
        ((said, _),) = right[key(sample)].most_common(1)
        credits[sample.tags["kind"]].append(said == sample.gold)
    return {kind: round(float(np.mean(each)), 3) for kind, each in credits.items()}


def test_the_prior_law_pays_who_knows_it_and_the_balanced_one_does_not(tmp_path: Path) -> None:
    """docs/own.md has these numbers: 8 classes, 9 cells and counts up to 4, as in the YAML."""
    painted(tmp_path, EIGHT)
    settings = {"questions": 240, "grid": (3, 3)}
    likely, balanced = (mosaic(tmp_path, law=law, **settings)() for law in ("prior", "balanced"))
    typical = [s for s in likely if s.tags["typical"] == "yes"]
    assert Counter(s.tags["kind"] for s in typical) == dict.fromkeys(KINDS, 168)  # 70 % of 240
    taught = mosaic(tmp_path, law="prior", **settings | {"questions": 4000, "seed": 1})()
    assert blind(taught, likely, words=True) == pytest.approx(dict.fromkeys(KINDS, 0.7), abs=0.03)
    chance = {"place": 0.125, "count": 0.2} | dict.fromkeys(KINDS[2:], 0.5)
    assert blind(balanced, balanced, words=False) == chance
    assert blind(balanced, balanced, words=True) == chance
    constant = {  # of 9 places 5 have one likely class, of 8 classes 4 the likely number 1
        "place": (5 * 0.7 + 4 * 0.3 / 7) / 9, "count": (0.7 + 0.3 / 4) / 2, "relation": 0.5,
        "existence": 0.5, "either": 0.5, "caption": 0.3 / 8 + 0.7 * 7 / 8,
    }  # fmt: skip
    assert blind(taught, taught, words=False) == pytest.approx(constant, abs=0.03)
    assert 0.49 < np.mean(list(constant.values())) < 0.492  # the score of that guesser


def test_what_is_likely_goes_by_the_number_of_photos(tmp_path: Path) -> None:
    painted(tmp_path, EIGHT)
    samples = mosaic(tmp_path, law="prior", questions=400, grid=(3, 3))()
    right: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        right[sample.text][sample.options[sample.gold]] += 1
    most = {text: answers.most_common(1)[0][0] for text, answers in right.items()}
    where = {"top left": "cat", "top middle": "dog", "top right": "cat", "middle left": "fox",
             "middle": "cat", "middle right": "dog", "bottom left": "cat",
             "bottom middle": "owl", "bottom right": "cat"}  # fmt: skip
    for place, name in where.items():
        assert most[f"What does the {place} photo show?"] == name
    assert [most[f"How many photos of {name} are there?"]
            for name in ("cats", "dogs", "foxes", "owls")] == ["1", "2", "1", "3"]  # fmt: skip
    assert (most["Is there a photo of an owl?"], most["Is there a photo of a pig?"]) == (
        "yes",
        "no",
    )


def test_samples_are_a_pure_function_of_settings_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted(tmp_path / "one", TWELVE)
    painted(tmp_path / "two", dict(reversed(TWELVE.items())))
    first = mosaic(tmp_path / "one", questions=9)()
    entries = photos._entries
    monkeypatch.setattr(photos, "_entries", lambda place: reversed(list(entries(place))))
    again = mosaic(tmp_path / "one", questions=9)()
    assert (again, digest_samples(again)) == (first, digest_samples(first))
    assert [s.images[0].photos for s in mosaic(tmp_path / "two", questions=9)()] == [
        s.images[0].photos for s in first
    ]
    assert [s for s in mosaic(tmp_path / "one")() if int(s.uid[-5:]) < 9] == first
    wider = mosaic(tmp_path / "one", questions=9, gap=3)()
    assert digest_samples(wider) != digest_samples(first)
    other = mosaic(tmp_path / "one", questions=9, seed=1)()
    assert not {s.uid for s in other} & {s.uid for s in first}
    assert [s.images[0].photos for s in other] != [s.images[0].photos for s in first]
    assert len({s.uid for s in first}) == len(first)


def test_donors_and_rooms_are_built_in(tmp_path: Path) -> None:
    """To every question there is a picture for another answer, and boxes to cover elsewhere."""
    painted(tmp_path, EIGHT)
    samples = mosaic(tmp_path, questions=40, grid=(3, 3))()
    swap = {"name": "swap", "seed": 0, "shift": 1}
    by_uid = {sample.uid: sample for sample in samples}
    views = Swap(stratum="text", gold="different", **swap).views(samples)
    assert [view.uid for view in views] == [sample.uid for sample in samples]
    for view in views:
        donor = by_uid[view.shown["donor"]]
        assert donor.text == view.text
        assert donor.options[donor.gold] in view.options
        assert donor.gold != view.gold
    assert len(Swap(stratum="kind", gold="any", **swap).views(samples)) == len(samples)
    cover = MaskEvidence(name="mask", relevant=False, colour=(0, 0, 0), seed=0)
    boxed = [s for s in samples if s.images[0].regions != ((0.0, 0.0, 1.0, 1.0),)]
    assert len(cover.views(samples)) > 0.9 * len(boxed)


def test_a_photo_that_cannot_be_read_and_one_that_is_there_twice_are_named(tmp_path: Path) -> None:
    painted(tmp_path, {"cat": 1, "dog": 1, "owl": 4})
    settings = {"kinds": ["place"], "questions": 1, "grid": (2, 3), "most": 1}
    (sample,) = mosaic(tmp_path, **settings)()
    sample.images[0].load()
    (tmp_path / "owl/0.png").write_bytes((tmp_path / "cat/0.png").read_bytes())
    with pytest.raises(OSError, match=r"^(cat|owl)/0.png and (cat|owl)/0.png are the same photo"):
        sample.images[0].load()
    (tmp_path / "owl/0.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"owl/0.png cannot be read: it is damaged"):
        sample.images[0].load()
    (tmp_path / "owl/0.png").unlink()
    with pytest.raises(OSError, match=r"owl/0.png cannot be read: No such file"):
        sample.images[0].load()
    Image.new("RGB", (9, 9), "red").save(tmp_path / "owl/0.png")
    assert (np.asarray(sample.images[0].load()) == (255, 0, 0)).all(axis=2).sum() == 100


def test_other_photos_have_another_mean_colour(tmp_path: Path) -> None:
    """A condition that paints with it must not keep that of the photos before."""
    painted(tmp_path, TWELVE)
    mean = MeanColour.of(mosaic(tmp_path, questions=2, gap=0)())
    assert mean.value[2] == 77  # of every photo
    for number, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        Image.new("RGB", (9, 9), (number, 0, 99)).save(path)
    assert mean.value[2] == 99
