"""An offline W&B run holds the configuration, the metrics, the table and the figure."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from wandb.proto import wandb_internal_pb2

from evaluation.session import run_cell

BLOCK, HEADER = 32768, 7  # W&B's log: LevelDB blocks after a 7-byte file header


def records(path: Path) -> Iterator[Any]:
    """The records of an offline run, read independently of W&B's own reader."""
    data, place, pieces = path.read_bytes(), HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        chunk = data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        pieces = chunk if kind in (1, 2) else pieces + chunk
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(pieces)
            yield record


def items(update: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in update}


def test_an_offline_run_holds_everything(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)  # auto: offline because nobody is logged in
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    config = composed("tracking=wandb", "limit=18", "intervention=uniform", "tracking.table_rows=6")
    metrics = run_cell(config)
    (path,) = (tmp_path / "study/wandb").glob("offline-run-*/*.wandb")
    kinds: dict[str, list[Any]] = {}
    for record in records(path):
        kinds.setdefault(record.WhichOneof("record_type"), []).append(record)
    run = kinds["run"][0].run
    assert run.run_group == "study"
    assert run.job_type == "shapes"
    assert set(run.tags) == {"tiny", "uniform"}
    logged = items(run.config.update)
    assert logged["intervention"]["name"] == "uniform"
    assert logged["provenance"]["packages"]["torch"]
    summary: dict[str, Any] = {}
    for record in kinds["summary"]:
        summary |= items(record.summary.update)
    assert summary["score/value"] == metrics["score"]["value"]
    assert summary["visual_mass/before"] == metrics["visual_mass"]["before"]
    files = path.parent / "files"
    (table,) = (files / "media/table").rglob("predictions*.json")
    content = json.loads(table.read_text())
    assert len(content["data"]) == 6
    assert {"uid", "image", "question", "answer", "status", "credit"} <= set(content["columns"])
    assert list((files / "media/images").rglob("cell*.png"))
