"""The comparison of a study as one W&B run: tables, figures, the page, and all its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solvent.core.redaction import redacted
from solvent.tracking.cell_run import pictures
from solvent.tracking.clean_files import clean
from solvent.tracking.sending import LONGEST_NAME, LONGEST_TAG, Session
from solvent.tracking.starting import place_of
from solvent.tracking.study_facts import (
    artifact_name,
    run_id,
    study_config,
    study_summary,
    study_tags,
    table,
)

if TYPE_CHECKING:
    import pandas as pd

    from solvent.tracking.weights_and_biases import WandB

JOB_TYPE = "compare"
AGAIN = "Run the same command again to log the comparison."

log = logging.getLogger("solvent")


def log_study(
    settings: WandB,
    *,
    study: str,
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    facts: Mapping[str, Any],
    page: Path | None,
    figures: Sequence[Path],
    files: Sequence[Path],
) -> tuple[bool, str | None]:
    """Log a comparison; whether all of it is logged, and who has it online, None where nobody."""
    arms = tables["arms"]
    description = {
        "id": run_id(settings.project, study),
        "name": f"comparison of {study}"[:LONGEST_NAME],
        "group": study[:LONGEST_NAME],
        "job_type": JOB_TYPE,
        "tags": [tag[:LONGEST_TAG] for tag in study_tags(arms)],
        "config": redacted({**study_config(arms, facts), "study": study, "folder": str(folder)}),
    }
    session = Session(settings, AGAIN)
    session.start(description, anew=True)
    online = session.open and not session.run.offline
    entity = str(session.run.entity) if online else None

    def deliver(run: Any) -> None:
        summary = study_summary(arms, settings.study_arms)
        run.summary.update(redacted(summary))
        if left := summary["arms_in_table_only"]:
            log.warning(
                "W&B: of %s arms, %s are in the table only: a run's summary has numbers of "
                "tracking.study_arms=%s",
                f"{summary['arms']:,}",
                f"{left:,}",
                settings.study_arms,
            )
        shown = {
            f"comparison/{name}": _as_table(name, frame, settings.study_rows)
            for name, frame in tables.items()
            if not frame.empty
        }
        uploaded = _cleaned([*files, *([page] if page else [])], folder, place_of(run))
        if page in uploaded:
            shown["page"] = _as_page(uploaded[page])
        run.log({**shown, **pictures(figures)})
        _log_files(run, artifact_name(study), folder, uploaded)

    return session.deliver(deliver), entity


def _as_table(name: str, frame: pd.DataFrame, most: int) -> Any:
    """A frame as W&B shows it, cut where it is long."""
    import wandb

    if len(frame) > most:
        log.warning(
            "W&B: the table %s has the first %s of %s lines, the artifact all of them",
            name,
            f"{most:,}",
            f"{len(frame):,}",
        )
    rows = [list(row.values()) for row in table(frame, most)]
    return wandb.Table(columns=[*map(str, frame.columns)], data=rows, allow_mixed_types=True)


def _as_page(path: Path) -> Any:
    import wandb

    return wandb.Html(str(path), inject=False)


def _cleaned(files: Sequence[Path], folder: Path, place: Path) -> dict[Path, Path]:
    """Files without secrets, those that need it as copies in the run's folder."""
    ours = place.resolve() / "clean"
    return {
        path: clean(path.resolve(), ours / path.relative_to(folder).parent)
        for path in files
        if path.exists()
    }


def _log_files(run: Any, name: str, folder: Path, uploaded: Mapping[Path, Path]) -> None:
    """All files as an artifact. They are copied: comparing again writes them anew, maybe before an
    offline run is uploaded.
    """
    import wandb

    artifact = wandb.Artifact(name, type="comparison")
    for path, shown in uploaded.items():
        artifact.add_file(str(shown), name=path.relative_to(folder).as_posix())
    run.log_artifact(artifact)
