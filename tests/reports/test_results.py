"""Files of a cell: nothing is lost or glued together, equal definitions have equal names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from solvent.core.types import CandidateScore, Prediction, VisualEntropy, VisualMass
from solvent.storage.folder import CellFolder
from solvent.storage.records import Stored, decode, encode, has_failed, uid_of

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
    folder.make(1)
    folder.open("seed: 0\n", {})
    return folder


def test_a_prediction_survives_the_file() -> None:
    assert decode(encode(ROW)) == ROW


@pytest.mark.parametrize("uid", ["a", 'with "quotes" \\ and\n', "é ü", ', "status": "error", '])
def test_uid_and_failure_are_read_without_the_rest(uid: str) -> None:
    """Also where the answer of a model looks like a line of ours."""
    row = replace(ROW, uid=uid, raw='{"uid": "b", "status": "error", ')
    assert uid_of(encode(row).encode()) == uid
    assert not has_failed(encode(row).encode())
    assert has_failed(encode(replace(row, status="error")).encode())


def test_a_line_of_before_entropy_was_measured_is_still_read() -> None:
    line = json.loads(encode(ROW))
    del line["visual_entropy"], line["cells_by_phase"]
    assert decode(json.dumps(line)) == replace(ROW, visual_entropy=None, cells_by_phase=None)


def test_a_line_holds_the_agreed_keys() -> None:
    assert {"uid", "condition", "parsed", "status", "credit", "scores"} <= json.loads(
        encode(ROW)
    ).keys()


def test_torn_lines_are_cut_before_anything_is_appended(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([ROW], 1.0, 0.5, 8)
    folder.append([replace(ROW, uid="b"), replace(ROW, uid="c")], 1.0, 0.5, 8, rank=1)
    with folder.part(0).open("a") as file:
        file.write(encode(replace(ROW, uid="torn"))[:40])
    with folder.part(1).open("r+b") as file:  # a node failed, its last block came back as zeros
        file.seek(len(encode(ROW)) + 20)
        file.write(b"\0" * 9)
    assert folder.resume() == {"a": False, "b": False}
    folder.append([replace(ROW, uid="c")], 2.5, 0.25, 4)
    assert [row.uid for row in folder.merge(["a", "b", "c"])] == ["a", "b", "c"]
    assert folder.timing(8) == {"seconds": 4.5, "attention_seconds": 1.25, "batch_size": 4}


def test_merging_needs_every_sample_once_and_keeps_the_order(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([replace(ROW, uid="b"), ROW], 1.0, 0.0, 8)
    with pytest.raises(ValueError, match="lacks 1 of 3 predictions, first c"):
        folder.merge(["a", "b", "c"])
    with pytest.raises(ValueError, match="1 predictions of samples that were not asked, first b"):
        folder.merge(["a"])
    with pytest.raises(ValueError, match="1 samples have a uid twice"):
        folder.merge(["a", "b", "a"])
    assert [row.uid for row in folder.merge(["a", "b"])] == ["a", "b"]
    assert [row.uid for row in folder.predictions()] == ["a", "b"]


def test_a_sample_answered_twice_counts_once_and_never_in_two_ways(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    failed = replace(ROW, status="error", error="disk", scores=None, parsed=None)
    folder.append([failed], 1.0, 0.0, 8)
    assert folder.resume() == {"a": True}  # it is tried again
    folder.append([ROW], 1.0, 0.0, 8, rank=2)
    folder.append([failed], 1.0, 0.0, 8, rank=3)
    folder.append([ROW], 1.0, 0.0, 8, rank=4)
    assert list(folder.merge(["a"])) == [ROW]
    folder.append([replace(ROW, parsed=1)], 1.0, 0.0, 8, rank=5)
    with pytest.raises(ValueError, match=r"two different answers to a, in part-2\S+ and part-5"):
        folder.merge(["a"])


def test_stored_predictions_are_a_sequence(tmp_path: Path) -> None:
    folder, rows = opened(tmp_path), [replace(ROW, uid=uid) for uid in ("é", "b", "c")]
    folder.append(rows, 1.0, 0.0, 8)
    stored = folder.merge(["é", "b", "c"])
    assert isinstance(stored, Stored)
    assert (len(stored), list(stored), stored[1], stored[-1]) == (3, rows, rows[1], rows[2])
    assert stored[::2] == rows[::2]


@pytest.mark.parametrize("content", [b"", b"seed: [", b"\xff\xfe\0", b"just words"])
def test_a_damaged_configuration_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    folder = opened(tmp_path)
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config.yaml is damaged.*restore it, or move the folder"):
        folder.open("seed: 0\n", {})
    assert (tmp_path / "config.yaml").read_bytes() == content


def test_done_comes_last_and_names_the_trackers(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.append([ROW], 1.0, 0.5, 8)
    folder.merge(["a"])
    folder.write_metrics({"score": {"value": 1.0}}, folder.timing(8))
    assert not folder.finished
    folder.finish(["jsonl"])
    assert folder.finished
    folder.finish(["wandb"])
    assert folder.tracked() == ["jsonl", "wandb"]
    assert folder.metrics()["score"] == {"value": 1.0}
    assert folder.metrics()["seconds"] == 1.0
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.yaml", "identity.json", "predictions.jsonl", "metrics.json", "timing.json", "DONE"
    }  # fmt: skip
