"""An offline W&B run holds the configuration, the metrics, the table, the figure and the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.cells.run import run_cell
from tests.tracking.offline_runs import ended


def test_an_offline_run_holds_everything(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)  # auto: offline because nobody is logged in
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    config = composed("tracking=wandb", "limit=18", "intervention=uniform", "tracking.table_rows=6")
    metrics = run_cell(config)
    (path,) = (tmp_path / "study/wandb").glob("offline-run-*/*.wandb")
    stored = ended(path.parent)
    assert stored.run.run_group == "study"
    assert stored.run.job_type == "shapes"
    assert set(stored.run.tags) == {"tiny", "uniform"}
    assert stored.config["intervention"]["name"] == "uniform"
    assert stored.config["provenance"]["packages"]["torch"]
    assert stored.summary["score/value"] == metrics["score"]["value"]
    assert stored.summary["visual_mass/before"] == metrics["visual_mass"]["before"]
    rows = stored.table("predictions")
    assert len(rows) == 6
    assert {"uid", "image", "question", "answer", "status", "credit"} <= set(rows[0])
    assert all(row["image"]["_type"] == "image-file" for row in rows)
    assert list((stored.folder / "files/media/images").rglob("cell*.png"))
    files = {item.path for item in stored.artifact("cell").manifest.contents}
    assert {"predictions.jsonl", "metrics.json", "config.yaml", "provenance.json"} <= files
