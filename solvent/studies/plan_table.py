"""What a plan amounts to, on standard error: standard output is the plan."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from solvent.studies.planning import Plan
from solvent.studies.sweep import PlannedCell

T = TypeVar("T")
PATIENCE = 2.0  # seconds before a progress bar is worth its lines
SHOWN = 20  # tasks in the table


@contextmanager
def watching() -> Iterator[Callable[[Sequence[Any], Iterable[T]], Iterable[T]]]:
    """A progress bar that comes only where planning takes long."""
    columns = (TextColumn("planning"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar, began = Progress(*columns, console=_console(), transient=True), time.monotonic()

    def watched(cells: Sequence[Any], found: Iterable[T]) -> Iterable[T]:
        task = bar.add_task("", total=len(cells))
        for each in found:
            yield each
            bar.advance(task)
            if not bar.live.is_started and time.monotonic() - began > PATIENCE:
                bar.start()

    try:
        yield watched
    finally:
        bar.stop()


def show_plan(plan: Plan, *, hours: float, processes: int, name: str) -> None:
    """Print the tasks, the sums, and how to run them."""
    screen = _console()
    tasks = [list(cells) for _, cells in groupby(plan.cells, key=lambda cell: cell.task)]
    if tasks:
        screen.print(_table(tasks))
    dropped = f"{plan.finished:,} finished" + (f", {plan.same:,} the same" if plan.same else "")
    screen.print(
        f"cells: {plan.asked:,} asked, {dropped}, [bold]{len(plan.cells):,} to run; "
        f"tasks: {len(tasks):,}[/bold]",
        highlight=False,
    )
    if not tasks:
        return
    _show_time(screen, tasks, hours)
    minutes = max(1, round(60 * hours))
    options = [f"--array=0-{len(tasks) - 1}", f"--time={minutes}"]
    options += [f"--gres=gpu:{processes}"] if processes > 1 else []
    for line in (
        shlex.join(["sbatch", *options, "slurm/array.sbatch", name]),
        shlex.join(["python", "-m", "solvent", "task", name, "0"]) + "   # without Slurm: a task",
    ):
        screen.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _table(tasks: Sequence[Sequence[PlannedCell]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column, justify in (("task", "right"), ("model", "left"), ("benchmark", "left"),
                            ("cells", "right"), ("hours", "right")):  # fmt: skip
        table.add_column(column, justify=justify)
    for cells in tasks[:SHOWN]:
        model, benchmark = Path(cells[0].folder).parts[-3:-1]
        table.add_row(str(cells[0].task), model, benchmark, f"{len(cells):,}", _hours(cells))
    if len(tasks) > SHOWN:
        table.add_row("...", f"{len(tasks) - SHOWN:,} more", "", "", "")
    return table


def _hours(cells: Sequence[PlannedCell]) -> str:
    known = [cell.hours for cell in cells if cell.hours is not None]
    if not known:
        return "unknown"
    return f"{sum(known):.2f}" + ("" if len(known) == len(cells) else " + unknown")


def _show_time(screen: Console, tasks: Sequence[Sequence[PlannedCell]], hours: float) -> None:
    cells = [cell for task in tasks for cell in task]
    known = [cell.hours for cell in cells if cell.hours is not None]
    if len(known) < len(cells):
        screen.print(
            f"The time of {len(cells) - len(known):,} cells is unknown, as no finished cell has "
            "the same model on as many questions; their groups are not split",
            highlight=False,
        )
    if known:
        screen.print(
            f"about {sum(known):.2f} hours of computing, estimated from finished cells",
            highlight=False,
        )
    if late := [cell for cell in cells if (cell.hours or 0.0) > hours]:
        screen.print(
            f"[yellow]{len(late):,} cells take longer than {hours:g} hours each; a task that is "
            "stopped by its time limit goes on where it was when it runs again[/yellow]",
            highlight=False,
        )


def _console() -> Console:
    plain = Console(stderr=True)
    return plain if plain.is_terminal else Console(stderr=True, width=120)
