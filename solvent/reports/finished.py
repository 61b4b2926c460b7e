"""Finished cells, read back one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from solvent.core.files import read_json
from solvent.core.types import Facts
from solvent.reports.facts import with_facts
from solvent.storage.columns import Columns, read_columns
from solvent.storage.folder import CellFolder
from solvent.storage.records import Stored
from solvent.storage.runs import runs

KnownFacts = Callable[[Path], Mapping[str, Facts]]
# what reading a damaged cell raises
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, eq=False)
class FinishedCell:
    """A cell that was read back."""

    place: Path
    metrics: dict[str, Any]
    columns: Columns
    identity: dict[str, Any] | None = None  # None: of before it was kept
    runs: Sequence[dict[str, Any]] = field(default_factory=list)  # that answered it

    @property
    def predictions(self) -> Stored:
        """Answers, decoded whenever they are looked at: only then is raised what is wrong with one
        of them.
        """
        return CellFolder(self.place).stored()


def finished_places(folder: Path) -> list[Path]:
    """Of all finished cells below a study's folder. Raises `FileNotFoundError` where none is."""
    places = sorted(path.parent for path in folder.glob("*/*/*/DONE"))
    if not places:
        raise FileNotFoundError(
            f"no finished cell below {folder}; run `python evaluate.py study={folder.name}` first"
        )
    return places


def read_each(
    places: Iterable[Path], known: KnownFacts | None = None
) -> Iterator[tuple[Path, FinishedCell | str]]:
    """Finished cells one at a time, or a sentence where one is damaged, or a copy of one before it
    in its study.

    Args:
        places: folders of cells.
        known: facts of the tests of cells whose findings keep none, by the cell's folder.
    """
    seen: dict[tuple[Path, str], Path] = {}
    for place in places:
        try:
            cell = read_cell(place)
            what = json.dumps(cell.identity, sort_keys=True) if cell.identity else str(place)
            first = seen.setdefault((place.parent.parent.parent, what), place)
            if first != place:
                raise ValueError(f"{place} is a copy of {first}: remove one of them")
            if known and "diagnostics" in cell.metrics:
                findings = with_facts(cell.metrics["diagnostics"], partial(known, place))
                cell = replace(cell, metrics=cell.metrics | {"diagnostics": findings})
            yield place, cell
        except DAMAGE as error:
            yield place, damage(place, error)


def damage(place: Path, error: Exception) -> str:
    """A sentence about a cell that could not be read."""
    told = isinstance(error, ValueError | OSError)
    return str(error) if told else f"{place} is damaged ({error!r})"


def read_cell(place: Path) -> FinishedCell:
    """One finished cell. Raises `ValueError` where its files do not belong together."""
    folder = CellFolder(place)
    folder.check()
    metrics = folder.metrics()
    sealed = "predictions.jsonl" in folder.sealed()
    columns = read_columns(place / "predictions.jsonl", sealed=sealed)
    rows = metrics["score"]["rows"]
    if rows != len(columns):
        raise ValueError(
            f"{place}/predictions.jsonl has {len(columns):,} lines, but metrics.json is of "
            f"{rows:,}: restore it, or move the folder away and run the cell's command again"
        )
    identity = read_json(place / "identity.json") if (place / "identity.json").exists() else None
    if not isinstance(identity, dict | None):
        raise ValueError(f"{place / 'identity.json'} is damaged: move the folder away")
    return FinishedCell(
        place=place, metrics=metrics, columns=columns, identity=identity, runs=runs(folder)
    )
