"""What one process keeps from cell to cell is dropped when the files that it was made from change.

Every expected value is that of the same content under another path, which nothing was kept of.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from safetensors.torch import save

from solvent.cells.run import run_cell
from solvent.core import digests
from tests.conftest import ROOT

Composed = Callable[..., DictConfig]
IGNORED = shutil.ignore_patterns("*.py", "__pycache__")


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "digests"))
    monkeypatch.setattr(digests, "FRESH", -60.0)
    datasets.disable_progress_bars()


def answers(config: DictConfig) -> tuple[str, bytes]:
    """Name of the cell, and what it answered."""
    run_cell(config, brief=True)
    (path,) = Path(config.output, config.study).glob("*/*/*")
    return path.name, (path / "predictions.jsonl").read_bytes()


def replaced(path: Path, content: bytes) -> None:
    """Other content under the same name, size aside, and the same time of modification."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_other_weights_are_loaded(composed: Composed, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "solvent/models/checkpoints/tiny", folder, ignore=IGNORED)
    asked = ("limit=18", f"model.checkpoint={folder}", "model.name=own")
    seeing = answers(composed(*asked, "study=a"))
    blind_weights = ROOT / "solvent/models/checkpoints/tiny_blind/model.safetensors"
    replaced(folder / "model.safetensors", blind_weights.read_bytes())
    blind = answers(composed(*asked, "study=b"))
    shutil.copytree(folder, tmp_path / "fresh")
    asked = ("limit=18", f"model.checkpoint={tmp_path / 'fresh'}", "model.name=own")
    assert answers(composed(*asked, "study=c")) == blind
    assert blind != seeing


def pattern(value: float) -> bytes:
    """A prior with more on the image's first half."""
    tensor = torch.ones(1, 1, 1, 64)
    tensor[..., :32] = value
    return save({"pattern": tensor})


@pytest.mark.parametrize("kind", ["pattern", "heads"])
def test_other_input_files_are_read(composed: Composed, tmp_path: Path, kind: str) -> None:
    contents: tuple[bytes, bytes] = (
        (pattern(9.0), pattern(5.0)) if kind == "pattern" else (b'{"2": [0]}', b'{"4": [1]}')
    )
    names = (tmp_path / "here", tmp_path / "there")
    names[0].write_bytes(contents[0])
    names[1].write_bytes(contents[1])

    def asked(path: Path, study: str) -> DictConfig:
        field = "pattern.file" if kind == "pattern" else "heads.rules.table.file"
        named = "fixed_file" if kind == "pattern" else "ad_hh"
        overrides = [f"intervention={named}", f"++intervention.{field}={path}"]
        return composed("limit=18", *overrides, f"study={study}")

    first = answers(asked(names[0], "a"))
    replaced(names[0], contents[1])
    second = answers(asked(names[0], "b"))
    assert second == answers(asked(names[1], "c"))
    assert second != first


def test_other_pictures_are_painted_with_their_own_mean(composed: Composed, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows: list[dict[str, Any]] = [
        {"question_id": str(n), "image": f"{n}.png", "question": "Is it red?", "answer": "yes",
         "category": "random", "image_source": "x"} for n in range(2)
    ]  # fmt: skip
    (data / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for n in range(2):
        Image.new("RGB", (8, 8), "red").save(data / f"{n}.png")

    def asked(place: Path, study: str) -> DictConfig:
        return composed(
            "benchmark=pope", "benchmark.expect=null", f"benchmark.source.local={place}",
            "condition=blank", f"study={study}",
        )  # fmt: skip

    first = answers(asked(data, "a"))
    for n in range(2):
        Image.new("RGB", (8, 8), "green").save(tmp_path / "green.png")
        replaced(data / f"{n}.png", (tmp_path / "green.png").read_bytes())
    second = answers(asked(data, "b"))
    shutil.copytree(data, tmp_path / "copy")
    assert second == answers(asked(tmp_path / "copy", "c"))
    assert second != first
