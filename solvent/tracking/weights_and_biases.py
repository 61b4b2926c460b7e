"""One Weights & Biases run per cell, and one per study. It never prompts, and never fails what it
follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from solvent.core.redaction import redacted
from solvent.tracking.cell_run import CellRun
from solvent.tracking.saved_view import show_study
from solvent.tracking.sending import LONGEST_NAME, LONGEST_TAG
from solvent.tracking.study_run import log_study

if TYPE_CHECKING:
    import pandas as pd

MODES = ("auto", "online", "offline", "disabled")


@dataclass(frozen=True, kw_only=True)
class WandB:
    """Follows cells as W&B runs: progress while they are answered, results at their end.

    The run's id is the cell's hash, so a cell that is run again replaces what it logged. Raises
    `ValueError` for a mode that does not exist.
    """

    name: ClassVar[str] = "wandb"
    project: str
    entity: str | None
    mode: str
    folder: str
    table_rows: int
    picture_side: int
    seconds_between_points: float
    init_timeout: float
    finish_timeout: float
    study_rows: int
    study_arms: int

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"tracking.mode must be one of {', '.join(MODES)}, not {self.mode!r}")

    @contextmanager
    def follow(
        self,
        *,
        identity: str,
        folder: Path,
        study: str,
        config: Mapping[str, Any],
        labels: Mapping[str, Any],
        provenance: Mapping[str, Any],
        total: int,
    ) -> Iterator[CellRun]:
        """Start the run, and end it the way that the block is left."""
        facts = {"labels": labels, "provenance": provenance, "total": total, "cell": str(folder)}
        description = {
            "id": identity.rpartition("-")[2],
            "name": identity[:LONGEST_NAME],
            "group": study[:LONGEST_NAME],
            "job_type": str(labels["benchmark"])[:LONGEST_NAME],
            "tags": sorted({str(labels[key])[:LONGEST_TAG] for key in ("model", "intervention")}),
            "config": redacted({**config, **facts}),
        }
        run = CellRun(self, folder, description)
        try:
            yield run
        except BaseException as error:
            run.leave(error)
            raise
        run.leave(None)

    def compared(
        self,
        *,
        study: str,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        facts: Mapping[str, Any],
        page: Path | None,
        figures: Sequence[Path],
        files: Sequence[Path],
    ) -> bool:
        """One run for the comparison, which replaces that of an earlier one, and its saved view."""
        logged, entity = log_study(
            self,
            study=study,
            folder=folder,
            tables=tables,
            facts=facts,
            page=page,
            figures=figures,
            files=files,
        )
        if logged:
            show_study(
                self,
                study=study,
                folder=folder,
                arms=tables["arms"],
                figures=figures,
                entity=entity,
            )
        return logged
