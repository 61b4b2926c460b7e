"""Frames of finished cells say what their files say, and name what they leave out."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from solvent import results
from solvent.core.types import Accepted
from solvent.storage.folder import CellFolder
from tests.conftest import ROOT
from tests.reports.test_results import ROW
from tests.storage.test_damage import cell, run_tested

LABELS = ("model", "benchmark", "prompt", "compat", "intervention", "variant", "layers", "seed",
          "setting")  # fmt: skip

pytestmark = pytest.mark.xdist_group("frames")  # all read the same two cells


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of one cell each, the second with a modality-usage test."""
    place = tmp_path_factory.mktemp("frames")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).touch())
        run_tested(place)
        cell(place, "intervention=reweight", "intervention.mass.factor=0.25", "seed=3")
    return place


@pytest.fixture
def copy(output: Path, tmp_path: Path) -> Path:
    shutil.copytree(output, tmp_path / "copy")
    return tmp_path / "copy"


def folders(output: Path) -> list[Path]:
    return sorted(path.parent for path in output.glob("*/*/*/*/DONE"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def missing_as_none(value: Any) -> Any:
    return None if not isinstance(value, list) and pd.isna(value) else value


def test_a_line_per_cell_says_what_its_metrics_say(output: Path) -> None:
    frame = results.cells(output)
    assert list(frame.folder) == [str(path) for path in folders(output)]
    for row in frame.to_dict("records"):
        path = Path(row["folder"])
        metrics = json.loads((path / "metrics.json").read_text())
        timing = json.loads((path / "timing.json").read_text())
        for name in (*LABELS, "condition", "chance", "errors", "unparsed", "guessed"):
            assert missing_as_none(row[name]) == metrics[name], name
        for name in ("value", "low", "high", "n"):
            assert row[f"score_{name}"] == metrics["score"][name]
        for name in ("visual_mass", "visual_entropy_nats"):
            for when in ("before", "after"):
                assert row[f"{name}_{when}"] == metrics[name][when]
        for name in ("min", "mean", "max"):
            assert row[f"image_tokens_{name}"] == metrics["image_tokens"][name]
        assert row["rows"] == metrics["score"]["rows"]
        assert row["entries_edited"] == metrics["cells_edited"]
        assert row["seconds"] == timing["seconds"]
    plain, tested = frame.to_dict("records")
    (found,) = json.loads(Path(tested["folder"], "diagnostics/findings.json").read_text()).values()
    number = found["metrics"]["entropy_gain_bits"]
    assert (tested["test_information_verdict"], tested["test_information_strict"]) == (
        found["verdict"],
        found["strict"],
    )
    for name in ("value", "low", "high", "n"):
        assert tested[f"test_information_{name}"] == number[name]
        assert pd.isna(plain[f"test_information_{name}"])
    assert plain["variant"] == "mass.factor=0.25"


def test_a_line_per_question_and_condition_says_what_was_answered(output: Path) -> None:
    frame, at = results.samples(output), 0
    for path in folders(output):
        metrics = json.loads((path / "metrics.json").read_text())
        places = [path, *(each.parent for each in sorted(path.glob("diagnostics/*/pred*.jsonl")))]
        for place in places:
            for line in lines(place / "predictions.jsonl"):
                row = frame.iloc[at].to_dict()
                at += 1
                assert {name: missing_as_none(row[name]) for name in LABELS} == {
                    name: metrics[name] for name in LABELS
                }
                assert (row["folder"], row["scored"]) == (str(path), place == path)
                check_line(row, line)
    assert at == len(frame)
    assert {"real", "text", "blank"} <= set(frame.condition)
    assert set(frame.cell_condition) == {"real"}
    assert not frame.duplicated(["folder", "uid", "condition"]).any()
    scored = frame[frame.scored].groupby("folder").visual_mass_after.mean()
    assert list(scored) == pytest.approx(list(results.cells(output).visual_mass_after))


def check_line(row: dict[str, Any], line: dict[str, Any]) -> None:
    for name in (
        "uid",
        "condition",
        "status",
        "credit",
        "raw",
        "guessed",
        "cut",
        "error",
        "options",
    ):
        assert missing_as_none(row[name]) == line.get(name), name
    assert (row["parsed_option"], row["gold_option"]) == (line["parsed"], line["gold"])
    assert row["parsed"] == line["options"][line["parsed"]]
    assert row["gold"] == line["options"][line["gold"]]
    assert row["log_probabilities"] == [each["log_probability"] for each in line["scores"]]
    assert row["tokens"] == [each["tokens"] for each in line["scores"]]
    assert missing_as_none(row["image_tokens"]) == line["n_image_tokens"]
    assert row["entries_edited"] == line["cells_edited"]
    for name, stored in (("visual_mass", "visual_mass"), ("visual_entropy_nats", "visual_entropy")):
        for when in ("before", "after"):
            layers = (line[stored] or {}).get(when)
            expected = sum(layers) / len(layers) if layers else None
            assert missing_as_none(row[f"{name}_{when}"]) == expected
    for prefix, name in (("tag", "tags"), ("group", "groups"), ("shown", "shown")):
        there = {
            key.removeprefix(f"{prefix}_"): value
            for key, value in row.items()
            if key.startswith(f"{prefix}_") and not pd.isna(value)
        }
        assert there == (line[name] or {})


def test_a_study_a_model_and_a_cell_can_be_asked_for(output: Path) -> None:
    everything, (first, second) = results.cells(str(output)), folders(output)
    for place in (first, first.parent, first.parent.parent, first.parent.parent.parent):
        assert list(results.cells(place).folder) == [str(first)]
        assert set(results.samples(place).folder) == {str(first)}
    always = list(results.CELLS)
    pd.testing.assert_frame_equal(
        results.cells(second)[always], everything.iloc[1:][always].reset_index(drop=True)
    )


def test_what_is_left_out_is_named(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, changed = folders(copy)
    answered = sorted(changed.glob("diagnostics/*/predictions.jsonl"))[0]
    answered.write_bytes(answered.read_bytes()[:-200])
    begun = copy / "other/tiny/shapes/uniform-0"
    begun.mkdir(parents=True)
    (begun / "config.yaml").write_text("seed: 0\n")
    twin = copy / "study/tiny/shapes/twin"
    shutil.copytree(whole, twin)
    for read in (results.cells, results.samples):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="solvent"):
            assert set(read(copy).folder) == {str(whole)}
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 3
        assert f"{begun} is not finished" in said[0]
        assert f"{twin} is a copy of {whole}" in said[1]
        assert f"{answered} was changed since" in said[2]
        with pytest.raises(ValueError, match=r"predictions.jsonl was changed since the cell was"):
            read(changed)
        with pytest.raises(ValueError, match="uniform-0 is not finished: run its command again"):
            read(begun)
        with pytest.raises(ValueError, match=r"none of the 1 finished cells below .* was changed"):
            read(copy / "tested")
        with pytest.raises(FileNotFoundError, match="there is no finished cell below"):
            read(copy / "other")
        with pytest.raises(FileNotFoundError, match=r"no finished cell below \S+nowhere: give the"):
            read(copy / "nowhere")


def test_old_cells_without_digests_are_left_out_where_they_are_damaged(copy: Path) -> None:
    damaged, *others = folders(copy)
    one = damaged / "DONE"
    metrics = one.with_name("metrics.json")
    one.write_text('{"tracking": []}')
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"scores": None}))
    with pytest.raises(ValueError, match="is damaged"):
        results.cells(damaged)
    assert set(results.cells(copy).folder) == set(map(str, others))


def test_free_answers_old_lines_and_points(tmp_path: Path) -> None:
    """Columns and their types are the same, whatever a cell lacks."""
    folder = CellFolder(tmp_path / "study/tiny/mine/learned-0")
    folder.make(4)
    folder.open("seed: 0\n", {})
    free = replace(ROW, uid="free", raw="a cat", scores=None, parsed="cat", options=(),
                   gold=Accepted(answers=("cat", "kitten", "cat")), tags={"n": "1"})  # fmt: skip
    failed = replace(free, uid="failed", raw=None, parsed=None, status="error", credit=0.0,
                     error="no picture", visual_mass=None, visual_entropy=None)  # fmt: skip
    folder.append([ROW, free, failed], 1.0, 0.5, 8)
    folder.merge(["a", "free", "failed"])
    score = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 3, "rows": 3}
    points = {**score, "value": 900.0, "low": 500.0, "high": 1200.0, "highest": 2000}
    named = dict.fromkeys(("model", "benchmark", "intervention", "condition", "setting"), "x")
    metrics = {**named, "variant": "", "layers": None, "seed": 0, "chance": 0.0, "unparsed": 0,
               "errors": 1, "cells_edited": 0, "visual_mass": {"before": None, "after": None},
               "score": {**score, "measures": {"recall": score}},
               "scores": {"points": points, "f1": {**score, "measures": {"recall": score}}},
               "diagnostics": {"mine": {"verdict": "PASS", "strict": "FAIL", "metrics": {}}},
               }  # fmt: skip
    folder.write_metrics(metrics, folder.timing(8))
    folder.finish([])
    (cell_row,) = results.cells(tmp_path).to_dict("records")
    assert cell_row["scores_points_highest"] == 2000.0
    assert cell_row["scores_f1_low"] == cell_row["measures_recall_low"] == 0.25
    assert cell_row["measures_f1_recall_n"] == 3
    assert cell_row["test_mine_verdict"] == "PASS"
    frame = results.samples(tmp_path)
    assert {name: str(kind) for name, kind in frame.dtypes.items() if name in results.SAMPLES} == (
        results.SAMPLES
    )
    assert [str(kind) for kind in results.cells(tmp_path).dtypes][: len(results.CELLS)] == [
        *results.CELLS.values()
    ]
    old, answer, error = (
        {k: missing_as_none(v) for k, v in row.items()} for row in frame.to_dict("records")
    )
    assert (old["gold"], old["gold_option"], old["options"]) == (None, 0, None)
    assert (answer["gold"], answer["gold_option"], answer["parsed"]) == (
        "cat | kitten",
        None,
        "cat",
    )
    assert (answer["options"], answer["tokens"], answer["tag_n"]) == ([], None, "1")
    assert (error["error"], error["visual_mass_after"]) == ("no picture", None)


def test_a_notebook_keeps_its_figures() -> None:
    """Reports draw without a screen: looking at results must not bring that about."""
    code = (
        "import sys, solvent.results; sys.exit(not {'matplotlib', 'torch'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
