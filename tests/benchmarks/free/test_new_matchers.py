"""Matchers and readers of single sets, against tables done by hand."""

from __future__ import annotations

import pytest

from solvent.benchmarks.freeform import Braced, Short
from solvent.benchmarks.matchers import Anls, ByKind, SameWord, Transcribed, edits
from solvent.benchmarks.numbers import written_number
from solvent.core.types import Accepted, Kind

DISTANCES = [
    ("", "", 0),
    ("", "abc", 3),
    ("kitten", "sitting", 3),
    ("sunday", "saturday", 3),
    ("flaw", "lawn", 2),
    ("ab", "ba", 2),  # a swap is two edits
]


@pytest.mark.parametrize(("one", "other", "distance"), DISTANCES)
def test_edits(one: str, other: str, distance: int) -> None:
    assert edits(one, other) == edits(other, one) == distance


SIMILAR = [
    ("12 May 2020", ("12 may",), 1 - 5 / 11),
    ("kitten", ("sitting",), 1 - 3 / 7),
    ("kitten", ("dog", "KITTENS"), 1 - 1 / 7),  # the best of several
    ("abcd", ("abxy",), 0.5),  # one half still counts
    ("abc", ("axy",), 0),  # 1 - 2/3 is below
    ("a  b", ("a c",), 0.75),  # one edit; four characters before blanks are joined
    ("Yes", ("yes",), 1),
]


@pytest.mark.parametrize(("value", "answers", "credit"), SIMILAR)
def test_anls(value: str, answers: tuple[str, ...], credit: float) -> None:
    assert Anls()(value, Accepted(answers=answers)) == pytest.approx(credit)


TRANSCRIBED: list[tuple[str, tuple[str, ...], Kind, int]] = [
    ('The sign says "Main Street".', ("main street",), "text", 1),
    ("Main\nStreet", ("main street",), "text", 1),
    ("MainStreet", ("main street",), "text", 0),
    ("Main", ("side", "main"), "text", 1),
    ("It is x ^ 2 + Y", ("x^2+Y",), "formula", 1),
    ("x^2+y", ("x^2+Y",), "formula", 0),  # another variable
    ("\\frac { a } { b }", ("\\frac{a}{b}",), "formula", 1),
    ("\\frac { a } { b }", ("\\frac{a}{b}",), "text", 0),
]


@pytest.mark.parametrize(("value", "answers", "kind", "credit"), TRANSCRIBED)
def test_transcribed(value: str, answers: tuple[str, ...], kind: Kind, credit: int) -> None:
    assert Transcribed()(value, Accepted(answers=answers, kind=kind)) == credit


SAME = [
    ("Cats.", "cat", 1),
    ("a cherry", "cherries", 1),
    ("Four", "4", 1),
    ("boxes", "box", 1),
    ("houses", "house", 1),
    ("men", "man", 1),
    ("the movies", "movie", 1),
    ("bus", "buses", 1),
    ("glass", "glasses", 1),
    ("dark red", "red", 0),
    ("cat", "car", 0),
    ("three", "4", 0),
    ("kitten", "cat", 0),  # no synonyms
]


@pytest.mark.parametrize(("value", "answer", "credit"), SAME)
def test_same_word(value: str, answer: str, credit: int) -> None:
    assert SameWord()(value, Accepted(answers=(answer,))) == credit


BRACED: list[tuple[str, str, Kind, str]] = [
    ("{5}", "5", "number", "ok"),
    ("I count 3 of 10, so {3}", "3", "number", "ok"),  # and not 310
    ("{4} at first; now {5 legs}", "5", "number", "ok"),
    ("{five}", "5", "number", "ok"),
    ("{YES}", "yes", "yesno", "ok"),
    ("No, they are not parallel.", "no", "yesno", "ok"),
    ("True", "yes", "yesno", "ok"),
    ("0", "no", "yesno", "ok"),
    ("{}", "", "yesno", "none"),
    ("{Audi}", "audi", "text", "ok"),
]


@pytest.mark.parametrize(("raw", "answer", "kind", "status"), BRACED)
def test_braced(raw: str, answer: str, kind: Kind, status: str) -> None:
    gold = Accepted(answers=(answer,), kind=kind)
    read = Braced()(raw, gold, "")
    assert read.status == status
    assert read.value is None or ByKind()(str(read.value), gold) == 1


@pytest.mark.parametrize(
    ("said", "answer", "credit"),
    [
        ("Yes", "True", 1),
        ("1", "yes", 1),
        ("false", "No", 1),
        ("0", "1", 0),
        ("Yes, it is", "0", 0),
    ],
)
def test_truth_by_any_name(said: str, answer: str, credit: int) -> None:
    gold = Accepted(answers=(answer,), kind="yesno")
    assert ByKind()(str(Short()(said, gold, "").value), gold) == credit


WRITTEN = [
    ("1,200", "1200"),
    ("1,234,567.5", "1234567.5"),
    ("12,34,567", "1234567"),
    ("1.234,5", "1234.5"),
    ("1.234.567", "1234567"),
    ("1\u202f234", "1234"),
    ("0,52", "0.52"),
    ("0,520", "0.52"),
    ("1.200", "1.2"),
    ("\u22123", "-3"),
    ("2e3", "2000"),
    ("1,2,3", None),
    ("12, 5", None),
    ("nan", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "number"), WRITTEN)
def test_numbers_as_they_are_written(text: str, number: str | None) -> None:
    read = written_number(text)
    assert (None if read is None else float(read)) == (None if number is None else float(number))
