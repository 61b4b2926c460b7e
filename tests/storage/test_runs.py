"""provenance.json says which runs answered a cell, and unlike ones are told."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from solvent.storage.folder import CellFolder
from solvent.storage.runs import begin, commit, end, runs, unlike
from tests.reports.test_results import ROW

FACTS: dict[str, Any] = {
    "code": {"commit": "a" * 40, "uncommitted_changes": False, "changes": None},
    "packages": {"torch": "2.13.0", "numpy": "2.4"},
    "python": "3.11",
    "hardware": {"cpu": "x86_64", "threads": 2, "gpus": []},
    "model": {"dtype": "float32"},
    "data": {},
}
OTHER_CODE = {"code": {"commit": "b" * 40, "uncommitted_changes": True, "changes": "1234"}}
TABLE = {"config": "default", "rows": 5, "commit": "c" * 40, "fingerprint": "f"}


def answer(folder: CellFolder, uid: str) -> None:
    folder.append([replace(ROW, uid=uid)], 1.0, 0.5, 8)


def commits(folder: CellFolder) -> list[str]:
    return [run["code"]["commit"][0] for run in runs(folder)]


def test_an_entry_for_every_run_that_answered_something(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    begin(folder, FACTS)  # was killed while it loaded
    begin(folder, FACTS | OTHER_CODE)
    answer(folder, "a")
    assert commits(folder) == ["b"]
    begin(folder, FACTS)
    begin(folder, FACTS)
    folder.condition("swap").path.mkdir(parents=True)
    answer(folder.condition("swap"), "a")
    assert commits(folder) == ["b", "a"]
    assert [run["answers_before"] for run in runs(folder)] == [0, 1]
    begin(folder, FACTS | OTHER_CODE)  # scores only
    end(folder)
    assert commits(folder) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (OTHER_CODE, "code (aaaaaaaaaa, bbbbbbbbbb with uncommitted changes)"),
        (
            {"code": FACTS["code"] | {"uncommitted_changes": True}},
            "code (aaaaaaaaaa, aaaaaaaaaa w",
        ),
        ({"packages": {"torch": "2.14", "numpy": "2.4"}}, "packages (torch 2.13.0 and 2.14)"),
        ({"python": "3.12"}, "python (3.11, 3.12)"),
        ({"hardware": FACTS["hardware"] | {"threads": 4}}, "hardware (threads 2 and 4)"),
        ({"hardware": FACTS["hardware"] | {"gpus": ["H100"]}}, "hardware (gpus [] and ['H100'])"),
    ],
)
def test_a_run_that_goes_on_elsewhere_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any], told: str
) -> None:
    folder = CellFolder(tmp_path)
    begin(folder, FACTS)
    answer(folder, "a")
    with caplog.at_level(logging.WARNING, logger="solvent"):
        begin(folder, FACTS | {"slurm_job": "7"})
        assert not caplog.messages
        begin(folder, FACTS | change)
    assert told in caplog.text
    assert unlike(FACTS, FACTS | change) == [caplog.text.split("other ")[1].split(" than")[0]]


def test_never_in_another_precision(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    begin(folder, FACTS)
    answer(folder, "a")
    with pytest.raises(ValueError, match="begun in float32 and would go on in bfloat16"):
        begin(folder, FACTS | {"model": {"dtype": "bfloat16"}})
    assert commits(folder) == ["a"]


@pytest.mark.parametrize("field", ["rows", "commit", "fingerprint"])
def test_never_on_other_rows_of_the_hub(tmp_path: Path, field: str) -> None:
    folder = CellFolder(tmp_path)
    begin(folder, FACTS | {"data": {"tables": [TABLE]}})
    answer(folder, "a")
    begin(folder, FACTS | {"data": {"tables": [TABLE | {"sha256": None}]}})
    changed = TABLE | {field: 6 if field == "rows" else "d" * 40}
    with pytest.raises(ValueError, match="was begun on other rows"):
        begin(folder, FACTS | {"data": {"tables": [changed]}})


def test_a_record_of_before_there_were_several_is_read(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"code": {"commit": null}}')
    assert runs(CellFolder(tmp_path)) == [{"code": {"commit": None}}]
    assert commit({"commit": None}) == "no commit"
