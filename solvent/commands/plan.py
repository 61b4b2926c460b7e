"""Plan a sweep: which cells are left, and which of them one task should run.

    python -m solvent plan experiment=demo --hours 4 > sweep.tsv
    python -m solvent plan model=tiny,tiny_blind intervention=uniform seed=0,1 > sweep.tsv

    python -m solvent plan --config-dir mine benchmark=my_set > sweep.tsv

Settings are those of `python evaluate.py -m`. Every line of the plan is a cell; a task is all cells
of one model on one benchmark, so that a task loads its model once, or as many of them as fit into
the time limit. `python -m solvent task sweep.tsv 0` runs a task.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from solvent.commands.commandline import Command
from solvent.core.paths import own_folder

command = Command("Nothing was planned.")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="solvent plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="as of evaluate.py -m")
    parser.add_argument(
        "--hours", type=_positive, default=24.0, help="time limit of one task (default: 24)"
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="GPUs of one task, a process each (default: 1)"
    )
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="makes no difference: a plan always is one"
    )
    return parser.parse_intermixed_args()


def main() -> None:
    """Print the plan on standard output, what it amounts to on standard error."""
    asked = arguments()
    from solvent.studies.plan_table import show_plan, watching
    from solvent.studies.planning import plan  # torch and transformers: not needed for --help
    from solvent.studies.sweep import plan_text

    with command.job():
        if asked.processes < 1:
            raise ValueError(f"--processes is {asked.processes}; expected at least 1")
        with watching() as progress:
            planned = plan(asked.overrides, asked.hours, asked.processes, progress)
        sys.stdout.write(plan_text(planned.cells, own_folder()))
        name = _redirected() or "sweep.tsv"
        show_plan(planned, hours=asked.hours, processes=asked.processes, name=name)


def _positive(text: str) -> float:
    hours = float(text)
    if not (hours > 0 and math.isfinite(hours)):
        raise argparse.ArgumentTypeError(f"{text} is no time: expected hours above 0")
    return hours


def _redirected() -> str | None:
    """The file that standard output goes to, where the system tells."""
    try:
        path = Path("/proc/self/fd/1").readlink()
    except OSError:
        return None
    if not path.is_file():
        return None
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


if __name__ == "__main__":
    command.run(main)
