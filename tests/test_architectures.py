"""Every model configuration runs every benchmark, on tiny random models of its own architecture."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.cells.run import run_cell
from tests.random_models import save_random_checkpoint

pytestmark = pytest.mark.usefixtures("undrawn")
ROOT = Path(__file__).resolve().parent.parent
NLVR = ROOT / os.environ.get("SOLVENT_DATA", "../shared/data") / "nlvr"
FAMILIES = {
    "llava_1_5_7b": "llava",
    "llava_onevision_7b": "llava_onevision",
    "qwen2_5_vl_3b": "qwen2_5_vl",
    "qwen2_5_vl_7b": "qwen2_5_vl",
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("checkpoints")

    def saved(family: str) -> Path:
        place = folder / family
        return place if place.exists() else save_random_checkpoint(family, place)

    return saved


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize(
    ("benchmark", "limit"),
    [
        ("shapes", 9),
        pytest.param(
            "nlvr", 24, marks=pytest.mark.skipif(not NLVR.exists(), reason=f"no data at {NLVR}")
        ),
    ],
)
def test_a_cell_runs_end_to_end(
    model: str,
    benchmark: str,
    limit: int,
    checkpoints: Callable[[str], Path],
    composed: Callable[..., DictConfig],
    tmp_path: Path,
) -> None:
    metrics = run_cell(
        composed(
            f"model={model}",
            f"model.checkpoint={checkpoints(FAMILIES[model])}",
            f"benchmark={benchmark}",
            "intervention=uniform",
            f"limit={limit}",
            "batch_size=8",
        )
    )
    assert metrics["errors"] == 0
    assert 0 < metrics["score"]["rows"] <= limit
    assert metrics["cells_edited"] > 0
    assert 0 < metrics["visual_mass"]["before"] < 1
    (folder,) = (tmp_path / "study" / model / benchmark).iterdir()
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == metrics["score"]["rows"]
    assert all(score["log_probability"] < 0 for row in rows for score in row["scores"])


@pytest.mark.skipif(not NLVR.exists(), reason=f"no data at {NLVR}")
def test_nlvr_scores_follow_from_the_written_files(
    composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    """Accuracy and consistency again, from the official CSV and the labels alone."""
    metrics = run_cell(composed("benchmark=nlvr", "limit=120", "batch_size=48"))
    (folder,) = (tmp_path / "study/tiny/nlvr").iterdir()
    labels = {}
    for line in (NLVR / "dev/dev.json").read_text().splitlines():
        row = json.loads(line)
        labels[row["identifier"]] = row["label"]
    right: dict[str, list[bool]] = defaultdict(list)
    for line in (folder / "nlvr_official.csv").read_text().splitlines():
        image, answer = line.split(",")
        _, sentence, numbered, _ = image.removesuffix(".png").split("-")
        right[sentence].append(answer == labels[f"{sentence}-{numbered}"])
    answers = [ok for group in right.values() for ok in group]
    assert len(answers) == metrics["score"]["n"] > 100
    assert metrics["score"]["value"] == pytest.approx(sum(answers) / len(answers))
    assert metrics["scores"]["consistency"]["n"] == len(right)
    assert metrics["scores"]["consistency"]["value"] == pytest.approx(
        sum(map(all, right.values())) / len(right)
    )


def test_generated_answers_are_read_and_counted(composed: Callable[..., DictConfig]) -> None:
    metrics = run_cell(composed("benchmark.answer.mode=generate", "limit=27"))
    assert metrics["errors"] == 0
    assert metrics["unparsed"] == metrics["score"]["none"] + metrics["score"]["ambiguous"]
    assert metrics["score"]["value"] > 0.7
