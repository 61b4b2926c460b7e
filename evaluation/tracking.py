"""Where else results go. The files of the cell are the record; a tracker is a mirror of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation.types import Prediction, Sample, in_words

log = logging.getLogger("solvent")
COLUMNS = ["uid", "image", "question", "options", "gold", "answer", "status", "credit",
           "visual_mass_before", "visual_mass_after", "visual_entropy_nats_before",
           "visual_entropy_nats_after"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NoTracking:
    """The files of the cell are enough."""

    name = "none"

    @contextmanager
    def follow(self, **cell: Any) -> Iterator[NotFollowed]:
        """Nothing."""
        yield NotFollowed()


class NotFollowed:
    """A cell that nobody follows."""

    def progress(self, done: int, failed: int, doing: str) -> None:
        """Nothing."""

    def finish(self, **result: Any) -> bool:
        """Nothing."""
        return True


@dataclass(frozen=True, kw_only=True)
class WandB:
    """One Weights & Biases run per cell, written when the cell is finished.

    Never prompts, never fails the cell.
    """

    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline", "disabled"]
    folder: str
    table_rows: int

    def log(
        self,
        *,
        identity: str,
        study: str,
        config: Mapping[str, Any],
        provenance: Mapping[str, Any],
        metrics: Mapping[str, Any],
        predictions: Sequence[Prediction],
        samples: Sequence[Sample],
        figures: Sequence[Path],
    ) -> None:
        """Log config, metrics, one table of predictions and the figures."""
        import wandb

        Path(self.folder).mkdir(parents=True, exist_ok=True)
        mode = self._mode(wandb)
        try:
            run = self._start(wandb, mode, identity, study, config, provenance)
        except (wandb.errors.UsageError, wandb.errors.CommError) as error:
            log.warning("W&B cannot be reached (%s); logging offline", error)
            run = self._start(wandb, "offline", identity, study, config, provenance)
        with run:
            run.summary.update(_numbers(metrics))
            chosen = _evenly(len(predictions), self.table_rows)
            rows = [_row(wandb, predictions[index], samples[index]) for index in chosen]
            run.log({"predictions": wandb.Table(columns=COLUMNS, data=rows)})
            run.log({f"figure/{path.stem}": wandb.Image(str(path)) for path in figures})

    def _mode(self, wandb: Any) -> str:
        if self.mode != "auto":
            return self.mode
        if chosen := os.environ.get("WANDB_MODE"):
            return chosen
        return "online" if wandb.login(prompt=False, verify=False) else "offline"

    def _start(
        self,
        wandb: Any,
        mode: str,
        identity: str,
        study: str,
        config: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> Any:
        return wandb.init(
            project=self.project,
            entity=self.entity,
            mode=mode,
            dir=self.folder,
            id=identity.rpartition("-")[2],
            name=identity,
            group=study,
            job_type=config["benchmark"]["name"],
            tags=[config["model"]["name"], config["intervention"]["name"]],
            config={**config, "provenance": provenance},
            resume="allow" if mode == "online" else None,
            reinit="finish_previous",
            settings=wandb.Settings(silent=True),
        )


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested metrics as flat W&B summary keys: `score/value`, `visual_mass/before`."""
    flat: dict[str, Any] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= _numbers(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _evenly(total: int, wanted: int) -> list[int]:
    kept = min(total, wanted)
    return [index * total // kept for index in range(kept)]


def _row(wandb: Any, prediction: Prediction, sample: Sample) -> list[Any]:
    measured = (prediction.visual_mass, prediction.visual_entropy)
    readable = sample.images and prediction.status != "error"
    return [
        prediction.uid,
        wandb.Image(sample.images[0].load()) if readable else None,
        sample.text,
        ", ".join(sample.options),
        in_words(prediction.gold, sample.options),
        in_words(prediction.parsed, sample.options),
        prediction.status,
        prediction.credit,
        *(_mean(getattr(layers, when, ())) for layers in measured for when in ("before", "after")),
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
