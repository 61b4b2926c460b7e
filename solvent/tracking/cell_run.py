"""A cell as a W&B run: progress while it is answered, and at its end all that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solvent.core.redaction import redacted
from solvent.core.stopping import Stopped
from solvent.core.types import Prediction, Sample
from solvent.storage.folder import declaration, seals
from solvent.tracking.clean_files import clean
from solvent.tracking.pace import Pace
from solvent.tracking.sending import FAILED, Session
from solvent.tracking.starting import place_of
from solvent.tracking.uploads import COLUMNS, evenly, flat, row

if TYPE_CHECKING:
    from solvent.tracking.weights_and_biases import WandB

INTERRUPTED = 130  # exit code that the dashboard shows
LEAVING = 20.0  # seconds to say that a run stopped: a cluster kills it soon after it asked to stop
AGAIN = "Run the same command again to log the cell."
LATER = "Its results are logged when the cell is finished."


class CellRun:
    """A run while its cell is answered; silent once W&B could not start it."""

    def __init__(self, settings: WandB, folder: Path, description: Mapping[str, Any]) -> None:
        self.settings = settings
        self.folder = folder
        self._pace = Pace(seconds=settings.seconds_between_points)
        self._session = Session(settings, AGAIN)
        self._session.start(description, prepare=_define_progress)

    def progress(self, done: int, failed: int, doing: str) -> None:
        """A point of `progress/...`, unless the last was a moment ago; never waits."""
        if self._session.open and (point := self._pace.point(done, failed, doing)):
            self._session.tell(lambda run: run.log(point), "to log progress", LATER)

    def finish(
        self,
        *,
        metrics: Mapping[str, Any],
        predictions: Sequence[Prediction],
        samples: Sequence[Sample],
        figures: Sequence[Path],
        files: Sequence[Path],
    ) -> bool:
        """Log everything and end the run; whether all of it is logged."""
        point = self._pace.last()

        def deliver(run: Any) -> None:
            if point:
                run.log(point)
            run.summary.update(redacted(flat(metrics)))
            _log_table(run, self.settings, predictions, samples)
            if figures:
                run.log(pictures(figures))
            _log_files(run, self.folder, files, metrics)

        return self._session.deliver(deliver)

    def leave(self, error: BaseException | None) -> None:
        """End the run if it is still open: preempted where somebody asked the cell to stop."""
        preempted = isinstance(error, Stopped | KeyboardInterrupt)
        code = 0 if error is None else FAILED
        if preempted:
            code = error.code if isinstance(error, Stopped) else INTERRUPTED
        run = self._session.run
        before = run.mark_preempting if preempted and run is not None else None
        self._session.end(code, LEAVING, before)


def _define_progress(run: Any) -> None:
    """Curves are drawn over what is done."""
    run.define_metric("progress/done")
    run.define_metric("progress/*", step_metric="progress/done")


def _log_table(
    run: Any, settings: WandB, predictions: Sequence[Prediction], samples: Sequence[Sample]
) -> None:
    import wandb

    rows = []
    for index in evenly(len(predictions), settings.table_rows):
        content = row(predictions[index], samples[index], settings.picture_side)
        if content["image"] is not None:
            content["image"] = wandb.Image(content["image"])
        rows.append(list(content.values()))
    run.log({"predictions": wandb.Table(columns=list(COLUMNS), data=rows)})


def pictures(figures: Sequence[Path]) -> dict[str, Any]:
    """Figures as W&B shows them, by the names of their files."""
    import wandb

    return {f"figure/{path.stem}": wandb.Image(str(path)) for path in figures}


def _log_files(run: Any, folder: Path, files: Sequence[Path], metrics: Mapping[str, Any]) -> None:
    """The cell as an artifact in its own layout, with a `DONE` that has the digests of what is
    uploaded. Its files are not copied, as a finished cell does not change.
    """
    import wandb

    ours = place_of(run).resolve() / "clean"
    ours.mkdir(parents=True, exist_ok=True)
    artifact = wandb.Artifact(f"cell-{run.id}", type="cell", metadata=_labels(metrics))
    uploaded = {}
    for path in files:
        if path.exists():
            name = path.relative_to(folder)
            uploaded[name.as_posix()] = clean(path.resolve(), ours / name.parent)
    done = ours / "declared.json"
    sealed = {name: place for name, place in uploaded.items() if seals(name)}
    done.write_text(declaration(["wandb"], sealed), encoding="utf-8")
    for name, place in {**uploaded, "DONE": done}.items():
        artifact.add_file(str(place), name=name, policy="immutable")
    run.log_artifact(artifact)


def _labels(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What tells cells apart: the metrics that are text."""
    return redacted({key: value for key, value in metrics.items() if isinstance(value, str)})
