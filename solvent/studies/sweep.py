"""A plan as a file, one line per cell, so that shells and people can read it.

    #task  hours  folder                                          overrides
    0      0.25   outputs/demo/tiny/shapes/uniform-0123456789ab   intervention=uniform  seed=0

A line `#config-dir DIR` follows the header where some definitions are the user's own.

Fields are separated by tabs, and every override is a field of its own: no quoting, so that commas,
spaces, quotes and brackets arrive as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = "#task\thours\tfolder\toverrides"
OWN = "#config-dir"
UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A line of a plan."""

    task: int  # from 0
    hours: float | None  # estimated, of computing; None: nothing comparable was measured
    folder: str  # of its results
    overrides: tuple[str, ...]  # of Hydra

    def line(self) -> str:
        """Raises `ValueError` where a field cannot be written."""
        hours = UNKNOWN if self.hours is None else f"{self.hours:.4f}"
        return _joined([str(self.task), hours, self.folder, *self.overrides])


def plan_text(cells: Iterable[PlannedCell], own: Path | None = None) -> str:
    """The text of a plan.

    Args:
        cells: in their order.
        own: folder of the user's own definitions.
    """
    heads = [HEADER] if own is None else [HEADER, _joined([OWN, str(own)])]
    return "".join(f"{line}\n" for line in [*heads, *(cell.line() for cell in cells)])


def load_plan(path: Path) -> list[PlannedCell]:
    """The cells of a plan.

    Raises `FileNotFoundError` or `ValueError` where there is no whole plan.
    """
    lines = enumerate(_lines(path)[1:], 2)
    return [
        _parsed(line, f"line {number} of {path}")
        for number, line in lines
        if not line.startswith(f"{OWN}\t")
    ]


def own_folder_of(path: Path) -> str | None:
    """The folder of own definitions that a plan was made with. Raises as `load_plan` does."""
    second = [*_lines(path), ""][1].split("\t")
    return second[1] if second[0] == OWN else None


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(
            f"There is no plan {path}; make one with "
            f"`python -m solvent plan experiment=demo > {path}`"
        ) from None
    lines = text.split("\n")
    if lines[0] != HEADER or lines.pop():
        raise ValueError(
            f"{path} is no whole plan (a header line, then a line per cell): make it again with "
            "`python -m solvent plan`"
        )
    return lines


def of_task(cells: Sequence[PlannedCell], task: int) -> list[PlannedCell]:
    """The cells of one task. Raises `ValueError` where the plan has no such task."""
    last = max((cell.task for cell in cells), default=-1)
    if not 0 <= task <= last:
        has = f"tasks 0 to {last}" if cells else "no task at all"
        raise ValueError(f"There is no task {task}; the plan has {has}")
    return [cell for cell in cells if cell.task == task]


def _joined(fields: Sequence[str]) -> str:
    for field in fields:
        if any(mark in field for mark in "\t\n\r"):
            raise ValueError(
                f"{field!r} holds a tab or the end of a line, which a plan cannot: write "
                "\\t or \\n in a quoted value, or put it into a configuration file"
            )
    return "\t".join(fields)


def _parsed(line: str, where: str) -> PlannedCell:
    try:
        task, hours, folder, *overrides = line.split("\t")
        return PlannedCell(
            task=int(task),
            hours=None if hours == UNKNOWN else float(hours),
            folder=folder,
            overrides=tuple(overrides),
        )
    except ValueError:
        raise ValueError(
            f"{where} is torn: expected task, hours, folder and overrides, separated by tabs, but "
            f"{line[:80]!r} came; make the plan again with `python -m solvent plan`"
        ) from None
