"""Measure what grouping saves: seconds per cell against the number of cells in one task.

    python -m tools.grouping --figure docs/grouping.png

A cell that has a process to itself pays for imports and for loading the model alone. Times are of
the CPU, over all threads of the process, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from solvent.commands.commandline import Command
from solvent.studies.sweep import PlannedCell, plan_text

CELLS = ("learned", "uniform", "gaussian", "knockout", "reversed", "permuted")
SIZES = (1, 2, 3, 6)  # cells of one task
QUESTIONS = 90  # of a cell
command = Command("The figure was not drawn.")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.grouping",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--figure", type=Path, required=True, help="path of the picture (.png)")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts (default: 3)")
    return parser.parse_args()


def main() -> None:
    """Run tasks of several sizes, draw."""
    asked = arguments()
    with command.job():
        if asked.repeats < 1:
            raise ValueError(f"--repeats is {asked.repeats}; expected at least 1")
        seconds = [median(measure(size) for _ in range(asked.repeats)) for size in SIZES]
        for size, each in zip(SIZES, seconds, strict=True):
            sys.stdout.write(f"{size} cells in one task: {each:.1f} CPU seconds per cell\n")
        draw(seconds, asked.figure)


def measure(size: int) -> float:
    """CPU seconds per cell of a task with that many cells, from its start to its end.

    Raises `subprocess.CalledProcessError` where the task fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "sweep.tsv"
        plan.write_text(plan_text(_cells(size, folder)))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "solvent", "task", str(plan), "0"],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent / size


def _cells(size: int, folder: str) -> list[PlannedCell]:
    shared = ("model=tiny", "benchmark=shapes", f"limit={QUESTIONS}", f"output={folder}")
    return [
        PlannedCell(task=0, hours=None, folder=folder, overrides=(f"intervention={name}", *shared))
        for name in CELLS[:size]
    ]


def draw(seconds: Sequence[float], path: Path) -> None:
    """Seconds per cell for each of `SIZES`, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.2), dpi=200, layout="constrained")
    axes = figure.subplots()
    bars = axes.bar([str(size) for size in SIZES], seconds, width=0.6, color="#4477aa")
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_xlabel("cells that one task runs in one process")
    axes.set_ylabel("CPU seconds per cell")
    axes.set_title(
        f"The small model `tiny`, {QUESTIONS} questions of `shapes` per cell,\n"
        "from the start of the process to its end",
        fontsize=9,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    command.run(main)
