"""From a composed configuration to a finished cell: ask, answer, record, show."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from rich.markup import escape

from solvent.cells.answering import Cell
from solvent.cells.asking import Asked, Questions, identify, question, understand
from solvent.cells.batches import answer_all
from solvent.cells.diagnosing import (
    REFERENCE,
    answer_conditions,
    check_altered,
    judge,
    lens,
    serves_as_real,
    under,
    watches,
)
from solvent.cells.input_files import record
from solvent.cells.loading import load_model
from solvent.cells.mistakes import sentence
from solvent.cells.processes.monitor import Monitor
from solvent.cells.processes.parallel import team
from solvent.cells.processes.signs import LOADING
from solvent.cells.provenance import provenance
from solvent.cells.request import as_yaml, parse
from solvent.cells.revisions import pinned
from solvent.cells.scoring import summarise
from solvent.core.checkpoints import content, is_folder
from solvent.core.files import disk_errors_explained
from solvent.core.redaction import RedactedFormatter, redacted
from solvent.core.stopping import Stopped
from solvent.core.trees import differing
from solvent.core.types import (
    Followed,
    Sample,
)
from solvent.reports.figures import draw_cell
from solvent.reports.overall_reading import overall_of
from solvent.reports.table import cell_title, console, show_cell, show_failures, show_line
from solvent.reports.usage_figures import draw_usage
from solvent.storage.claims import BusyError, Holding, claimed, clear
from solvent.storage.runs import begin, end, runs

RECORD = ("predictions.jsonl", "metrics.json", "timing.json", "config.yaml", "identity.json",
          "provenance.json", "diagnostics/findings.json",
          "diagnostics/*/predictions.jsonl")  # fmt: skip

log = logging.getLogger("solvent")


def run_cell(config: Any, *, brief: bool | None = None) -> dict[str, Any]:
    """Run one cell, or say that it is finished; returns its metrics.

    All processes of a run call it with the same configuration.

    Args:
        config: as composed by Hydra.
        brief: show one line instead of tables; None: in a sweep.

    Raises:
        BusyError: another run works on the cell.
        ValueError: something was asked that cannot be done.
        Stopped: the run was asked to end, and what it computed is kept.
    """
    _set_up_logging()
    together = team()
    with together.together():
        request = parse(config)
        brief = request.sweeps if brief is None else brief
        together.signs.expect(request.stuck_minutes)
        request = together.once(lambda: pinned(request))
        asked = understand(request, together.once(lambda: identify(request)))
        if together.once(lambda: asked.folder.finished):
            return together.once(lambda: show_finished(asked, brief))
        questions = question(asked)
        note = partial(asked.folder.end, "failed", total=len(questions.shown))
        with held(asked, questions) as holding, together.signs.noting(note):
            compute(asked, questions, holding)
            return together.once(lambda: show(asked, brief))


@contextmanager
def held(asked: Asked, questions: Questions) -> Iterator[Holding | None]:
    """Make the cell's folder and hold the claim on it; how the run ends is noted there."""
    folder = asked.folder
    if not team().main:
        team().exchange()
        yield None
        return
    folder.make(len(questions.shown) + len(questions.tested) * len(questions.conditions))
    with claimed(folder.path) as holding:
        if folder.finished:
            raise BusyError(f"{folder.path} has just been finished by another run")
        settings = as_yaml(redacted(asked.request.settings))
        folder.open(settings, redacted(asked.identity.definition))
        team().exchange()
        try:
            with disk_errors_explained(folder.path):
                yield holding
        except Stopped as stopped:
            folder.end("stopped", stopped.why, len(questions.shown))
            raise
        except Exception as error:
            folder.end("failed", sentence(error), len(questions.shown))
            raise


def compute(asked: Asked, questions: Questions, holding: Holding | None) -> None:
    """Answer everything, score it, and declare the cell done."""
    request, folder, together = asked.request, asked.folder, team()
    with together.signs.at(LOADING):
        model = load_model(request.model)
        check_loaded(asked)
        check_altered(questions.conditions, model)
    facts = redacted(
        provenance(model.provenance())
        | {
            "files": record(asked.files),
            "data": questions.benchmark.provenance(),
            "processes": together.size,
        }
    )
    together.once(lambda: begin(folder, facts))
    cell = Cell(
        model=model,
        benchmark=questions.benchmark,
        condition=asked.condition.name,
        samples=questions.shown,
        intervention=under(asked.condition.intervention, asked.intervention),
        batch_size=request.batch_size,
        title=cell_title(asked.labels),
        measured=True,
        max_failed=request.max_failed,
    )
    if asked.tests and serves_as_real(cell, REFERENCE):
        cell = replace(
            cell,
            watches=watches(asked.tests, REFERENCE),
            lens=lens(asked.tests, REFERENCE, questions.shown),
        )
    names = together.exchange(together.name)
    following = followed(asked, facts, len(cell.samples)) if together.main else nullcontext()
    with following as tracker:
        monitor = Monitor()
        if holding and tracker:
            monitor = Monitor(
                patience=together.signs.patience,
                names=names,
                tell=holding.tell,
                progress=tracker.progress,
                hangs=together.signs.end_run,
            )
        answer_all(cell, folder, monitor)
        answer_conditions(
            cell, questions.tested, asked.tests, questions.conditions, folder, monitor
        )
        together.once(lambda: conclude(asked, questions, cell, tracker))


def check_loaded(asked: Asked) -> None:
    """Refuse a checkpoint whose files changed between the look at them and the loading."""
    model = asked.request.model
    checkpoint = model["checkpoint"]
    if is_folder(checkpoint):
        then = asked.identity.setting["model"]["checkpoint"]
        if changed := differing(then, content(checkpoint, model["trust_remote_code"])):
            raise ValueError(
                f"{', '.join(changed)} of {checkpoint} changed while it was loaded: run the "
                "command again when it is written"
            )


def check_same(asked: Asked) -> None:
    """Condemn the answers where data or input files changed while they were given."""
    now, then = identify(asked.request).definition, asked.identity.definition
    if changed := [each for each in differing(then, now) if not each.startswith("model.")]:
        asked.folder.condemn(", ".join(changed))


def conclude(asked: Asked, questions: Questions, cell: Cell, tracker: Followed) -> None:
    """Everything after the last answer."""
    check_same(asked)
    folder, figures = asked.folder, asked.folder.path / "figures"
    metrics = {**asked.labels, **summarise(cell.benchmark, folder.stored())}
    if cell.benchmark.skipped:
        metrics["skipped"] = cell.benchmark.skipped
    if asked.tests:
        findings = judge(asked.tests, list(questions.conditions), folder)
        draw_usage(findings, asked.tests, cell_title(asked.labels), figures)
        metrics["diagnostics"] = {
            name: {key: value for key, value in found.items() if key != "series"}
            for name, found in findings.items()
        }
        metrics |= overall_of(findings)
    cell.benchmark.export(folder.stored(), folder.path)
    draw_cell(metrics, figures)
    folder.write_metrics(metrics, folder.timing(cell.batch_size))
    end(folder)
    logged = log_cell(asked, questions.shown, tracker)
    folder.finish([asked.tracking.name] if logged else [])


def followed(
    asked: Asked, facts: Mapping[str, Any], total: int
) -> AbstractContextManager[Followed]:
    """Tell the cell's tracker that it begins."""
    return asked.tracking.follow(
        identity=asked.folder.path.name,
        folder=asked.folder.path,
        study=asked.request.study,
        config=asked.request.settings,
        labels=asked.labels,
        provenance=facts,
        total=total,
    )


def log_cell(asked: Asked, shown: Sequence[Sample], tracker: Followed) -> bool:
    """Tell the cell's tracker its result; whether it understood."""
    folder = asked.folder
    files = [place for name in RECORD for place in sorted(folder.path.glob(name))]
    return tracker.finish(
        metrics=folder.metrics(),
        predictions=folder.stored(),
        samples=shown,
        figures=sorted((folder.path / "figures").glob("*.png")),
        files=files,
    )


def show(asked: Asked, brief: bool) -> dict[str, Any]:
    """Print a finished cell; returns its metrics."""
    screen, metrics = console(), asked.folder.metrics()
    if metrics["errors"]:
        show_failures(screen, asked.folder.stored())
    if brief:
        show_line(screen, metrics)
    else:
        show_cell(screen, metrics)
        screen.print(
            f"[dim]{escape(str(asked.folder.path))}[/dim]", highlight=False, soft_wrap=True
        )
    return metrics


def show_finished(asked: Asked, brief: bool) -> dict[str, Any]:
    """Print a cell that was finished before, and tell its tracker if that does not know it yet."""
    folder = asked.folder
    folder.check()
    folder.check_identity(redacted(asked.identity.definition))
    console().print(
        f"already finished  [dim]{escape(str(folder.path))}[/dim]", highlight=False, soft_wrap=True
    )
    try:
        folder.settle()
        clear(folder.path)
    except OSError as error:  # of a disk that cannot be written: the results are all there
        log.warning("what the last run left in %s stays: %s", folder.path, error.strerror)
    if asked.tracking.name not in folder.tracked():
        facts = runs(folder)[-1]
        shown = question(asked).shown
        with followed(asked, facts, len(shown)) as tracker:
            if log_cell(asked, shown, tracker):
                folder.tell(asked.tracking.name)
    return show(asked, brief)


def _set_up_logging() -> None:
    rank, size = team().rank, team().size
    form = "%(message)s" if size == 1 else f"process {rank}: %(message)s"
    handler = logging.StreamHandler()
    handler.setFormatter(RedactedFormatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    log.setLevel(logging.INFO if team().main else logging.WARNING)
