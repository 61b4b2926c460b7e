"""Rows become samples, and rows that cannot are refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from solvent.benchmarks.images import FileImage
from solvent.benchmarks.sample import Columns
from solvent.benchmarks.source import LocalFiles, read_rows, unrolled

ROW = {"id": "12-3", "q": " Which? ", "A": "cat", "B": "dog", "C": None, "key": "(b)", "n": 2}


def columns(**changes: Any) -> Columns:
    usual = {
        "uid": "t/{id}",
        "images": ["{id}.png"],
        "text": "{q}",
        "context": None,
        "options": {"from": ["A", "B", "C"]},
        "gold": {"from": "key", "as": "letter"},
        "groups": {"item": {"from": "id", "as": "part", "separator": "-", "index": 0}},
        "tags": {"size": "{n}"},
        "meta": {"n": {"from": "n"}},
    }
    return Columns(**(usual | changes))


def build(mapping: Columns, row: dict[str, Any]) -> Any:
    return mapping.build(row, lambda value: FileImage(root=Path("/data"), path=value))


def test_a_row_becomes_a_sample() -> None:
    sample = build(columns(), ROW)
    assert (sample.uid, sample.text, sample.context) == ("t/12-3", "Which?", None)
    assert (sample.options, sample.gold) == (("cat", "dog"), 1)
    assert sample.images == (FileImage(root=Path("/data"), path="12-3.png"),)
    assert (sample.groups, sample.tags, sample.meta) == ({"item": "12"}, {"size": "2"}, {"n": 2})


@pytest.mark.parametrize(
    ("changes", "row", "options", "gold"),
    [
        ({"gold": {"from": "key", "as": "option"}}, {"B": "Dog", "key": " dOG"}, ("cat", "Dog"), 1),
        ({"gold": {"from": "n", "as": "index", "first": 1}}, {}, ("cat", "dog"), 1),
        ({"gold": {"from": "n", "as": "index", "first": 0}}, {"n": "0"}, ("cat", "dog"), 0),
        (
            {"options": {"from": "list", "as": "literal_list"}},
            {"list": "['x, y', 'z']"},
            ("x, y", "z"),
            1,
        ),
        ({"options": {"from": "list"}}, {"list": ["p", "q", "r"]}, ("p", "q", "r"), 1),
        ({"options": ["yes", "no"]}, {}, ("yes", "no"), 1),
    ],
)
def test_options_and_gold(
    changes: dict[str, Any], row: dict[str, Any], options: tuple[str, ...], gold: int
) -> None:
    sample = build(columns(**changes), ROW | row)
    assert (sample.options, sample.gold) == (options, gold)


def test_context_may_be_absent_in_a_row() -> None:
    mapping = columns(context={"from": "hint"})
    assert build(mapping, ROW | {"hint": "look"}).context == "look"
    for hint in (None, "", "  ", float("nan")):
        assert build(mapping, ROW | {"hint": hint}).context is None


@pytest.mark.parametrize(
    ("changes", "row", "message"),
    [
        ({"text": "{qq}"}, {}, r"t/12-3: the row has no column 'qq'; did you mean 'q'"),
        ({}, {"q": None}, r"t/12-3: column 'q' is empty"),
        ({}, {"key": "C"}, r"gold letter 'C' names none of 2 options"),
        ({"gold": {"from": "key", "as": "option"}}, {"key": "cow"}, r"'cow' is 0 of the options"),
        ({"gold": {"from": "n", "as": "index", "first": 0}}, {}, r"number 2 names none"),
        ({"gold": {"from": "n", "as": "letters"}}, {}, r"transform 'letters'; did you mean"),
        ({"options": [True, False]}, {}, r"put them in quotes"),
        ({}, {"A": None}, r"an inner one is empty: letters would shift"),
        ({"options": {"from": "q", "as": "literal_list"}}, {}, r"not a list written as text"),
        ({"context": {"column": "q"}}, {}, r"write \{from: column\}"),
        (
            {"groups": {"item": {"from": "id", "as": "part", "separator": "-", "index": 2}}},
            {},
            r"has no part 2",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    changes: dict[str, Any], row: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(columns(**changes), ROW | row)


def test_tables_of_both_layouts(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"a": "line\u2028separator"}]
    lines, array = tmp_path / "lines.json", tmp_path / "array.json"
    lines.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    array.write_text(json.dumps(rows), encoding="utf-8")
    assert read_rows(lines, "lines") == rows == read_rows(array, "array")
    lines.write_text('{"a": 1}\n{"a": ')
    with pytest.raises(ValueError, match=r"lines\.json, line 2: not valid JSON"):
        read_rows(lines, "lines")
    with pytest.raises(ValueError, match="row 1 is no JSON object"):
        read_rows(array, "lines")
    with pytest.raises(ValueError, match="known: lines, array"):
        read_rows(array, "table")


def test_unrolling_keeps_the_order_of_the_rows() -> None:
    rows = unrolled([{"id": 1}, {"id": 2}], {"k": [0, 1], "s": ["x", "y"]})
    assert [(row["id"], row["k"], row["s"]) for row in rows] == [
        (i, k, s) for i in (1, 2) for k in (0, 1) for s in "xy"
    ]
    assert unrolled([{"id": 1}], {}) == [{"id": 1}]
    with pytest.raises(ValueError, match="overwrite the column 'id'"):
        unrolled([{"id": 1}], {"id": [2]})


def test_missing_data_say_what_to_do(tmp_path: Path) -> None:
    def source(root: Path) -> LocalFiles:
        return LocalFiles(
            root=str(root),
            file="t.json",
            format="array",
            obtain="clone https://example.org/data",
            unroll={},
            sample=columns(images=["pictures/{id}.png"]),
        )

    remedy = r"is missing: .*SOLVENT_DATA.*, or clone https://example\.org/data\.$"
    with pytest.raises(FileNotFoundError, match=rf"absent {remedy}"):
        source(tmp_path / "absent")()
    with pytest.raises(FileNotFoundError, match=rf"t\.json {remedy}"):
        source(tmp_path)()
    (tmp_path / "t.json").write_text(json.dumps([ROW]))
    with pytest.raises(FileNotFoundError, match=rf"pictures {remedy}"):
        source(tmp_path)()
    (tmp_path / "pictures").mkdir()
    assert [sample.uid for sample in source(tmp_path)()] == ["t/12-3"]


def test_a_letter_without_options_is_not_taken_for_a_free_answer() -> None:
    spec = {
        "text": {"from": "q", "as": "before_options", "style": "lines"},
        "options": {"from": "q", "as": "embedded_options", "style": "lines"},
        "gold": {"from": "key", "as": "letter", "free": "text"},
    }
    asked = {**ROW, "q": "Which?\nA. cat\nB. dog"}
    assert build(columns(**spec), asked).gold == 1
    assert build(columns(**spec), {**ROW, "key": "three"}).gold.answers == ("three",)
    with pytest.raises(ValueError, match="the letter 'B', but no labelled options were found"):
        build(columns(**spec), {**asked, "q": "Which? A- cat B- dog", "key": "B"})
