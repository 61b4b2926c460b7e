"""Answers to number questions as people and models write them: none is misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from solvent.benchmarks.freeform import Number, Numbers
from solvent.benchmarks.parsers import Reading
from solvent.core.types import Accepted

CORPUS = Path(__file__).parent.parent / "answers" / "numbers.jsonl"
PARSERS = {"Number": Number(), "Numbers": Numbers()}
UNREAD = ("none", "ambiguous")
PRECISION = 0.995
COVERAGE = 0.76


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def read(row: dict[str, Any]) -> Reading:
    kind = "number" if row["parser"] == "Number" else "list"
    gold = Accepted(answers=("1",), kind=kind)  # only the kind may play a role
    return PARSERS[row["parser"]](row["answer"], gold, row["question"])


def agrees(reading: Reading, row: dict[str, Any]) -> bool:
    """Whether what was read is the right value, or one that may be read, too."""
    said = json.loads(str(reading.value))
    return any(
        said == pytest.approx(wanted if isinstance(wanted, list) else float(wanted), rel=1e-9)
        for wanted in (row["right"], *row.get("acceptable", ()))
        if wanted not in UNREAD
    )


def test_the_corpus_is_large_and_has_no_row_twice(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 300
    assert len({(row["parser"], row["question"], row["answer"]) for row in rows}) == len(rows)


def test_what_is_read_is_right(rows: list[dict[str, Any]]) -> None:
    readings = [(row, reading) for row in rows if (reading := read(row)).status == "ok"]
    wrong = [(row, reading) for row, reading in readings if not agrees(reading, row)]
    assert len(wrong) <= (1 - PRECISION) * len(readings), wrong


def test_most_of_what_can_be_read_is(rows: list[dict[str, Any]]) -> None:
    readable = [row for row in rows if row["right"] not in UNREAD]
    unread = [row for row in readable if read(row).status != "ok"]
    assert len(unread) <= (1 - COVERAGE) * len(readable), unread


REPORTED = [  # what was once read as a number of the question, or not at all
    ("How much does Ruth pay for 4 pounds of silk?",
     "Find the total cost of 4 pounds of silk. Ruth pays $69.", "69"),
    ("How many bars exceed 4?", "There are two bars with values larger than 4.", "2"),
    ("How many shipments had exactly 56 boxes?",
     "The text does not say how many shipments had exactly 56 boxes.", "none"),
    ("How many cubes are there?", "The answer is three.", "3"),
    ("", "Find the total cost of 4 pounds of silk. Ruth pays $69.", "ambiguous"),  # not known
    ("", "There are two bars with values larger than 4.", "ambiguous"),
    ("What is 3 + 4?", "7", "7"),
    ("How many are there?", "1 or 2", "ambiguous"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "right"), REPORTED)
def test_a_number_of_the_question_does_not_win(question: str, answer: str, right: str) -> None:
    reading = Number()(answer, Accepted(answers=("1",), kind="number"), question)
    assert (reading.value or reading.status) == right


def test_a_long_loop_is_read_in_time_that_grows_with_its_length() -> None:
    """Models that repeat themselves reach any limit of tokens; huge powers are no numbers."""
    gold = Accepted(answers=("1",), kind="number")
    for answer in ("twenty " * 2000, "a = 3\n" * 2000, "10^" + "9" * 50, "1e999999", "9" * 5000):
        assert Number()(answer, gold, "How many cats are there?").status in ("ok", *UNREAD)
