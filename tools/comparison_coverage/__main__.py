"""Prints the tables."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rich.console import Console
from rich.progress import track

import tools.comparison_coverage as package
from tools.comparison_coverage.curve_worlds import curve_table
from tools.comparison_coverage.paired_worlds import crossed_table, power_table, single_table
from tools.comparison_coverage.summary_worlds import effects_table, scores_table

TABLES = {
    "single": single_table,
    "seeds": crossed_table,
    "power": power_table,
    "curves": curve_table,
    "effects": effects_table,
    "scores": scores_table,
}


def main() -> None:
    """Print the tables that were asked for, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.comparison_coverage", description=package.__doc__
    )
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="which; all by default")
    parser.add_argument("--runs", type=int, default=400, help="of every world")
    arguments = parser.parse_args()
    progress = Console(stderr=True)
    for name in arguments.tables or TABLES:
        follow = partial(track, description=name, console=progress)
        sys.stdout.write(f"{name}\n\n{TABLES[name](arguments.runs, follow)}\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
