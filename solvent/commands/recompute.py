"""Read the modality-usage tests of a cell again from its stored answers, without a model.

    python -m solvent recompute RUN
    python -m solvent recompute RUN diagnostic.dependency.margin_bits=0.02

RUN is the folder of a cell. Prints the findings and whether they equal those in `metrics.json`.
Nothing is overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from solvent.commands.commandline import Command

command = Command("Nothing was written.")


def main() -> None:
    """Read the arguments, read the tests."""
    arguments = argparse.ArgumentParser(
        prog="solvent recompute",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    arguments.add_argument("run", type=Path, help="folder of a cell that was run with diagnostics")
    arguments.add_argument("changes", nargs="*", metavar="diagnostic.TEST.SETTING=VALUE")
    given = arguments.parse_intermixed_args()
    from solvent.cells.recomputing import recompute  # slow imports: not needed for --help

    with command.job():
        recompute(given.run, given.changes)


if __name__ == "__main__":
    command.run(main)
