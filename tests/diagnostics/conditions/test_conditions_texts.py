"""Statements, other wordings and fillers: what is said, where, and for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solvent.benchmarks.shapes.generated import Shapes
from solvent.benchmarks.shapes.world import SHAPES
from solvent.core.types import Accepted
from solvent.diagnostics.conditions import Congruent, Filler, Irrelevant, Mislead, Paraphrase
from solvent.diagnostics.conditions.filler import SENTENCES
from tests.diagnostics.pixels import flat, question

TEMPLATE = "The answer is {answer}."
SAMPLES = [
    question(str(k), flat(str(k)), text="What is it?", options=("a", "b", "c", "d"), gold=k % 4)
    for k in range(200)
]


def mislead(**changes: object) -> Mislead:
    fields = {"name": "mislead", "template": TEMPLATE, "place": "before", "times": 1}
    return Mislead(**(fields | {"image": True, "seed": 0} | changes))


def filler(words: int, place: str, draw: int = 1) -> Filler:
    return Filler(name="filler", words=words, place=place, draw=draw)


def test_a_wrong_option_is_asserted() -> None:
    views = mislead().views(SAMPLES)
    counts = dict.fromkeys("0123", 0)
    for sample, view in zip(SAMPLES, views, strict=True):
        asserted = int(view.shown["asserted"])
        assert asserted != sample.gold
        assert view.text == f"The answer is {sample.options[asserted]}. What is it?"
        assert replace(view, text=sample.text, shown={}) == sample
        counts[view.shown["asserted"]] += 1
    assert all(30 < count < 70 for count in counts.values())  # 50 expected of each


def test_every_variant_asserts_the_same() -> None:
    first = mislead().views(SAMPLES)
    variants = [mislead(place="after"), mislead(times=4), mislead(image=False)]
    after, four, blind = (variant.views(SAMPLES) for variant in variants)
    for one, late, loud, unseen in zip(first, after, four, blind, strict=True):
        said = one.text.removesuffix(" What is it?")
        assert late.text == f"What is it? {said}"
        assert loud.text == f"{said} {said} {said} {said} What is it?"
        assert (unseen.text, unseen.images) == (one.text, ())
        assert len({view.shown["asserted"] for view in (one, late, loud, unseen)}) == 1
        assert one.shown == {"asserted": one.shown["asserted"], "dose": "1", "side": "before"}
        assert (late.shown["side"], loud.shown["dose"]) == ("after", "4")
    assert [v.shown for v in mislead(seed=1).views(SAMPLES)] != [v.shown for v in first]


def test_the_order_of_the_options_does_not_matter() -> None:
    sample = question(
        "a", flat("p"), options=("a", "b", "c", "d"), gold=1, groups={"circular": "a"}
    )
    turned = replace(sample, uid="a/rotation1", options=("b", "c", "d", "a"), gold=0)
    one, other = mislead().views([sample, turned])
    assert one.text == other.text
    assert (
        sample.options[int(one.shown["asserted"])] == turned.options[int(other.shown["asserted"])]
    )


def test_the_right_answer_is_asserted() -> None:
    (view,) = Congruent(name="c", template=TEMPLATE, place="after").views(SAMPLES[2:3])
    assert view.text == "What is it? The answer is c."
    assert view.shown == {"asserted": "2", "side": "after"}


def test_shapes_have_words_of_their_own() -> None:
    samples = Shapes(law="balanced", kinds=["colour", "override", "size"], questions=8, seed=0)()
    for sample, view in zip(samples, mislead().views(samples), strict=True):
        said = sample.options[int(view.shown["asserted"])]
        if sample.tags["kind"] == "colour":
            thing = next(shape for shape in SHAPES if f"the {shape}" in sample.text)
            assert view.text == f"The caption says: the {thing} is {said}. {sample.text}"
        else:
            assert view.text == f"The answer is {said}. {sample.text}"


def test_an_irrelevant_sentence_is_about_as_long() -> None:
    condition = Irrelevant(
        name="i", template="It says that {answer} is right.", place="before", seed=0
    )
    views = condition.views(SAMPLES)
    said = [view.text.removesuffix(" What is it?") for view in views]
    assert set(said) == {each for each in SENTENCES if len(each.split()) == 6}
    assert all(view.shown == {"side": "before"} for view in views)


def test_who_cannot_be_misled() -> None:
    free = replace(question("free", flat("p"), options=()), gold=Accepted(answers=("two",)))
    single = question("single", flat("p"), options=("yes",))
    double = question("double", flat("p"), options=("yes", "yes"))
    drawn = question("drawn", flat("p"), options=("<image:1>", "none"))
    samples = [free, single, double, drawn]
    assert mislead().views(samples) == []
    congruent = Congruent(name="c", template=TEMPLATE, place="before")
    assert [view.uid for view in congruent.views(samples)] == ["single", "double"]


def test_braces_in_answers_and_templates_are_no_places() -> None:
    sample = question(
        "a", flat("p"), options=("{x}", "{answer}"), meta={"statement": "{it}: {answer}"}
    )
    (view,) = mislead().views([sample])
    assert view.text == "{it}: {answer} True?"


def test_other_words_or_a_lead_in() -> None:
    condition = Paraphrase(name="p", lead_in="Look.")
    plain = question("a", flat("p"))
    worded = question("b", flat("p"), meta={"paraphrase": "Is it true?"})
    assert [view.text for view in condition.views([plain, worded])] == [
        "Look. True?",
        "Is it true?",
    ]
    kinds = ["existence", "colour"]
    samples = Shapes(law="balanced", kinds=kinds, questions=20, seed=0)()
    stems = {
        frozenset({"Is there", "Does the"}),
        frozenset({"What colour", "Which colour"}),
    }
    for sample, view in zip(samples, condition.views(samples), strict=True):
        opening = {" ".join(each.text.split()[:2]) for each in (sample, view)}
        assert frozenset(opening) in stems


@pytest.mark.parametrize("words", [1, 16, 64, 300])
@pytest.mark.parametrize("draw", [1, 2])
def test_a_filler_has_an_exact_number_of_words(words: int, draw: int) -> None:
    said = filler(words, "after", draw).text()
    assert len(said.split()) == words
    assert said.endswith(".")
    assert not said.endswith("..")
    longer = filler(words + 40, "after", draw).text()
    assert longer.startswith(said[:-1])
    assert said != filler(words, "after", draw + 2).text()


def test_where_a_filler_stands() -> None:
    sample = question("a", flat("p"), flat("q"))
    said = filler(5, "after").text()
    texts = {
        place: filler(5, place).views([sample])[0].text
        for place in ("before_image", "between", "after")
    }
    assert texts == {
        "before_image": f"{said} <image:1><image:2>True?",
        "between": f"{said} True?",
        "after": f"True? {said}",
    }
    assert filler(0, "between").views([sample]) == [sample]


def test_fillers_and_texts_that_place_their_images() -> None:
    sample = question("a", flat("p"), flat("q"), text="In <image:2> it is?")
    (view,) = filler(5, "before_image").views([sample])
    assert view.text == f"{filler(5, 'after').text()} <image:1>In <image:2> it is?"
    assert filler(5, "between").views([sample]) == []


def test_a_filler_stands_before_the_context() -> None:
    sample = replace(question("a", flat("p")), context="A hint.")
    (view,) = filler(5, "before_image").views([sample])
    assert view.context == f"{filler(5, 'after').text()} <image:1>A hint."
    assert view.text == sample.text


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mislead(template="No."), r"template must contain \{answer\}, got 'No.'"),
        (lambda: mislead(place="left"), "place must be before or after, got 'left'"),
        (lambda: mislead(times=0), "times must be at least 1, got 0"),
        (
            lambda: filler(1, "left"),
            "place must be one of before_image, between, after, got 'left'",
        ),
        (lambda: filler(-1, "after"), "words must be 0 or above, got -1"),
    ],
)
def test_bad_settings(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
