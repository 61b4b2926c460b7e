"""Kill a run again and again, go on with another number of processes, compare the result.

python -m tests.stress --kills 100

Half of the kills hit all processes at once at a random moment, as a node failure does; the other
half hit one process just before a change of the disk, any from its first claim to the last file,
so that merging and the final writes are hit as often as everything else.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.processes import complete, contents, finish, kill, moment, start

SCORED = ("limit=27", "batch_size=4", "intervention=gaussian")
TESTED = ("limit=45", "batch_size=8", "intervention=gaussian", "diagnostic=[information]")
CELLS = (*[SCORED] * 7, TESTED)  # which take longer; every cell is one of these
CHANGES = 60  # of the disk, by the main process, in an uninterrupted run


@dataclass
class Tally:
    """What was done."""

    kills: int = 0
    finished: int = 0  # cells that were completed in spite of them
    most: int = 0  # kills that one of them survived


def stress(kills: int, cells: Sequence[Sequence[str]], place: Path, seed: int = 0) -> Tally:
    """Kill `kills` times. Raises `AssertionError` at the first result that differs.

    Args:
        kills: how often.
        cells: settings of the cells to choose from.
        place: an empty folder.
        seed: of cells, moments and numbers of processes.
    """
    draw, tally, own = random.Random(seed), Tally(), 0
    undisturbed(SCORED, place / "first")  # the server of processes takes a while to start
    kinds = list(dict.fromkeys(cells))
    whole = {cell: undisturbed(cell, place / f"whole-{n}") for n, cell in enumerate(kinds)}
    cell, output = draw.choice(cells), place / "killed"
    for _ in track(range(kills), "kills"):
        size, overrides = draw.choice((1, 1, 2, 3)), [*cell, f"output={output}"]
        seconds, expected = whole[cell]
        if draw.random() < 0.5:
            processes = start(overrides, size)
            time.sleep(draw.uniform(0, seconds))
            kill(processes)
        else:
            finish(start(overrides, size, moment(draw, size, CHANGES)))
        tally.kills, own = tally.kills + 1, own + 1
        if list(output.rglob("DONE")) or draw.random() < 0.1:
            complete(overrides, draw.choice((1, 2, 3)))
            found = contents(output)
            assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
            different = [name for name in expected if found[name] != expected[name]]
            assert not different, different
            shutil.rmtree(output)
            tally.finished, tally.most, own = tally.finished + 1, max(tally.most, own), 0
            cell = draw.choice(cells)
    return tally


def undisturbed(cell: Sequence[str], output: Path) -> tuple[float, dict[str, bytes]]:
    """Seconds that a run takes which nobody disturbs, and what it writes."""
    began = time.monotonic()
    complete([*cell, f"output={output}"], 1)
    return time.monotonic() - began, contents(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="default 100")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tally = stress(given.kills, CELLS, Path(place), given.seed)
    Console().print(
        f"{tally.kills} kills, {tally.finished} cells completed in spite of them (one survived "
        f"{tally.most}), every file of every cell equal to that of an uninterrupted run"
    )


if __name__ == "__main__":
    main()
