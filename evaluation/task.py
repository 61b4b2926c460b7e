"""Run one task of a plan: all its cells, one after another, the model loaded once.

    python -m evaluation.task sweep.tsv 0
    python -m torch.distributed.run --standalone --nproc_per_node 4 -m evaluation.task sweep.tsv 0

Cells that are finished are skipped, so the same command goes on after an interruption. A cell that
fails says why and lets the others go on; the exit code tells of it at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from evaluation.commandline import Command

command = Command()
log = logging.getLogger("solvent")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.task",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", type=Path, help="what `python -m evaluation.plan` wrote")
    parser.add_argument("task", type=int, help="number of the task, from 0")
    return parser.parse_args()


def main() -> None:
    """Compose and run every cell of the task."""
    asked = arguments()
    from evaluation.sweep import of_task, read

    cells = []
    with command.job():
        cells = of_task(read(asked.plan), asked.task)
    if not cells:
        return
    from evaluation.composing import compose_cell, composing
    from evaluation.session import run_cell  # torch and transformers: not needed for --help

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if os.environ.get("RANK", "0") == "0":
        log.setLevel(logging.INFO)
    with composing():
        for number, cell in enumerate(cells, start=1):
            log.info("task %d, cell %d of %d: %s", asked.task, number, len(cells), cell.folder)
            with command.job():
                run_cell(compose_cell(cell.overrides))


if __name__ == "__main__":
    command.run(main)
