"""Reading answers: what is meant is found, and nothing else is."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from solvent.benchmarks.parsers import Letter, Reading, Words, YesNo
from solvent.core import paths

OPTIONS = ("cat", "green", "red", "blue")

# The conformance table: the answer, and the letter it means (None: nothing that can be read).
CONFORMANCE = [
    ("B", "B"),
    ("B.", "B"),
    ("(B)", "B"),
    ("**B**", "B"),
    ("b", "B"),
    ("Answer: B", "B"),
    ("Option C is correct.", "C"),
    ("The answer is (B)", "B"),
    ("A cat is shown; the answer is B", "B"),
    ("The answer is B because A is wrong", "B"),
    ("A person is on the left. (B)", "B"),
    ("Based on the image, C", "C"),
    ("The answer is blue", "D"),
    ("The correct answer is cat", "A"),
    ("I see. Both are red", "C"),
    ("Cannot tell", None),
    ("The pizza is closed", None),
    ("None of these", None),
    ("", None),
]

ADVERSARIAL = [
    ("E", "none"),  # no such option
    ("   \n", "none"),
    ("<think>It may be A or (C).</think>\nB", "B"),
    ("so it is (A)... no.</think> (D)", "D"),
    ("<think>The answer is A", "none"),  # the reasoning never ended: there is no answer
    ("Answer: **C**", "C"),
    ("The answer is: (c)", "C"),
    ("answer is a cat", "A"),  # by the option's text, not by the article
    ("Answer: A red ball", "C"),
    ("Answer: A green one is there, so B", "B"),
    ("A dark thing", "none"),
    ("A is correct", "A"),
    ("A", "A"),
    ("a", "A"),
    ("(A) or (B)", "ambiguous"),
    ("A. cat\nB. green\nC. red\nD. blue", "ambiguous"),
    ("B. green", "B"),
    ("B: the grass", "B"),
    ("It is red or blue", "ambiguous"),
    ("It is not B", "none"),
    ("The answer is not A but D", "D"),
    ("Option C is correct; option A is wrong", "C"),
    ("It is not red", "ambiguous"),
    ("An X-ray of a T-shirt at 5 A.M.", "none"),
    ("D-shaped", "none"),
    ("redder, greenish, bluecat", "none"),
    ("blue-green", "none"),
    ("RED!", "C"),
    ("\u201cB\u201d", "B"),
    ("\\boxed{B}", "B"),
    ("Answer: `C`, better than B", "C"),
    ("B) since A looks odd", "B"),
    ("\uff22", "B"),  # full width
    ("function f(a) of the cats", "none"),
]


@pytest.mark.parametrize(("raw", "meant"), CONFORMANCE)
def test_letter_reads_the_conformance_table(raw: str, meant: str | None) -> None:
    expected = (None, "none") if meant is None else ("ABCD".index(meant), "ok")
    assert Letter()(raw, OPTIONS) == Reading(*expected)


@pytest.mark.parametrize(("raw", "meant"), ADVERSARIAL)
def test_letter_reads_what_is_meant_or_nothing(raw: str, meant: str) -> None:
    expected = ("ABCD".index(meant), "ok") if len(meant) == 1 else (None, meant)
    assert Letter()(raw, OPTIONS) == Reading(*expected)


def test_letter_knows_the_pronoun() -> None:
    nine = tuple(f"thing {number}" for number in range(9))
    assert Letter()("I think so", nine) == Reading(None, "none")
    assert Letter()("The answer I choose is B", nine) == Reading(1, "ok")
    assert Letter()("I", nine) == Reading(8, "ok")


WORDS = [
    ("true", ("true", "false"), 0),
    ("False.", ("true", "false"), 1),
    ("**True**", ("true", "false"), 0),
    ("The statement is false for this image.", ("true", "false"), 1),
    ("true or false? I say true", ("true", "false"), "ambiguous"),
    ("This is not true.", ("true", "false"), "ambiguous"),
    ("That isn't entirely true", ("true", "false"), "ambiguous"),
    ("That isn\u2019t true", ("true", "false"), "ambiguous"),
    ("I do not care: true", ("true", "false"), 0),
    ("untrue", ("true", "false"), "none"),
    ("T", ("true", "false"), "none"),
    ("truefalse", ("true", "false"), "none"),
    ("", ("true", "false"), "none"),
    ("?!", ("true", "false"), "none"),
    ("Yes, there is", ("yes", "no"), 0),
    ("There is no dog", ("yes", "no"), 1),
    ("I know nothing", ("yes", "no"), "none"),
    ("Yes and no", ("yes", "no"), "ambiguous"),
    ("<think>no, wait</think>yes", ("yes", "no"), 0),
    ("dark red", ("red", "dark red"), 1),
    ("it is dark red", ("red", "dark red"), 1),
    ("dark red, or red", ("red", "dark red"), "ambiguous"),
    ("1.5 metres", ("1", "1.5", "5"), 1),
    ("1,200 people", ("1", "200", "1,200"), 2),
    ("the numbers 1,2", ("1", "2"), "ambiguous"),
    ("2*3", ("23", "6"), "none"),
    ("Brunelleschi's style", ("Brunelleschi", "Bernini"), 0),
    ("a book cover", ("An icon", "A book cover"), 1),
    ("<", ("<", ">"), 0),
    ("cat", ("Cat", "cat"), "ambiguous"),  # two options that read the same
    ("-1", ("1", "-1"), 1),
    ("x = \u22121", ("1", "-1"), 1),  # the minus sign itself, not a hyphen
    ("The result is \u20131.", ("1", "\u22121"), 1),
    ("minus 1", ("1", "2"), "none"),
    ("2\u20133", ("2", "3", "2-3"), 2),
    ("x \u2212 3", ("3", "x - 3"), 1),
    ("negative three", ("3", "4"), "none"),
    ("Option 3", ("2", "3", "4"), "none"),  # the third, or the text?
    ("Option 3", ("Option 3", "Option 4"), 0),
    ("The text claims it is a dog, but the image shows a cat.", ("cat", "dog"), "ambiguous"),
    ("According to the caption it is a dog. The image shows a cat.", ("cat", "dog"), "ambiguous"),
    ("The caption says it's a dog. But it is a cat.", ("cat", "dog"), 0),
    ("I disagree that it's a dog.", ("cat", "dog"), "ambiguous"),
    ("There is no difference between the two lines", ("yes", "no"), "none"),  # are they equal?
    ("There is no error: they match", ("yes", "no"), "none"),
    ("I do not think the answer is no.", ("yes", "no"), "none"),
    ("No puedo ver la imagen.", ("yes", "no"), "none"),
    ("No lo s\u00e9.", ("yes", "no"), "none"),
    ("No hay ning\u00fan perro.", ("yes", "no"), 1),
]


@pytest.mark.parametrize(("raw", "options", "expected"), WORDS)
def test_words(raw: str, options: tuple[str, ...], expected: int | str) -> None:
    read = (expected, "ok") if isinstance(expected, int) else (None, expected)
    assert Words()(raw, options) == Reading(*read)


@pytest.mark.parametrize(
    ("raw", "options", "expected"),
    [
        ("The hint says the answer is B. But the image shows A.", OPTIONS, "none"),
        ("The passage says B is correct, but I see A.", OPTIONS, "none"),
        ("Answer: B (red)", OPTIONS, "ambiguous"),  # the letter of one, the text of another
        ("Answer: B (green)", OPTIONS, 1),
        ("A. No", ("Yes", "No"), "ambiguous"),
        ("(B) No.", ("Yes", "No"), 1),
        ("The answer is \u22123.", ("3", "-3", "0"), 1),
    ],
)
def test_letter_does_not_take_a_side(
    raw: str, options: tuple[str, ...], expected: int | str
) -> None:
    read = (expected, "ok") if isinstance(expected, int) else (None, expected)
    assert Letter()(raw, options) == Reading(*read)


REPORTED = [  # misread or missed by earlier rules, or by those of peers
    ("The correct answer is B. Option A shows a truck and option C a boat.", "B"),
    ("N/A", "none"),
    ("A: cat, B: green, C: red, D: blue. I choose D", "D"),
    ("(Choice A) is most similar to it, whereas (Choice B) is not.", "A"),
    ("Behind it is red paint, so B", "B"),
    ("the answer is b", "B"),
    ("答案是B", "B"),
    ("선택 B", "B"),
    ("答えはB", "B"),
    ("ANSWER: A ... actually, ANSWER: B", "B"),
    ("A is correct. B is correct.", "ambiguous"),
    ("Solution A is often tried first in this area.", "none"),
    ("Vitamin C", "none"),
    ("The answer is B. Wait, that is not right.", "ambiguous"),
    ("If it were so, the answer would be A.", "none"),
    ("I cannot see what is red there.", "none"),
    ("It is hard to see, but the car is red.", "C"),
]


@pytest.mark.parametrize(("raw", "meant"), REPORTED)
def test_letter_reads_what_was_misread(raw: str, meant: str) -> None:
    expected = ("ABCD".index(meant), "ok") if len(meant) == 1 else (None, meant)
    assert Letter()(raw, OPTIONS) == Reading(*expected)


def test_a_word_of_a_reason_is_no_answer() -> None:
    places = ("left", "right", "behind", "in front")
    assert Letter()("The dog is behind the car, so B", places) == Reading(1, "ok")
    assert Words()("Right. Nothing is left of it.", places) == Reading(1, "ok")
    assert Words()("That is right.", places) == Reading(None, "none")


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("Yes, there is a man with no hat.", "yes"),
        ("Yes, there is no doubt about it.", "yes"),
        ("The answer is yes, not no.", "yes"),
        ("There is no dog; it is a cat.", "no"),
        ("A man with no hat stands there.", None),
        ("There is no picture attached.", None),
        ("Yes, there is no dog in the picture.", None),
        ("Nein, da ist kein Hund.", "no"),
    ],
)
def test_a_no_that_belongs_to_a_noun_denies_nothing(raw: str, meant: str | None) -> None:
    reading = YesNo()(raw, ("No", "Yes"))
    assert reading.value == (None if meant is None else ("no", "yes").index(meant))


def test_a_long_answer_takes_no_long_time() -> None:
    """Its time grows with its length: what is looked at around a place is bounded."""
    text = "The car is left of a tree and option A is near the word red or (B). " * 40
    assert Letter()(text, OPTIONS).status == "ambiguous"
    assert Letter()(f"{text}\nThe answer is D.", OPTIONS) == Reading(3, "ok")


@pytest.mark.parametrize(
    ("model", "right", "unreadable"), [("llava1.5_13b", 327, 1), ("qwen_vl", 304, 80)]
)
def test_letter_on_published_answers_to_mmmu(model: str, right: int, unreadable: int) -> None:
    """847 answers of two models; the official parser, which guesses where it cannot read, has 328
    and 319 (16 of them guessed).

    Looked through by hand: 11 of Qwen-VL's were read by an earlier rule and are not now, 6 by a
    capital of a formula or a title, 5 that name several options or suppose one; 4 were right by
    luck.
    """
    folder = paths.resolve(os.environ.get("SOLVENT_DATA", "../shared/data")) / "mmmu_outputs"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    files = sorted(Path(folder, "example_outputs", model).glob("*/output.json"))
    rows = [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]
    rows = [row for row in rows if row["question_type"] == "multiple-choice"]
    read = [Letter()(row["response"], list(row["index2ans"].values())) for row in rows]
    correct = sum(
        each.value is not None and row["all_choices"][each.value] == row["answer"]
        for row, each in zip(rows, read, strict=True)
    )
    statuses = Counter(each.status for each in read)
    assert len(rows) == 847
    assert (correct, 847 - statuses["ok"]) == (right, unreadable)
