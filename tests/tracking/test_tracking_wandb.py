"""Offline W&B runs: what they hold, how they end, and that cells do not mix."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from solvent.core.redaction import secrets_of_environment
from solvent.core.stopping import Stopped
from tests.cells.followed import IDENTITY, finish, follow, weights_and_biases
from tests.tracking.offline_runs import OfflineRun, ended


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def runs(folder: Path) -> list[OfflineRun]:
    return [ended(path) for path in sorted((folder / "wandb").glob("offline-run-*"))]


def test_a_run_holds_everything(tmp_path: Path) -> None:
    cell = tmp_path / IDENTITY
    with follow(weights_and_biases(tmp_path), cell, config={"hf_token": "abc"}) as followed:
        followed.progress(4, 0, "real")
        followed.progress(8, 1, "real")
        assert finish(followed, cell)
    (stored,) = runs(tmp_path)
    assert stored.run.run_id == "0123456789ab"
    assert stored.run.display_name == IDENTITY
    assert stored.run.run_group == "known"
    assert stored.run.job_type == "shapes"
    assert set(stored.run.tags) == {"tiny", "uniform"}
    assert stored.config["hf_token"] == "[redacted]"
    assert stored.config["labels"]["intervention"] == "uniform"
    assert stored.config["provenance"]["packages"]["torch"] == "2"
    assert stored.summary["score/value"] == 0.5
    assert stored.summary["visual_mass/before_by_layer"] == [0.1, 0.3]
    assert stored.exit_code == 0
    points = [point for point in stored.history if "progress/done" in point]
    assert [point["progress/done"] for point in points] == [4, 8]
    assert points[-1]["progress/failed"] == 1
    assert points[-1]["progress/samples_per_second"] > 0


def test_a_run_holds_the_table_the_figure_and_the_files(tmp_path: Path) -> None:
    cell = tmp_path / IDENTITY
    with follow(weights_and_biases(tmp_path), cell) as followed:
        assert finish(followed, cell)
    (stored,) = runs(tmp_path)
    rows = stored.table("predictions")
    assert [row["uid"] for row in rows] == [f"shapes/{number}" for number in (0, 2, 4, 6)]
    assert rows[0]["image"] is None
    assert rows[1]["image"]["width"] == 32 + 8 + 16  # two pictures side by side, made small
    assert rows[1]["image"]["height"] == 16
    assert rows[1]["raw"] == "<script>alert(1)</script>"  # text of a cell, not a page
    assert not list(stored.folder.rglob("*.html"))
    assert list((stored.folder / "files/media/images").rglob("cell*.png"))
    contents = {item.path: item.local_path for item in stored.artifact("cell").manifest.contents}
    assert set(contents) == {"predictions.jsonl", "metrics.json", "config.yaml", "DONE"}
    assert contents["predictions.jsonl"] == str(cell / "predictions.jsonl")  # not copied
    digests = json.loads(Path(contents["DONE"]).read_text())["sha256"]
    assert digests == {
        name: sha256((cell / name).read_bytes()).hexdigest()
        for name in ("predictions.jsonl", "metrics.json")
    }
    assert "hunter22" not in Path(contents["config.yaml"]).read_text()
    staged = [item.local_path for item in stored.artifact("run_table").manifest.contents]
    assert all(Path(path).is_relative_to(stored.folder) for path in staged)  # not in HOME


def test_nothing_that_is_stored_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("HF_TOKEN", secret)
    secrets_of_environment.cache_clear()
    monkeypatch.setattr("sys.argv", ["evaluate.py", f"compat.api_key={secret}"])
    config = {"url": f"https://me:{secret}@host/x", "note": f"with {secret}"}
    cell = tmp_path / IDENTITY
    with follow(weights_and_biases(tmp_path), cell, config=config) as followed:
        assert finish(followed, cell)
    (cell / "config.yaml").unlink()  # the test's own
    stored = [path for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert len(stored) > 5
    for path in stored:
        assert secret.encode() not in path.read_bytes(), path
        assert b"hunter22" not in path.read_bytes(), path


def test_cells_do_not_mix_and_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    tracking = weights_and_biases(tmp_path)
    for identity in (IDENTITY, "pai-abcdefabcdef", IDENTITY):
        with follow(tracking, tmp_path / identity, identity=identity) as followed:
            followed.progress(8, 0, "real")
            assert finish(followed, tmp_path / identity)
    stored = {run.run.run_id: run for run in runs(tmp_path)}
    assert len(runs(tmp_path)) == 2
    assert stored["0123456789ab"].config["labels"]["intervention"] == "uniform"
    assert stored["abcdefabcdef"].config["labels"]["intervention"] == "pai"
    for run in stored.values():
        assert [point.get("progress/done") for point in run.history].count(8) == 1


def leave(folder: Path, error: BaseException) -> OfflineRun:
    """The run of a cell that an error ended."""

    def answer() -> None:
        with follow(weights_and_biases(folder), folder / IDENTITY) as followed:
            followed.progress(4, 0, "real")
            raise error

    with pytest.raises(type(error)):
        answer()
    (stored,) = runs(folder)
    return stored


@pytest.mark.parametrize(
    ("error", "code"), [(Stopped("stop file", 75), 75), (KeyboardInterrupt(), 130)]
)
def test_a_run_that_was_stopped_is_preempted(
    tmp_path: Path, error: BaseException, code: int
) -> None:
    stored = leave(tmp_path, error)
    assert stored.kinds["preempting"]
    assert stored.exit_code == code
    assert stored.history[0]["progress/done"] == 4


def test_a_run_that_crashed_has_failed(tmp_path: Path) -> None:
    stored = leave(tmp_path, ZeroDivisionError())
    assert not stored.kinds["preempting"]
    assert stored.exit_code == 1


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of auto, online, offline, disabled, not 'on'"):
        weights_and_biases(tmp_path, mode="on")
