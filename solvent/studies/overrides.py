"""What was typed, where Hydra itself writes it or says it, without secrets.

Hydra writes `multirun.yaml` into the folder of a study before the first job: the composed
configuration and the overrides, as they were typed. Nothing of ours reads it, and no setting keeps
Hydra from writing it. Where a job raises, Hydra prints its overrides.
"""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Any

import yaml
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from solvent.core.files import write_atomically
from solvent.core.redaction import redacted


class RedactedOverrides(Callback):
    """Redacts the record before the first job, or in the end where no job could be composed."""

    def on_multirun_start(self, config: DictConfig, **other: Any) -> None:
        """The record is not there yet."""
        atexit.register(redact, _record(config))

    def on_job_start(self, config: DictConfig, **other: Any) -> None:
        """The record is there, where this is a job of a multirun."""
        if config.hydra.mode == RunMode.MULTIRUN:
            redact(_record(config))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **other: Any) -> None:
        """What is printed where the job has raised."""
        job_return.overrides = redacted(job_return.overrides)


def redact(record: Path) -> None:
    """Write a record anew where it holds secrets."""
    if not record.exists():
        return
    said = yaml.safe_load(record.read_text(encoding="utf-8"))
    shown = redacted(said)
    if shown != said:
        write_atomically(record, yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


def _record(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir) / "multirun.yaml"
