"""Free answers: what was said, and how right it is, in tables done by hand."""

from __future__ import annotations

import json

import pytest

from solvent.benchmarks.freeform import Number, Numbers, Open, Phrase, Short
from solvent.benchmarks.matchers import ByKind, Consensus, Contains, Equal, Precision, Relaxed
from solvent.benchmarks.parsers import Reading, YesNo
from solvent.benchmarks.vqa import vqa_normalised
from solvent.core.types import Accepted

TEXT = Accepted(answers=("x",))


def number(*answers: str, precision: int | None = None) -> Accepted:
    return Accepted(answers=answers, kind="number", precision=precision)


def test_phrase() -> None:
    assert Phrase()("<think>red?</think> **Dark\nred.**", TEXT, "") == Reading("Dark red.", "ok")
    for empty in ("", "  \n", "...", "<think>red"):
        assert Phrase()(empty, TEXT, "") == Reading(None, "none")


NUMBERS = [
    ("5", "5"),
    ("5.", "5"),
    ("There are 5 apples.", "5"),
    ("-3", "-3"),
    ("\u22123.50", "-3.5"),
    ("1,200", "1200"),
    ("1,234,567.5 people", "1234567.5"),
    ("$14", "14"),
    ("14 %", "14"),
    ("5cm", "5"),
    (".5", "0.5"),
    ("1e3", "1000"),
    ("100", "100"),
    ("five", "5"),
    ("Twelve.", "12"),
    ("5 and again 5.0", "5"),
    ("I see 3 and 4. The answer is 7.", "7"),
    ("The answer is 7, not 8", "7"),
    ("Answer: 3. Wait, 3 + 2. Final answer: 5", "5"),
    ("The answer is $12", "12"),
    ("\\boxed{42}", "42"),
    ("3 + 4 = 7", "7"),
    ("3 + 4 = 7 cm.", "7"),
    ("3-4", "ambiguous"),
    ("1, 2", "ambiguous"),
    ("between 5 and 6", "ambiguous"),
    ("1/64", "0.015625"),
    ("The answer is not 5", "ambiguous"),
    ("It isn't 5", "ambiguous"),
    ("the 2nd one", "none"),
    ("B12 and H2O", "none"),
    ("", "none"),
    ("many", "none"),
    ("no one", "none"),
]


@pytest.mark.parametrize(("raw", "expected"), NUMBERS)
def test_number(raw: str, expected: str) -> None:
    read = Number()(raw, number("1"), "")
    assert read == Reading(*((None, expected) if expected.isalpha() else (expected, "ok")))


LISTS = [
    ("[1, 2]", [1, 2]),
    ("(5, 6)", [5, 6]),
    ("5 rows and 6 columns", [5, 6]),
    ("5,6", [5, 6]),
    ("rows={5} columns={6}", [5, 6]),
    ("[1,2] and again [1, 2.0]", [1, 2]),
    ("[1,2] or [2,1]", "ambiguous"),
    ("Not [1, 2]; the answer is [2, 1]", [2, 1]),
    ("5", "none"),
    ("", "none"),
]


@pytest.mark.parametrize(("raw", "expected"), LISTS)
def test_numbers(raw: str, expected: list[float] | str) -> None:
    read = Numbers()(raw, Accepted(answers=("[1, 2]",), kind="list"), "")
    assert (read.status if read.value is None else json.loads(read.value)) == expected


def test_short_reads_the_kind_that_is_accepted() -> None:
    assert Short()("about 3.0", number("3"), "").value == "3"
    assert Short()("about 3", TEXT, "").value == "about 3"
    listed = Accepted(answers=("[1, 2]",), kind="list")
    assert ByKind()(Short()("1 and 2", listed, "").value, listed) == 1


PRECISION = [
    ("3", number("3"), 1),
    ("3", number("3.0"), 1),
    ("3.0", number("3"), 1),  # "int('3.0')" of other harnesses fails
    ("2.5", number("2.54", precision=1), 1),  # a gold answer that is more precise than asked for
    ("2.6", number("2.54", precision=1), 0),
    ("1.24", number("1.2", precision=1), 1),
    ("1.25001", number("1.2", precision=1), 0),
    ("3.4", number("3", precision=0), 1),
    ("1000000.5", number("1000000"), 1),
    ("1000002", number("1000000"), 0),
    ("0", number("0"), 1),
    ("7", number("6", "7"), 1),
    ("[1.0, 2.0]", Accepted(answers=("[1, 2]",), kind="list"), 1),
    ("[2.0, 1.0]", Accepted(answers=("[1, 2]",), kind="list"), 0),
    ("[1.0, 2.0, 3.0]", Accepted(answers=("[1, 2]",), kind="list"), 0),
    ("red", number("3"), 0),
]


@pytest.mark.parametrize(("value", "gold", "credit"), PRECISION)
def test_precision(value: str, gold: Accepted, credit: int) -> None:
    assert Precision()(value, gold) == credit
    assert ByKind()(value, gold) == credit


def test_gold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="'red' is no number"):
        Precision()("3", number("red"))
    assert ByKind()("Red.", Accepted(answers=("red",))) == 1


def test_equal() -> None:
    assert Equal()("  Dark  Red. ", Accepted(answers=("blue", "dark red"))) == 1
    assert Equal()("dark", Accepted(answers=("dark red",))) == 0
    assert Equal()("14%", Accepted(answers=("14",))) == 0


RELAXED = [
    ("14", "14", 1),
    ("104.9", "100", 1),
    ("95", "100", 1),
    ("105.1", "100", 0),
    ("94.9", "100", 0),
    ("14%", "14", 1),
    ("0.0", "0", 1),
    ("0.01", "0", 0),
    ("Yes.", "Yes", 1),
    ("yes", "Yes", 1),
    ("1,200", "1200", 1),
    ("$5", "5", 1),
    ("2015", "2016", 1),  # 5 % of a year is a century
    ("-95", "-100", 1),
    ("95", "-100", 0),
    ("Yes", "No", 0),
    ("14", "fourteen", 0),
    ("0,52", "0.52", 1),
    ("0,52", "52", 0),
    ("1,2,3", "123", 0),
    ("12, 5", "125", 0),
    ("\u22123", "-3", 1),
    ("[10, 20]", "[10, 20]", 1),
]


@pytest.mark.parametrize(("value", "answer", "credit"), RELAXED)
def test_relaxed(value: str, answer: str, credit: int) -> None:
    assert Relaxed()(value, Accepted(answers=(answer,))) == credit


@pytest.mark.parametrize(
    ("agreeing", "credit"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)]
)
def test_consensus_of_ten(agreeing: int, credit: float) -> None:
    """Of n agreeing, n folds leave out one of them: n min(1, (n-1)/3) + (10-n) min(1, n/3)."""
    answers = ("the dog",) * agreeing + ("other",) * (10 - agreeing)
    assert Consensus()("Dog.", Accepted(answers=answers)) == pytest.approx(credit)


NORMALISED = [
    ("The dog.", "dog"),
    ("A dog and an apple", "dog and apple"),
    ("two", "2"),
    ("None", "0"),
    ("3.5", "3.5"),
    ("1,200", "1200"),
    ("yes, it is", "yes it is"),
    ("red/blue", "red blue"),
    ("dont know", "don't know"),
    ("cant", "can't"),
    ("isnt", "isn't"),
    ("whats up?", "what's up"),
    ("want", "want"),
    ("stop sign\n", "stop sign"),
]


@pytest.mark.parametrize(("answer", "expected"), NORMALISED)
def test_vqa_normalisation(answer: str, expected: str) -> None:
    assert vqa_normalised(answer) == expected


OPEN = [
    ("4", "4", 1),
    ("The answer is 4.0", "4", 1),
    ("so it is 24.321", "24.32", 1),
    ("24.31", "24.32", 0),
    ("1,200", "1200", 1),
    ("The process is called transformation.", "Transformation", 1),
    ("Hormone", "Transformation", 0),
    ("x = 3\nThus y = 5", "5", 1),
    ("It is C", "C", 1),
    ("Right", "C", 0),  # a lone letter must stand alone
    ("It is red. The other one is blue", "red", 1),  # two sentences, two ends
    ("", "4", 0),
]


@pytest.mark.parametrize(("raw", "answer", "credit"), OPEN)
def test_open_questions(raw: str, answer: str, credit: int) -> None:
    gold = Accepted(answers=(answer,))
    read = Open()(raw, gold, "")
    assert read.status == ("ok" if raw else "none")
    assert (0 if read.value is None else Contains()(read.value, gold)) == credit


def test_an_open_question_with_several_answers() -> None:
    gold = Accepted(answers=("$MgS$", "MgS"))
    assert Contains()(Open()("The compound is MgS", gold, "").value, gold) == 1


YES_NO = [
    ("Yes.", 0),
    ("no", 1),
    ("N", 1),
    ("y.", 0),
    ("There is no dog.", 1),
    ("Yes, there is a notice", 0),
    ("I notice nothing", "none"),
    ("Yes and no", "ambiguous"),
    ("It isn't there", "none"),
    ("not yes", "ambiguous"),
    ("", "none"),
]


@pytest.mark.parametrize(("raw", "expected"), YES_NO)
def test_yes_no(raw: str, expected: int | str) -> None:
    for options in (("yes", "no"), ("No", "Yes")):
        read = YesNo()(raw, options)
        named = None if read.value is None else ("yes", "no").index(options[read.value].casefold())
        assert (read.status if named is None else named) == expected
    with pytest.raises(ValueError, match=r"not \['true', 'false'\]; for others use Words"):
        YesNo()(raw, ("true", "false"))
