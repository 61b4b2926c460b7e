"""A small finished cell, told to a tracker the way that a session tells it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from solvent.core.types import Box, Prediction, Sample
from solvent.tracking import WandB

IDENTITY = "uniform-0123456789ab"
METRICS = {
    "model": "tiny",
    "intervention": "uniform",
    "score": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8},
    "visual_mass": {"before": 0.2, "after": 0.2, "before_by_layer": [0.1, 0.3]},
}


@dataclass(frozen=True)
class Picture:
    identity: str
    size: tuple[int, int]
    regions: tuple[Box, ...] = ()

    def load(self) -> Image.Image:
        return Image.new("RGB", self.size, "red")


SAMPLES = [
    Sample(
        uid=f"shapes/{number}",
        images=(Picture("a", (64, 32)), Picture("b", (16, 16)))[: number % 3],
        text="Which is <b>red</b>?",
        options=("left", "right"),
        gold=0,
    )
    for number in range(8)
]
PREDICTIONS = [
    Prediction(
        uid=sample.uid,
        condition="real",
        raw="<script>alert(1)</script>",
        scores=None,
        parsed=0,
        gold=0,
        status="ok",
        credit=1.0,
        visual_mass=None,
        cells_edited=0,
        groups={},
        tags={},
    )
    for sample in SAMPLES
]


def weights_and_biases(folder: Path, **settings: Any) -> WandB:
    return WandB(
        **{
            "project": "solvent",
            "entity": None,
            "mode": "auto",
            "folder": str(folder),
            "table_rows": 4,
            "picture_side": 32,
            "seconds_between_points": 0,
            "init_timeout": 30,
            "finish_timeout": 30,
            "study_rows": 100,
            "study_arms": 20,
        }
        | settings
    )


def follow(
    tracking: Any, folder: Path, *, identity: str = IDENTITY, config: dict[str, Any] | None = None
) -> AbstractContextManager[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    return tracking.follow(
        identity=identity,
        folder=folder,
        study="known",
        config=config or {"batch_size": 4},
        labels={"model": "tiny", "benchmark": "shapes", "intervention": identity.split("-")[0]},
        provenance={"packages": {"torch": "2"}},
        total=len(SAMPLES),
    )


def finish(followed: Any, folder: Path) -> bool:
    """Its files and one figure, and then what the session says at the end."""
    (folder / "config.yaml").write_text("batch_size: 4\ncompat:\n  api_key: hunter22hunter22\n")
    (folder / "predictions.jsonl").write_text('{"uid": "shapes/0"}\n')
    (folder / "metrics.json").write_text("{}\n")
    Image.new("RGB", (4, 4)).save(folder / "cell.png")
    return followed.finish(
        metrics=METRICS,
        predictions=PREDICTIONS,
        samples=SAMPLES,
        figures=[folder / "cell.png"],
        files=[
            folder / name
            for name in ("predictions.jsonl", "metrics.json", "config.yaml", "findings.json")
        ],
    )
