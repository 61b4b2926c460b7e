"""The corpus of answers is read with the precision and the coverage that docs/reading.md states."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from solvent.benchmarks.prompts import letters
from tools.corpus import OPTIONS, PAGE, Answer, answers, counted, families, page, tables

PRECISION = 0.995
COVERAGE = {"options": 0.95, "free": 0.75}  # a floor; the page has the figures


@pytest.fixture(scope="module")
def corpus() -> list[Answer]:
    return answers()


@pytest.mark.parametrize("family", COVERAGE)
def test_what_is_read_is_right(corpus: list[Answer], family: str) -> None:
    rows = families(corpus)[family]
    misread = [(row.answer, row.right, row.reading) for row in rows if row.read > row.well_read]
    counts = counted(rows)
    assert counts.precision >= PRECISION, misread
    assert counts.coverage >= COVERAGE[family]


def test_what_was_kept_apart_is_read_as_well(corpus: list[Answer]) -> None:
    """No rule was changed for these: another way of being right would show here."""
    counts = counted(row for row in corpus if row.file == "held_out")
    assert counts.answers >= 200
    assert counts.precision >= PRECISION
    assert counts.coverage >= 0.9


def test_the_corpus_is_what_it_is_meant_to_be(corpus: list[Answer]) -> None:
    """Enough of every kind, readings that exist, no answer twice."""
    choices = families(corpus)["options"]
    assert len(choices) >= 450
    assert {row.parser for row in choices} == set(OPTIONS)
    assert min(Counter(row.kind for row in choices).values()) >= 8
    for row in choices:
        for value in (row.right, *row.acceptable):
            assert value in ("ambiguous", "none", *range(len(row.options))), row
        assert len(letters(len(row.options))) == len(row.options)
    keys = [(row.parser, tuple(row.options), row.question, row.answer) for row in choices]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_the_page_has_these_tables(corpus: list[Answer]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = {name: tables(rows) for name, rows in families(corpus).items()}
    assert text == page(text, blocks), "run `python -m tools.corpus --write` and commit it"


def test_a_misreading_and_a_refusal_are_told_apart() -> None:
    """By hand: of three answers that say B one is read, one is not, and one is read as C."""
    common = {"file": "x", "parser": "Letter", "kind": "k", "language": "en"}
    rows = [
        Answer(**common, options=["cat", "green", "red"], answer=answer, right=right)
        for answer, right in (("B", 1), ("no idea", 1), ("C", 1), ("D", "none"))
    ]
    counts = counted(rows)
    assert (counts.answers, counts.saying, counts.read, counts.well) == (4, 3, 2, 1)
    assert (counts.precision, counts.coverage) == (1 / 2, 1 / 3)
    assert "| `x`, `Letter` | 4 | 3 | 2 | 50.0 [9.5, 90.5] | 33.3 [6.1, 79.2] |" in tables(rows)


def test_a_page_without_a_place_and_a_line_without_an_answer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no place for the tables of 'options'"):
        page("# A page\n", {"options": "| x |"})
    (tmp_path / "a.jsonl").write_text('{"parser": "Letter"}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1, is no answer"):
        answers(tmp_path)
