"""Kill a run again and again, go on with another number of processes, compare the result.

python -m tests.stress --kills 100

Half of the kills hit all processes at once at a random moment, as a node failure does; the other
half hit one process just before a change of the disk, any from its first claim to the last file,
so that merging and the final writes are hit as often as everything else.

Of a third of the kills, the run that goes on finds other data, other weights or other code in the
place of those that it was begun with: what comes out must be that of one data set and one model,
and its record must name the code of every run that answered.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track

from solvent.storage.folder import CellFolder
from solvent.storage.runs import runs
from tests.processes import ROOT, complete, contents, finish, kill, moment, start

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


@dataclass(frozen=True)
class World:
    """What lies where the data and the checkpoint of a cell are said to lie."""

    data: str  # "true" or "false": whether the right answers are right
    weights: str  # name of a shipped model

    def enter(self, place: Path, keep_times: bool) -> None:
        """Put it there, in the place of what lay there, and under its old times where asked."""
        copy = shutil.copy2 if keep_times else shutil.copy
        for source, target in (("data", self.data), ("weights", self.weights)):
            for path in (place / source / target).iterdir():
                copy(path, place / "here" / source / path.name)


WORLDS = [World(data, weights) for data in ("true", "false") for weights in ("tiny", "tiny_blind")]


def make_worlds(place: Path) -> list[str]:
    """The files of all of them; the settings of the cell that is run in whichever is entered."""
    for data in ("true", "false"):
        folder = place / "data" / data
        folder.mkdir(parents=True)
        rows = []
        for number in range(24):
            colour, other = (("red", "blue"), ("blue", "red"))[number % 2]
            picture = Image.new("RGB", (64, 64), "white")
            box = (8 + number, 8, 28 + number, 28)
            ImageDraw.Draw(picture).ellipse(box, fill=colour if data == "true" else other)
            picture.save(folder / f"{number}.png")
            rows.append(
                {"question_id": str(number), "image": f"{number}.png", "category": "random",
                 "question": "Is there a red circle?", "image_source": "drawn",
                 "answer": ("yes", "no")[number % 2]}
            )  # fmt: skip
        (folder / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for weights in ("tiny", "tiny_blind"):
        ignored = shutil.ignore_patterns("*.py", "__pycache__")
        source = ROOT / "solvent/models/checkpoints" / weights
        shutil.copytree(source, place / "weights" / weights, ignore=ignored)
    for name in ("data", "weights"):
        (place / "here" / name).mkdir(parents=True)
    return [
        "benchmark=pope",
        "benchmark.expect=null",
        f"benchmark.source.local={place / 'here/data'}",
        f"model.checkpoint={place / 'here/weights'}",
        "model.name=changing",
        "batch_size=2",
    ]


def stress_changes(kills: int, place: Path, seed: int = 0) -> Tally:
    """Kill `kills` times, and change data, weights or code before each time that the run goes on.

    Raises `AssertionError` where a result is not that of one world, or a record not that of the
    runs that answered.
    """
    draw, tally = random.Random(seed), Tally()
    cell, output = make_worlds(place), place / "killed"
    expected: dict[str, dict[str, bytes]] = {}
    for number, world in enumerate(WORLDS):
        world.enter(place, keep_times=False)
        seconds, found = undisturbed(cell, place / f"whole-{number}")
        expected |= {_cell_of(found): found}
    assert len(expected) == len(WORLDS)
    for number in track(range(kills), "kills and changes"):
        draw.choice(WORLDS).enter(place, keep_times=draw.random() < 0.5)
        size, commit = draw.choice((1, 1, 2)), f"{number:040x}"
        overrides = [*cell, f"output={output}"]
        if draw.random() < 0.5:
            processes = start(overrides, size, commit=commit)
            time.sleep(draw.uniform(0, seconds))
            kill(processes)
        else:
            finish(start(overrides, size, moment(draw, size, CHANGES), commit))
        tally.kills += 1
        _check_cells(output, expected)
    for world in WORLDS:
        world.enter(place, keep_times=False)
        complete([*cell, f"output={output}"], 1)
    assert _check_cells(output, expected) == len(WORLDS)
    tally.finished = len(WORLDS)
    return tally


def _cell_of(found: dict[str, bytes]) -> str:
    (done,) = (name for name in found if name.endswith("/DONE"))
    return done.removesuffix("/DONE")


def _check_cells(output: Path, expected: dict[str, dict[str, bytes]]) -> int:
    """Every cell is that of one world, and no finished one differs from it. How many are."""
    finished = 0
    for path in output.glob("*/*/*/*"):
        name = path.relative_to(output).as_posix()
        assert name in expected, name
        entries = [(run["answers_before"], run["code"]["commit"]) for run in runs(CellFolder(path))]
        assert entries == sorted(set(entries)), entries  # later runs found more, and are others
        if (path / "DONE").exists():
            finished += 1
            found = {f"{name}/{file}": content for file, content in contents(path).items()}
            found = {file: content for file, content in found.items() if "claim-" not in file}
            different = [file for file in expected[name] if found.get(file) != expected[name][file]]
            assert not different, different
    return finished


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
    changed = given.kills // 3
    with tempfile.TemporaryDirectory() as place:
        plain, worlds = Path(place, "plain"), Path(place, "worlds")
        plain.mkdir()
        tally = stress(given.kills - changed, CELLS, plain, given.seed)
        changes = stress_changes(changed, worlds, given.seed)
    Console().print(
        f"{tally.kills} kills, {tally.finished} cells completed in spite of them (one survived "
        f"{tally.most}), every file of every cell equal to that of an uninterrupted run. "
        f"{changes.kills} kills with other data, weights or code each time that the run went on: "
        f"{changes.finished} cells, each equal to that of one data set and one model"
    )


if __name__ == "__main__":
    main()
