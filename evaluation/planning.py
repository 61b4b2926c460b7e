"""From the overrides of a multirun to tasks: what is finished is dropped, and each task loads one
model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from evaluation.composing import compose_cell, composing, expand
from evaluation.identity import cell_folder
from evaluation.inputs import check_inputs, input_files
from evaluation.session import calibration_command, needed_conditions
from evaluation.sweep import PlannedCell
from evaluation.throughput import Throughput

FULL = 0.8  # of the time limit that a task is given: loading takes time too, and estimates err
Progress = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is left to do, and how much was not."""

    cells: Sequence[PlannedCell]  # by task
    asked: int  # cells of the multirun
    finished: int  # of these
    same: int  # of these, the same as an earlier cell


@dataclass(kw_only=True)
class _Found:
    """Cells that are left, by what a task shares: a model's settings and a benchmark's name."""

    groups: dict[str, list[PlannedCell]] = field(default_factory=lambda: defaultdict(list))
    asked: int = 0
    finished: int = 0
    folders: set[Path] = field(default_factory=set)


def plan(overrides: Sequence[str], hours: float, processes: int, progress: Progress) -> Plan:
    """Group the cells of `python evaluate.py -m OVERRIDES` that are left into tasks.

    Args:
        overrides: of Hydra.
        hours: time limit of a task.
        processes: that share the work of a task.
        progress: is handed the cells and yields them, as a progress bar does.

    Raises `ValueError`, `FileNotFoundError` or an error of Hydra where a cell cannot be composed.
    """
    with composing():
        found = _find(expand(overrides), processes, progress)
    return Plan(
        cells=list(_numbered(found.groups, FULL * hours)),
        asked=found.asked,
        finished=found.finished,
        same=found.asked - len(found.folders),
    )


def _find(cells: Sequence[Sequence[str]], processes: int, progress: Progress) -> _Found:
    found = _Found(asked=len(cells))
    known: dict[Path, Throughput] = {}
    for overrides in progress(cells):
        config = compose_cell(overrides)
        folder = cell_folder(config, _intervention(config))
        if folder.path in found.folders:
            continue
        found.folders.add(folder.path)
        if folder.finished:
            found.finished += 1
            continue
        output = Path(config.output)
        throughput = known.setdefault(output, None) or Throughput(output)
        known[output] = throughput
        seconds = throughput.seconds(config, _passes(config))
        found.groups[_shared(config)].append(
            PlannedCell(
                task=0,
                hours=None if seconds is None else seconds / processes / 3600,
                folder=str(folder.path),
                overrides=tuple(overrides),
            )
        )
    return found


def _intervention(config: DictConfig) -> Any:
    intervention = instantiate(config.intervention, _convert_="all")
    files = input_files(config.intervention)
    check_inputs(intervention.name, files, calibration_command(config))
    return intervention


def _passes(config: DictConfig) -> int:
    """How often every question is answered."""
    tests = instantiate(config.get("diagnostic") or {}, _convert_="all")
    return len(needed_conditions(config, tests)) if tests else 1


def _shared(config: DictConfig) -> str:
    return repr([OmegaConf.to_container(config.model, resolve=True), config.benchmark.name])


def _numbered(groups: Mapping[str, Sequence[PlannedCell]], hours: float) -> Iterator[PlannedCell]:
    """Number the tasks; a group that takes longer becomes several, in order."""
    numbers = count()
    for cells in groups.values():
        task, spent = next(numbers), 0.0
        for cell in cells:
            if spent and spent + (cell.hours or 0.0) > hours:
                task, spent = next(numbers), 0.0
            spent += cell.hours or 0.0
            yield PlannedCell(
                task=task, hours=cell.hours, folder=cell.folder, overrides=cell.overrides
            )
