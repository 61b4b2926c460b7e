"""How far everything is: cells done, running, stopped, failed, and why.

    python -m solvent status outputs
    python -m solvent status outputs/demo --plan sweep.tsv   # also what was not begun yet

Reads files only, so it can be asked at any time and from any machine that sees the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from solvent.commands.commandline import Command
from solvent.studies.cell_status import CellStatus, statuses
from solvent.studies.progress import show_status
from solvent.studies.sweep import load_plan

command = Command("Nothing was changed.")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="solvent status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="of all results, of a study, or of a cell")
    parser.add_argument("--plan", type=Path, help="what `python -m solvent plan` wrote")
    parser.add_argument("--json", action="store_true", help="a list of cells, for machines")
    return parser.parse_args()


def main() -> None:
    """Print every cell that is not done, and how many are."""
    asked = arguments()
    with command.job():
        planned = [Path(cell.folder) for cell in load_plan(asked.plan)] if asked.plan else []
        found = statuses(asked.folder, planned)
        if asked.json:
            sys.stdout.write(json.dumps([_plain(each) for each in found], indent=1) + "\n")
        else:
            show_status(found)


def _plain(each: CellStatus) -> dict[str, object]:
    return asdict(each) | {"path": str(each.path)}


if __name__ == "__main__":
    command.run(main)
