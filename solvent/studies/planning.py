"""From the overrides of a multirun to tasks: what is finished is dropped, and each task loads one
model.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from solvent.cells.asking import build_tests, identify
from solvent.cells.identity import cell_folder
from solvent.cells.loading import needed_conditions
from solvent.cells.request import Request, parse
from solvent.cells.revisions import pinned
from solvent.studies.composing import compose_cell, composing, expand
from solvent.studies.sweep import PlannedCell
from solvent.studies.throughput import Asked, Throughput

FULL = 0.8  # of the time limit that a task is given: loading takes time too, and estimates err
MANY = 64  # cells from which on several processes compose them: about 0.3 s each
MOST = 16  # processes
Progress = Callable[[Sequence[Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is left to do, and how much was not."""

    cells: Sequence[PlannedCell]  # by task
    asked: int  # cells of the multirun
    finished: int  # of these
    same: int  # of these, the same as an earlier cell


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a plan needs to know of a cell."""

    overrides: tuple[str, ...]
    output: Path
    folder: Path
    finished: bool
    shared: str  # equal for cells that one task may run
    asked: Asked


def plan(overrides: Sequence[str], hours: float, processes: int, progress: Progress) -> Plan:
    """Group the cells of `python evaluate.py -m OVERRIDES` that are left into tasks.

    Args:
        overrides: of Hydra.
        hours: time limit of a task.
        processes: that share the work of a task.
        progress: is handed all cells and what becomes of them, and yields the latter.

    Raises `ValueError`, `FileNotFoundError` or an error of Hydra where a cell cannot be composed.
    """
    with composing():
        cells = expand(overrides)
        examined = list(progress(cells, _examine_all(cells)))
    different = {each.folder: each for each in reversed(examined)}  # the first of each
    left = [each for each in examined if different[each.folder] is each and not each.finished]
    throughput = cache(Throughput)
    groups: dict[str, list[PlannedCell]] = defaultdict(list)
    for each in left:
        seconds = throughput(each.output).seconds(each.asked)
        groups[each.shared].append(
            PlannedCell(
                task=0,
                hours=None if seconds is None else seconds / processes / 3600,
                folder=str(each.folder),
                overrides=each.overrides,
            )
        )
    return Plan(
        cells=list(_numbered(groups, FULL * hours)),
        asked=len(cells),
        finished=sum(each.finished for each in different.values()),
        same=len(cells) - len(different),
    )


def _examine_all(cells: Sequence[Sequence[str]]) -> Iterator[Examined]:
    workers = min(MOST, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1
    if len(cells) < MANY or workers < 2:
        yield from map(_examine, cells)
        return
    fork = multiprocessing.get_context("fork")  # they inherit what was imported and read
    with ProcessPoolExecutor(workers, mp_context=fork) as pool:
        for overrides, found in zip(cells, pool.map(_try, cells, chunksize=8), strict=True):
            yield found or _examine(overrides)  # which raises again what cannot be sent


def _try(overrides: Sequence[str]) -> Examined | None:
    try:
        return _examine(overrides)
    except Exception:  # of any kind: it is met again where it can be told
        return None


def _examine(overrides: Sequence[str]) -> Examined:
    request = pinned(parse(compose_cell(overrides)))
    folder = cell_folder(request, identify(request))
    model, benchmark = request.model, request.benchmark
    return Examined(
        overrides=tuple(overrides),
        output=Path(request.output),
        folder=folder.path,
        finished=folder.finished,
        shared=repr((model, benchmark["name"])),
        asked=Asked(
            model=model["name"],
            benchmark=benchmark["name"],
            limit=benchmark["limit"],
            expected=(benchmark.get("expect") or {}).get("rows"),
            passes=_passes(request),
        ),
    )


def _passes(request: Request) -> int:
    tests = build_tests(request.tests)
    return len(needed_conditions(request.conditions, tests)) if tests else 1


def _numbered(groups: Mapping[str, Sequence[PlannedCell]], hours: float) -> Iterator[PlannedCell]:
    """Number the tasks; a group that takes longer becomes several, in order."""
    numbers = count()
    for cells in groups.values():
        task, spent = next(numbers), 0.0
        for cell in cells:
            if spent and spent + (cell.hours or 0.0) > hours:
                task, spent = next(numbers), 0.0
            spent += cell.hours or 0.0
            yield replace(cell, task=task)
