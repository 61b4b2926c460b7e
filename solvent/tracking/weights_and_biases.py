"""One Weights & Biases run per cell. It never prompts, and never fails the cell."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import psutil

from solvent.core.redaction import redacted, redacted_text
from solvent.core.stopping import Stopped
from solvent.core.types import Prediction, Sample
from solvent.tracking.outbox import Outbox
from solvent.tracking.pace import Pace
from solvent.tracking.uploads import COLUMNS, clean, evenly, flat, row

MODES = ("auto", "online", "offline", "disabled")
INTERRUPTED, FAILED = 130, 1  # exit codes that the dashboard shows
STARTING = 60.0  # seconds for the import and W&B's own process, beside the network
LEAVING = 20.0  # seconds to say that a run stopped: a cluster kills it soon after it asked to stop
LONGEST_TAG, LONGEST_NAME = 64, 128  # characters that W&B takes
AGAIN = "Run the same command again to log the cell."
LATER = "Its results are logged when the cell is finished."

log = logging.getLogger("solvent")


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
    ) -> Iterator[WandBRun]:
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
        run = WandBRun(self)
        run.start(description)
        try:
            yield run
        except BaseException as error:
            run.leave(error)
            raise
        run.leave(None)


@dataclass(eq=False)
class WandBRun:
    """A run while its cell is answered; silent once W&B could not start it."""

    tracking: WandB
    _run: Any = None
    _outbox: Outbox = field(default_factory=lambda: Outbox("W&B"))
    _open: bool = False
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(seconds=self.tracking.seconds_between_points)

    def start(self, description: Mapping[str, Any]) -> None:
        """Begin the run, online where somebody is logged in, offline elsewhere."""
        limit = 2 * self.tracking.init_timeout + STARTING

        def begin() -> Any:
            return _begin(self.tracking, description)

        self._run = self._outbox.ask(begin, "to start a run", AGAIN, limit)
        self._open = self._run is not None

    def progress(self, done: int, failed: int, doing: str) -> None:
        """A point of `progress/...`, unless the last was a moment ago; never waits."""
        if self._open and (point := self._pace.point(done, failed, doing)):
            run = self._run
            self._outbox.tell(lambda: run.log(point), "to log progress", LATER)

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
        if not self._open:
            return False
        run, point = self._run, self._pace.last()

        def deliver() -> bool:
            if point:
                run.log(point)
            run.summary.update(redacted(flat(metrics)))
            with _staging(_place(run) / "staging"):
                _log_table(run, self.tracking, predictions, samples)
                _log_figures(run, figures)
                _log_files(run, files, metrics)
            return True

        limit = self.tracking.finish_timeout + STARTING
        delivered = self._outbox.ask(deliver, "to log the results", AGAIN, limit)
        return self._end(0 if delivered else FAILED, limit) and delivered is True

    def leave(self, error: BaseException | None) -> None:
        """End the run if it is still open: preempted where somebody asked the cell to stop."""
        if not self._open:
            self._outbox.dismiss()
        elif isinstance(error, Stopped | KeyboardInterrupt):
            code = error.code if isinstance(error, Stopped) else INTERRUPTED
            self._end(code, LEAVING, self._run.mark_preempting)
        else:
            self._end(0 if error is None else FAILED, LEAVING)

    def _end(self, code: int, limit: float, before: Callable[[], Any] | None = None) -> bool:
        """Close the run; whether W&B has all that was logged."""
        run, self._open = self._run, False

        def end() -> bool:
            if before is not None:
                before()
            run.finish(exit_code=code)
            return True

        advice = f"`wandb sync {_place(run)}` uploads what is stored. {AGAIN}"
        ended = self._outbox.ask(end, "to end the run", advice, limit)
        self._outbox.dismiss()
        if self._outbox.hung:
            _end_service()
        return ended is True


def _begin(tracking: WandB, description: Mapping[str, Any]) -> Any:
    """A new run; None where the user has switched W&B off."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # what matters is said here, in the run's own words
    mode = _mode(tracking.mode, wandb)
    if mode == "disabled":
        _say_once("W&B: switched off (mode disabled); nothing is logged to it")
        return None
    folder = Path(tracking.folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _init(wandb, tracking, mode, description)
    except (wandb.errors.UsageError, wandb.errors.CommError) as error:
        if mode == "offline":
            raise
        log.warning(
            "W&B cannot be reached (%s); logging offline, for `wandb sync`",
            redacted_text(" ".join(str(error).split())),
        )
        wandb.teardown()  # its process still holds the run's id
        return _init(wandb, tracking, "offline", description)


def _mode(asked: str, wandb: Any) -> str:
    """Online only where a key is stored: `wandb.init` would ask for one in a terminal."""
    chosen = (os.environ.get("WANDB_MODE") or "online") if asked == "auto" else asked
    if chosen in ("offline", "dryrun"):
        return "offline"
    if chosen == "disabled" or wandb.login(prompt=False, verify=False):
        return chosen
    _say_once("W&B: not logged in (`wandb login`); logging offline, for `wandb sync`")
    return "offline"


@cache
def _say_once(sentence: str) -> None:
    """A sweep has many cells, all of which would say the same."""
    log.warning("%s", sentence)


def _init(wandb: Any, tracking: WandB, mode: str, description: Mapping[str, Any]) -> Any:
    """Start a run without what W&B would collect on its own: command line, git remote, code,
    terminal.
    """
    if mode == "offline":
        _drop_earlier(Path(tracking.folder), description["id"])
    settings = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "x_disable_meta": True,
        "init_timeout": tracking.init_timeout,
        "finish_timeout": tracking.finish_timeout,
        "finish_timeout_raises": True,
        "x_transaction_log_flush_interval": 1.0,  # s that a kill can lose; W&B would lose 15
    }
    known = wandb.Settings.model_fields  # W&B before 0.31 lacks the last ones
    run = wandb.init(
        **description,
        project=tracking.project,
        entity=tracking.entity,
        mode=mode,
        dir=tracking.folder,
        resume=None if mode == "offline" else "allow",
        reinit="finish_previous",  # by default W&B gives back an unfinished run of another cell
        settings=wandb.Settings(**{key: settings[key] for key in settings if key in known}),
    )
    run.define_metric("progress/done")
    run.define_metric("progress/*", step_metric="progress/done")
    return run


def _drop_earlier(folder: Path, identity: str) -> None:
    """Offline runs of this cell that a new one replaces: W&B cannot continue them."""
    for earlier in (folder / "wandb").glob(f"offline-run-*-{identity}"):
        shutil.rmtree(earlier)


def _log_table(
    run: Any, tracking: WandB, predictions: Sequence[Prediction], samples: Sequence[Sample]
) -> None:
    import wandb

    rows = []
    for index in evenly(len(predictions), tracking.table_rows):
        content = row(predictions[index], samples[index], tracking.picture_side)
        if content["image"] is not None:
            content["image"] = wandb.Image(content["image"])
        rows.append(list(content.values()))
    run.log({"predictions": wandb.Table(columns=list(COLUMNS), data=rows)})


def _log_figures(run: Any, figures: Sequence[Path]) -> None:
    import wandb

    if figures:
        run.log({f"figure/{path.stem}": wandb.Image(str(path)) for path in figures})


def _log_files(run: Any, files: Sequence[Path], metrics: Mapping[str, Any]) -> None:
    """The files as one artifact; not copied, as a finished cell does not change."""
    import wandb

    artifact = wandb.Artifact(f"cell-{run.id}", type="cell", metadata=_labels(metrics))
    for path in files:
        if path.exists():
            artifact.add_file(str(clean(path.resolve(), _place(run) / "clean")), policy="immutable")
    run.log_artifact(artifact)


@contextmanager
def _staging(place: Path) -> Iterator[None]:
    """Let W&B keep what it will upload beside the run, not in the home folder: an offline sweep
    would fill that. A place of the user's own is respected.
    """
    own = os.environ.get("WANDB_DATA_DIR")
    place.mkdir(parents=True, exist_ok=True)
    os.environ["WANDB_DATA_DIR"] = own or str(place.resolve())
    try:
        yield
    finally:
        if own is None:
            del os.environ["WANDB_DATA_DIR"]


def _labels(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What tells cells apart: the metrics that are text."""
    return redacted({key: value for key, value in metrics.items() if isinstance(value, str)})


def _end_service() -> None:
    """End W&B's own process where it hangs: on exit W&B would wait for it, however long."""
    for child in psutil.Process().children():
        if child.name().startswith("wandb-core"):
            child.kill()


def _place(run: Any) -> Path:
    """The folder of the run on this machine."""
    return Path(run.dir).parent
