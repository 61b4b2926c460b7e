"""Run one task of a plan: all its cells, one after another, the model loaded once.

    python -m solvent task sweep.tsv 0
    python -m torch.distributed.run --standalone --nproc_per_node 4 -m solvent task sweep.tsv 0

Cells that are finished are skipped, so the same command goes on after an interruption. A cell that
fails says why and lets the others go on; the exit code tells of it at the end.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from solvent.commands.commandline import Command
from solvent.studies.own_folder import own_definitions

command = Command()


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="solvent task",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", type=Path, help="what `python -m solvent plan` wrote")
    parser.add_argument("task", type=int, help="number of the task, from 0")
    return parser.parse_args()


def main() -> None:
    """Compose and run every cell of the task."""
    asked = arguments()
    from solvent.studies.sweep import load_plan, of_task, own_folder_of

    cells = []
    with command.job():
        cells = of_task(load_plan(asked.plan), asked.task)
        command.own = command.own or own_folder_of(asked.plan)  # which may have moved
    if not cells:
        return
    from solvent.cells.processes.parallel import team
    from solvent.cells.run import run_cell  # torch and transformers: not needed for --help
    from solvent.core.stopping import check
    from solvent.studies.composing import compose_cell, composing

    with own_definitions(command.own), composing():
        for number, cell in enumerate(cells, start=1):
            if team().main:
                _say(f"task {asked.task}, cell {number} of {len(cells)}: {cell.folder}")
            with command.job():
                with team().together():
                    check()
                run_cell(compose_cell(cell.overrides))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    command.run(main)
