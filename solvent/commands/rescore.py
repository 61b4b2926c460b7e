"""Read and score the stored answers of a finished cell again, without a model and without data.

    python -m solvent rescore RUN parser=Words
    python -m solvent rescore RUN compat=vlmevalkit --write
    python -m solvent rescore RUN benchmark.reducers.score.tags=[kind,law] --write --label by-law

RUN is the folder of a cell. Prints the old scores beside the new ones, and how many answers are
read otherwise. `--write` keeps the new ones there as `metrics-LABEL.json`; `metrics.json` stays.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from solvent.commands.commandline import Command

command = Command("Nothing was written.")


def main() -> None:
    """Read the arguments, score again."""
    arguments = argparse.ArgumentParser(
        prog="solvent rescore",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    arguments.add_argument("run", type=Path, help="folder of a finished cell")
    known = "parser=NAME, compat=NAME, or any benchmark.SETTING=VALUE"
    arguments.add_argument("changes", nargs="*", metavar="setting=value", help=known)
    arguments.add_argument("--write", action="store_true", help="keep the new metrics")
    arguments.add_argument("--label", help="of the file; by default made from the settings")
    given = arguments.parse_intermixed_args()
    from solvent.cells.rescoring import rescore  # torch and transformers: not needed for --help

    with command.job():
        rescore(given.run, given.changes, label=given.label, write=given.write)


if __name__ == "__main__":
    command.run(main)
