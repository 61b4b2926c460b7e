"""Answers in a second file, contexts in stages, fields that a column picks, labels of options."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from solvent.benchmarks.sample import value_of
from solvent.benchmarks.tables.joined import JoinedFiles
from solvent.benchmarks.transforms import kind_of, member, unlabelled
from tests.benchmarks.sets.set_rows_folders import CONTEXT, FEW_FOLDERS

Composed = Callable[..., DictConfig]
Rows = list[Mapping[str, Any]]


def joined(folder: Path, first: Rows, second: Rows) -> JoinedFiles:
    for name, rows in (("first", first), ("second", second)):
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return JoinedFiles(
        root=str(folder),
        file="first.json",
        joined="second.json",
        key="id",
        format="array",
        obtain="clone it",
        unroll={},
        sample=None,
    )


def test_rows_take_the_columns_of_their_row_of_the_other_table(tmp_path: Path) -> None:
    source = joined(
        tmp_path,
        [{"id": 2, "asked": "b"}, {"id": 1, "asked": "a"}],
        [{"id": 1, "truth": "no"}, {"id": 2, "truth": "yes"}, {"id": 3, "truth": "yes"}],
    )
    assert source.rows() == [
        {"id": 2, "asked": "b", "truth": "yes"},
        {"id": 1, "asked": "a", "truth": "no"},
    ]
    assert [file.name for file in source.files()] == ["first.json", "second.json"]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([{"id": 1}], [{"id": 2}], "first.json has a row of which 'id' is 1, and second.json has"),
        ([{"id": 1}], [{"id": 1}, {"id": 1}], "second.json has two rows of which 'id' is 1"),
        ([{"id": 1}], [{"ids": 1}], "second.json: a row has no column 'id'; did you mean 'ids'"),
        ([{"id": 1, "a": 0}], [{"id": 1, "a": 0}], r"both have the columns \['a'\]"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    first: Rows, second: Rows, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        joined(tmp_path, first, second).rows()


def test_a_missing_second_table_says_what_to_do(tmp_path: Path) -> None:
    source = joined(tmp_path, [{"id": 1}], [{"id": 1}])
    (tmp_path / "second.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"second\.json is missing: .*, or clone it\.$"):
        source()


def test_a_context_without_a_column_is_refused(composed: Composed, tmp_path: Path) -> None:
    FEW_FOLDERS["vlind"].write(tmp_path)
    short = {name: value for name, value in CONTEXT.items() if name != "best_img_id"}
    (tmp_path / "data.json").write_text(json.dumps([short]))
    source = instantiate(
        composed("benchmark=vlind", f"benchmark.source.root={tmp_path}").benchmark.source
    )
    with pytest.raises(ValueError, match="no column 'best_img_id'; known: aggregated"):
        source()


def test_fewer_votes_make_more_good_pictures(composed: Composed, tmp_path: Path) -> None:
    FEW_FOLDERS["vlind"].write(tmp_path)
    settings = [f"benchmark.source.root={tmp_path}", "benchmark.source.votes=1"]
    source = instantiate(composed("benchmark=vlind", *settings).benchmark.source)
    numbers = [row["number"] for row in source.rows() if row["stage"] == "prior"]
    assert numbers == [*"2", *"2", *"3", *"3", "10", "10", "10", "10"]  # 8's only one at last


def test_a_column_picks_a_field() -> None:
    field = {"by": "kind", "fields": {"open": None, "*": {"from": "options"}}}
    assert value_of(field, {"kind": "choice", "options": ["a", "b"]}) == ["a", "b"]
    assert value_of(field, {"kind": "open", "options": ["a", "b"]}) is None
    with pytest.raises(ValueError, match="no column 'kind'"):
        value_of(field, {"kinds": "open"})
    with pytest.raises(ValueError, match="'open' is in no line of the table"):
        value_of({"by": "kind", "fields": {"choice": "{a}"}}, {"kind": "open"})


def test_what_is_in_no_list_has_a_name_where_one_is_given() -> None:
    of = {"near": ["by", "close to"], "far": ["far from"]}
    assert [member(value, of, other="else") for value in ("by", "far from", "in")] == [
        "near",
        "far",
        "else",
    ]
    with pytest.raises(ValueError, match="'in' is in none of the lists"):
        member("in", of)


def test_what_is_right_has_a_kind() -> None:
    right = {"Yes": "yesno", " no": "yesno", "12": "number", "-0.5": "number", 3: "number"}
    assert {value: kind_of(value) for value in right} == right
    assert [kind_of(text) for text in ("not", "3 legs", "Audi")] == ["text"] * 3


def test_labels_of_options_are_taken_off() -> None:
    assert unlabelled(["(A) Red", "B. (B) Blue ", "C: D"]) == ["Red", "(B) Blue", "D"]
    with pytest.raises(ValueError, match=r"'\(A\) Blue' does not begin with its label, \(B\)"):
        unlabelled(["(A) Red", "(A) Blue"])
    with pytest.raises(ValueError, match="does not begin with its label"):
        unlabelled(["A cat"])
