"""Folders as people have them, and what a class is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from solvent.benchmarks.mosaic.nouns import noun
from solvent.benchmarks.mosaic.photos import chosen, listed
from tests.benchmarks.mosaic.coloured import TWELVE, mosaic, painted


def test_only_photos_of_a_class_count(tmp_path: Path) -> None:
    painted(tmp_path, {"cat": 2, "dog": 1})
    for odd in ("notes.txt", "cat/list.csv", "cat/.hidden.png", "cat/._0.png", ".git/0.png",
                "dog/more/7.png", "empty/readme.md", "loose.png"):  # fmt: skip
        (tmp_path / odd).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / odd).write_bytes(b"")
    (tmp_path / "dog/LOUD.JPG").write_bytes(b"")
    assert listed(tmp_path) == {"cat": ["0.png", "1.png"], "dog": ["0.png", "LOUD.JPG"]}


def test_classes_are_those_with_most_photos_or_those_named(tmp_path: Path) -> None:
    painted(tmp_path, {"ape": 1, "cat": 3, "dog": 3, "owl": 2})
    found = listed(tmp_path)
    assert chosen(found, 3) == ["cat", "dog", "owl"]
    assert chosen(found, None) == ["cat", "dog", "owl", "ape"]
    assert chosen(found, ["ape", "cat"]) == ["cat", "ape"]
    with pytest.raises(ValueError, match=r"classes names 'cats'.*did you mean 'cat'\? known: ape"):
        chosen(found, ["cats", "dog"])


def test_parts_share_no_photo_and_no_question(tmp_path: Path) -> None:
    painted(tmp_path, {"cat": 40, "dog": 40, "owl": 40})
    shown, uids = {}, {}
    for part in ("first", "second"):
        samples = mosaic(tmp_path, part=part)()
        shown[part] = {photo for sample in samples for photo in sample.images[0].photos}
        uids[part] = {sample.uid for sample in samples}
    assert not shown["first"] & shown["second"]
    assert not uids["first"] & uids["second"]
    assert all(len(photos) > 40 for photos in shown.values())
    (tmp_path / "cat/0.png").unlink()  # of the others none changes sides
    for part, before in shown.items():
        after = {photo for s in mosaic(tmp_path, part=part)() for photo in s.images[0].photos}
        assert after <= before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"grid": (3, 3)}, r"need 9 photos beside those of 1 of the classes, and there are 8: add"),
        ({"grid": (3, 3), "kinds": ["relation"]}, "grid of 3 x 3 need 7 photos beside .* are 4"),
        ({"most": 5}, "'cat' has 4 photos, and questions of the kind 'count' need 5 of every"),
        ({"classes": 1}, "classes is 1; expected 2 or more"),
        ({"classes": ["dog"]}, "1 class takes part; expected 2 or more"),
        ({"classes": 2, "kinds": ["relation"]}, "need 4 photos beside those of 2 .* are 0"),
        ({"grid": (4, 4)}, r"grid is \(4, 4\); expected \[rows, columns\], each 2 or 3"),
        ({"most": 7}, "most is 7; expected 1 to 6, the cells"),
        ({"typical": 0.72}, "typical is 0.72; expected 0.05, 0.1"),
        ({"law": "fair"}, "law has 'fair'; known: balanced, prior"),
        ({"kinds": ["plaice"]}, "kinds has 'plaice'; did you mean 'place'"),
        ({"part": "third"}, "part has 'third'"),
        ({"names": {"dog": "Cat"}}, "the folders 'cat' and 'dog' are both called"),
        ({"names": {"dog": "cats"}}, "are both called 'cats'"),  # how many photos of cats?
        ({"names": {"dog": {"many": "dogs"}}}, "has 'many' for 'dog'; .*article, name, plural"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    painted(tmp_path, TWELVE)
    with pytest.raises(ValueError, match=sentence):
        mosaic(tmp_path, **changes)()


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"benchmark.source.root=FOLDER\.$"):
        mosaic(tmp_path / "nowhere")()
    painted(tmp_path / "all/train", TWELVE)
    with pytest.raises(ValueError, match=r"has 0 folders with .* deeper: name \S+/all/train$"):
        mosaic(tmp_path / "all")()
    painted(tmp_path / "one", {"cat": 4})
    with pytest.raises(ValueError, match=r"has 1 folders with photos; expected 2 or more"):
        mosaic(tmp_path / "one")()
    painted(tmp_path / "ids", {"n01440764": 4, "n01443537": 4, "n01484850": 4})
    with pytest.raises(
        ValueError, match=r"'n01440764' does not say .*\+benchmark.source.names.n01440764=NAME$"
    ):
        mosaic(tmp_path / "ids")()
    given = {"n01440764": "tench", "n01443537": "goldfish", "n01484850": {"name": "shark"}}
    samples = mosaic(tmp_path / "ids", names=given, kinds=["place"])()
    assert samples[0].options == ("goldfish", "shark", "tench")


@pytest.mark.parametrize(
    ("folder", "given", "words"),
    [
        ("cat", None, ("cat", "a cat", "cats")),
        ("black_swan", None, ("black swan", "a black swan", "black swans")),
        ("001.Black_footed_Albatross", None,
         ("Black footed Albatross", "a Black footed Albatross", "Black footed Albatrosses")),
        ("owl", None, ("owl", "an owl", "owls")),
        ("hourglass", None, ("hourglass", "an hourglass", "hourglasses")),
        ("unicorn", None, ("unicorn", "a unicorn", "unicorns")),
        ("fox", None, ("fox", "a fox", "foxes")),
        ("bus", None, ("bus", "a bus", "buses")),
        ("lens", None, ("lens", "a lens", "lenses")),
        ("butterfly", None, ("butterfly", "a butterfly", "butterflies")),
        ("toy", None, ("toy", "a toy", "toys")),
        ("fireman", None, ("fireman", "a fireman", "firemen")),
        ("person", None, ("person", "a person", "people")),
        ("sheep", None, ("sheep", "a sheep", "sheep")),
        ("goldfish", None, ("goldfish", "a goldfish", "goldfish")),
        ("cup_of_tea", None, ("cup of tea", "a cup of tea", "cups of tea")),
        ("dogs", None, ("dogs", "dogs", "dogs")),
        ("sunglasses", None, ("sunglasses", "sunglasses", "sunglasses")),
        ("7", "seven", ("seven", "a seven", "sevens")),
        ("grass", {"article": "", "plural": "grass"}, ("grass", "grass", "grass")),
        ("x", {"name": "ewe", "article": "a"}, ("ewe", "a ewe", "ewes")),
    ],
)  # fmt: skip
def test_a_class_is_called(folder: str, given: Any, words: tuple[str, str, str]) -> None:
    found = noun(folder, given)
    assert (found.name, found.single, found.plural) == words
