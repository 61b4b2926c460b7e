"""Files of a cell: nothing is lost or glued together, equal definitions have equal names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.results import CellFolder, decode, encode, fingerprint
from evaluation.types import CandidateScore, Prediction, VisualEntropy, VisualMass

ROW = Prediction(
    uid="a",
    condition="real",
    raw=None,
    scores=(CandidateScore(log_probability=-0.1234567890123, tokens=2),),
    parsed=0,
    gold=0,
    status="ok",
    credit=1.0,
    visual_mass=VisualMass(before=(0.5, 0.25), after=(0.0, 0.25)),
    cells_edited=7,
    groups={"image": "é"},
    tags={"kind": "colour"},
    visual_entropy=VisualEntropy(before=(1.5, 0.0), after=(2.0, 0.25)),
    cells_by_phase={"prefill": 4, "decode": 3},
)


def opened(path: Path) -> CellFolder:
    folder = CellFolder(path)
    folder.open("seed: 0\n", {})
    return folder


def test_a_prediction_survives_the_file() -> None:
    assert decode(encode(ROW)) == ROW


def test_a_line_of_before_entropy_was_measured_is_still_read() -> None:
    line = json.loads(encode(ROW))
    del line["visual_entropy"], line["cells_by_phase"]
    assert decode(json.dumps(line)) == replace(ROW, visual_entropy=None, cells_by_phase=None)


def test_a_line_holds_the_agreed_keys() -> None:
    assert {"uid", "condition", "parsed", "status", "credit", "scores"} <= json.loads(
        encode(ROW)
    ).keys()


def test_a_torn_line_is_cut_before_anything_is_appended(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([ROW], 1.0, 0.5, 8)
    with (tmp_path / "part.jsonl").open("a") as file:
        file.write(encode(replace(ROW, uid="torn"))[:40])
    folder = opened(tmp_path)
    (tmp_path / "seconds.jsonl").open("a").write("4.0\n")  # as it was written once
    folder.append([replace(ROW, uid="b")], 2.5, 0.25, 4)
    assert list(folder.recorded()) == ["a", "b"]
    assert folder.seconds() == (7.5, 0.75)
    assert folder.smallest_batch(8) == 4


def test_merging_needs_every_sample_and_keeps_the_order(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([replace(ROW, uid="b"), ROW], 1.0, 0.0, 8)
    with pytest.raises(RuntimeError, match="lacks 1 of 3 predictions, first c"):
        folder.merge(["a", "b", "c"])
    assert [row.uid for row in folder.merge(["a", "b"])] == ["a", "b"]
    assert [row.uid for row in folder.predictions()] == ["a", "b"]


def test_a_cell_never_goes_on_in_another_precision(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    folder.open("", {"model": {"dtype": "float32"}})
    folder.append([ROW], 1.0, 0.5, 8)
    folder.open("", {"model": {"dtype": "float32"}})
    with pytest.raises(ValueError, match="begun in float32 and would go on in bfloat16"):
        folder.open("", {"model": {"dtype": "bfloat16"}})


def test_metrics_make_a_cell_finished(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([ROW], 1.0, 0.5, 8)
    folder.merge(["a"])
    assert not folder.finished
    folder.finish({"score": {"value": 1.0}})
    assert folder.finished
    assert folder.metrics() == {"score": {"value": 1.0}}


def test_the_fingerprint_depends_on_results_only() -> None:
    definition = {"model": {"name": "tiny"}, "benchmark": {"source": {"root": "/here", "seed": 0}}}
    same = {"benchmark": {"source": {"seed": 0, "root": "/there"}}, "model": {"name": "tiny"}}
    other = {"model": {"name": "tiny"}, "benchmark": {"source": {"root": "/here", "seed": 1}}}
    assert fingerprint(definition) == fingerprint(same)
    assert fingerprint(definition) != fingerprint(other)
