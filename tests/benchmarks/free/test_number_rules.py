"""Numbers of the question, refusals and loops; `tests/tools/test_corpus.py` reads the corpus."""

from __future__ import annotations

import pytest

from solvent.benchmarks.freeform import Number
from solvent.core.types import Accepted

REPORTED = [  # what was once read as a number of the question, or not at all
    ("How much does Ruth pay for 4 pounds of silk?",
     "Find the total cost of 4 pounds of silk. Ruth pays $69.", "69"),
    ("How many bars exceed 4?", "There are two bars with values larger than 4.", "2"),
    ("How many shipments had exactly 56 boxes?",
     "The text does not say how many shipments had exactly 56 boxes.", "none"),
    ("How many cubes are there?", "The answer is three.", "3"),
    ("", "Find the total cost of 4 pounds of silk. Ruth pays $69.", "ambiguous"),  # not known
    ("", "There are two bars with values larger than 4.", "ambiguous"),
    ("How many objects are left?",
     "Say there are 10 objects in total, 5 of which are small. So 2 objects are left.", "2"),
    ("How many triangles?", "There are 2 triangles and 3 circles.", "ambiguous"),
    ("How many?", "I count 7 apples; no, wait, 8.", "ambiguous"),
    ("How many?", "1,2,3", "none"),
    ("What is the share?", "0,52", "0.52"),
    ("What is the ratio?", "3/4", "0.75"),
    ("What is x?", "\u22123", "-3"),
    ("How many trains are there?", "The train has 5 cars.", "ambiguous"),
    ("How many are there?", "1 or 2", "ambiguous"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "right"), REPORTED)
def test_a_number_of_the_question_does_not_win(question: str, answer: str, right: str) -> None:
    reading = Number()(answer, Accepted(answers=("1",), kind="number"), question)
    assert (reading.value or reading.status) == right


SCALED = [  # what was once read without its scale, or as what it leaves out
    ("有多少人?", "3万", "30000"),
    ("有多少人?", "3.5万人", "35000"),
    ("人口(万)是多少?", "3万", "3"),  # the question has the unit
    ("몇 명?", "10만", "100000"),
    ("重さは?", "3千克", "3"),  # kilograms
    ("有几只猫?", "七八只", "ambiguous"),
    ("Combien de personnes ?", "quatre-vingts", "ambiguous"),
    ("Combien ?", "deux cents", "ambiguous"),
    ("Wie viele Einwohner?", "2 Millionen", "ambiguous"),
    ("¿Cuántos?", "3 mil", "ambiguous"),
    ("How many dogs are black?", "None of the three dogs is black.", "ambiguous"),
    ("How many dogs are black?", "None of the three dogs is black, so 0.", "0"),
    ("How many dogs are black?", "All but 2 of the dogs are black.", "ambiguous"),
    ("How many people wear hats?", "Everyone except 2 people wears a hat.", "ambiguous"),
    ("How many legs?", "It has twice as many legs as 4", "ambiguous"),
]


@pytest.mark.parametrize(("question", "answer", "right"), SCALED)
def test_a_number_is_read_with_its_scale_or_not_at_all(
    question: str, answer: str, right: str
) -> None:
    reading = Number()(answer, Accepted(answers=("1",), kind="number"), question)
    assert (reading.value or reading.status) == right


def test_a_long_loop_is_read_in_time_that_grows_with_its_length() -> None:
    """Models that repeat themselves reach any limit of tokens; huge powers are no numbers."""
    gold = Accepted(answers=("1",), kind="number")
    for answer in ("twenty " * 2000, "a = 3\n" * 2000, "10^" + "9" * 50, "1e999999", "9" * 5000):
        assert Number()(answer, gold, "How many cats are there?").status in (
            "ok",
            "none",
            "ambiguous",
        )
