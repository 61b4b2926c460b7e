"""Which objects a caption names."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.benchmarks.captions.naming import NothingAbsent, answer_of, marked, words_of
from solvent.benchmarks.captions.vocabulary import Mentions, count_words
from solvent.core.paths import CONF
from solvent.core.types import Accepted
from tests.benchmarks.captions.conftest import CASES, Case

GOLD = Accepted(answers=("dog", "person"))


@pytest.fixture(scope="session")
def coco() -> Mentions:
    """The published vocabulary."""
    return instantiate(OmegaConf.load(CONF / "benchmark/vocabulary/coco.yaml"), _convert_="all")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.caption or "empty")
def test_objects_and_words_are_those_counted_by_hand(objects: Mentions, case: Case) -> None:
    reading = objects(case.caption, GOLD, "")
    assert reading.status == ("ok" if case.caption else "none")
    assert tuple(json.loads(reading.value or "[]")) == case.named
    assert count_words(case.caption) == case.words


def test_a_caption_of_no_object_is_read_and_one_of_no_word_is_not(objects: Mentions) -> None:
    assert objects("Blue.", GOLD, "").value == "[]"
    assert [objects(raw, GOLD, "").status for raw in ("", " \n", "...", "<think>a dog")] == [
        "none"
    ] * 4
    assert objects("<think>a bird</think>a dog", GOLD, "").value == '["dog"]'


def test_marks_part_two_words_and_a_word_inside_another_is_none(objects: Mentions) -> None:
    assert objects.named("A toilet. Baby, bird; wine, glass, hotdogs, dog-house") == [
        "toilet",
        "person",
        "bird",
    ]
    assert objects.named("mice, oxen, policemen, cups/knives and the dog\u2019s bird") == [
        "mouse",
        "cup",
        "knife",
        "dog",
        "bird",
    ]


def test_the_published_list_is_whole(coco: Mentions) -> None:
    words = {word for name, others in coco.objects.items() for word in (name, *others)}
    assert len(coco.objects) == 80
    assert len(words) == 403 - 1  # "stove top oven"
    assert all(coco.named(name) == [name] for name in coco.objects)


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("A bird's-eye view of the dog's bed", ["dog", "bed"]),
        ("Two hot dogs beside a dog", ["hot dog", "dog"]),
        ("baby elephants, adult giraffes and a baby", ["elephant", "giraffe", "person"]),
        ("A teddy bear and bears on the toilet seat", ["teddy bear", "bear", "toilet"]),
        ("A snowboarder is snowboarding past skiers", ["person", "snowboard", "person"]),
        ("Policemen and ladies with traffic lights", ["person", "person", "traffic light"]),
        ("Buses, benches, sandwiches, knives", ["bus", "bench", "sandwich", "knife"]),
        ("home plate, a plate on a dining table", ["dining table"]),
        ("A passenger train by the train tracks", ["train"]),
        ("oxen, calves, geese and mice", ["cow", "cow", "bird", "mouse"]),
    ],
)  # fmt: skip
def test_captions_of_coco(coco: Mentions, caption: str, named: list[str]) -> None:
    assert coco.named(caption) == named


def test_a_vocabulary_that_contradicts_itself_is_refused(objects: Mentions) -> None:
    with pytest.raises(ValueError, match="'puppy' stands for 'dog' and 'cat'"):
        replace(objects, objects={"dog": ["puppy"], "cat": ["puppy"]})
    with pytest.raises(ValueError, match="one or two words"):
        replace(objects, objects={"stove top oven": []})
    with pytest.raises(ValueError, match="two at a time"):
        replace(objects, nothing=["track"])


def test_credit_is_lost_by_one_absent_object() -> None:
    match = NothingAbsent(safe=["light"])
    gold = Accepted(answers=("ship (boat, vessel)", "sea"))
    values = ([], ["sea", "boat"], ["light"], ["sea", "dog"], ["dog"])
    assert [match(json.dumps(value), gold) for value in values] == [1, 1, 1, 0, 0]


def test_a_mention_stands_for_one_object() -> None:
    """First for one that it is associated with, then for the first of its name."""
    answers = [answer_of("ground", []), answer_of("road", ["ground", "street"]), "ship", "ship"]
    assert words_of(answers[1]) == ["road", "ground", "street"]
    assert marked(["ground"], answers, []) == {1}
    assert marked(["street", "road", "ship"], answers, []) == {1, 2}
    assert marked(["ship", "sun"], answers, ["ship"]) == set()
