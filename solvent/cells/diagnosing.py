"""The modality-usage tests of one cell: every condition is answered once and shared by all tests.

    <cell>/diagnostics/<condition>/predictions.jsonl   resumable, like the cell itself
    <cell>/diagnostics/findings.json                   verdicts, numbers, what figures show, and
                                                       facts of the tests: what they ask, say

Where the cell itself shows the samples as they are and ranks their options, its own predictions
serve as those of `real`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from interventions.errors import InterventionError
from interventions.methods.cutting import behind, is_cut
from solvent.cells.answering import Cell
from solvent.cells.batches import answer_all
from solvent.cells.processes.monitor import Monitor
from solvent.cells.request import check_known
from solvent.core.files import write_atomically
from solvent.core.types import VLM, Benchmark, Condition, Diagnostic, Lens, Prediction, Sample
from solvent.diagnostics.base import UPDATES
from solvent.diagnostics.judging import judge_all
from solvent.diagnostics.observations import gather
from solvent.storage.folder import CellFolder

log = logging.getLogger("solvent")
REFERENCE = "real"
FINDINGS = "findings.json"


def answer_conditions(
    cell: Cell,
    samples: Sequence[Sample],
    tests: Mapping[str, Diagnostic],
    conditions: Mapping[str, Condition],
    folder: CellFolder,
    monitor: Monitor,
) -> None:
    """Answer all conditions that the tests need, under the cell's intervention.

    Args:
        cell: as it was scored.
        samples: of the benchmark, as they are, all with options.
        tests: by name.
        conditions: by name; those that the tests need.
        folder: of the cell.
        monitor: is told how far it is.
    """
    benchmark = cell.benchmark.ranking() if conditions else cell.benchmark
    for number, (name, condition) in enumerate(conditions.items(), start=1):
        if serves_as_real(cell, name):
            continue
        views = condition.views(samples)
        shown = replace(
            cell,
            benchmark=benchmark,
            condition=name,
            samples=views,
            intervention=under(condition.intervention, cell.intervention),
            title=f"{name}, condition {number} of {len(conditions)}",
            measured=False,
            watches=watches(tests, name),
            lens=lens(tests, name, views),
            altered=getattr(condition, "altered", None),
        )
        answer_all(shown, folder.condition(name), monitor)


def check_altered(conditions: Mapping[str, Condition], model: VLM) -> None:
    """Refuse, before anything is answered, a condition that this model cannot be altered for."""
    for name, condition in conditions.items():
        if check := getattr(condition, "check", None):
            try:
                check(model)
            except InterventionError as error:
                raise ValueError(
                    f"the condition {name!r} cannot be shown to {model.name}; leave it out of the "
                    f"settings of the test that needs it: {error}"
                ) from error


def under(brought: Any, own: Any) -> Any:
    """The intervention of a cell under a condition that brings one, or none: a knockout goes before
    the cell's own, so that both act; any other takes its place.
    """
    if brought is None:
        return own
    return behind(own, brought) if is_cut(brought) else brought


def judge(
    tests: Mapping[str, Diagnostic], conditions: Sequence[str], folder: CellFolder
) -> dict[str, Any]:
    """What the tests say of a cell whose conditions are all answered; kept beside the answers."""
    for name in conditions:
        folder.condition(name).settle()
    answers = answers_of(folder, conditions)
    gather(tests, answers, folder.path)
    findings = judge_all(tests, answers, folder.path)
    text = json.dumps(findings, indent=1, allow_nan=False)
    place = folder.path / "diagnostics" / FINDINGS
    place.parent.mkdir(exist_ok=True)  # a test may need no condition but the cell's own answers
    write_atomically(place, f"{text}\n")
    return findings


def with_options(benchmark: Benchmark, samples: Sequence[Sample]) -> list[Sample]:
    """The questions whose options' probabilities can be compared.

    Raises `ValueError` where there is none; those without options are left out, which is logged.
    """
    asked = [sample for sample in samples if sample.options]
    if not asked:
        raise ValueError(
            "the modality-usage tests compare the probabilities of options, and no question of "
            f"{benchmark.name} has any; choose another benchmark"
        )
    if len(asked) < len(samples):
        log.info(
            "%d of %d questions have no options and are left out of the modality-usage tests",
            len(samples) - len(asked),
            len(samples),
        )
    return asked


def watches(tests: Mapping[str, Diagnostic], condition: str) -> list[str]:
    """What the tests want to see inside the model under a condition."""
    return [
        sight
        for test in tests.values()
        for sight, names in test.watches.items()
        if condition in names
    ]


def lens(tests: Mapping[str, Diagnostic], condition: str, samples: Sequence[Sample]) -> Lens | None:
    """What a test measures of updates of the residual stream under a condition; None: nothing."""
    uids = [sample.uid for sample in samples]
    watching = [test for test in tests.values() if condition in test.watches.get(UPDATES, ())]
    return watching[0].lens(uids, condition) if watching else None


def serves_as_real(cell: Cell, name: str) -> bool:
    """Whether the cell's own predictions are those of a condition."""
    ranks = all(cell.benchmark.mode(sample) == "rank" for sample in cell.samples)
    return name == cell.condition == REFERENCE and ranks


def answers_of(folder: CellFolder, names: Sequence[str]) -> dict[str, list[Prediction]]:
    """Stored predictions by condition. Raises `FileNotFoundError` when some are missing."""
    found = {}
    for name in names:
        place = folder.condition(name)
        place = folder if name == REFERENCE and not place.merged else place
        if not place.merged:
            raise FileNotFoundError(
                f"{place.path} has no predictions.jsonl: run the cell's command again to complete "
                "it"
            )
        found[name] = place.predictions()
    return found


def needed(tests: Mapping[str, Diagnostic], known: Sequence[str]) -> list[str]:
    """Names of the conditions that the tests need, `real` first, each once.

    Raises `ValueError` when one is not known.
    """
    names = dict.fromkeys(
        [REFERENCE, *(name for test in tests.values() for name in test.conditions)]
    )
    for name in names:
        check_known(name, known)
    return list(names)
