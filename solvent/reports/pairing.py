"""The finished cells of a study, read back, and which of them may be compared with which."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from solvent.core.files import read_json
from solvent.core.names import did_you_mean
from solvent.core.statistics import PairedDifference, paired_difference
from solvent.core.trees import differing
from solvent.core.types import Facts, Prediction
from solvent.reports.facts import with_facts
from solvent.reports.table import intervention_name
from solvent.storage.folder import CellFolder
from solvent.storage.records import uids_of
from solvent.storage.runs import commit, runs, unlike

Key = tuple[str, ...]
KnownFacts = Callable[[Path], Mapping[str, Facts]]
TREATMENT = ("intervention", "seed")  # of an identity; cells that differ in more do not pair
FEW = 6  # fields that are named
# what reading a damaged cell raises
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OSError)


@dataclass(frozen=True)
class FinishedCell:
    """A cell that was read back."""

    metrics: dict[str, Any]
    predictions: Sequence[Prediction]
    identity: dict[str, Any] | None = None  # None: of before it was kept
    runs: Sequence[dict[str, Any]] = field(default_factory=list)  # that answered it

    @property
    def family(self) -> Key:
        """Cells of one family differ in the intervention and its seed only: they can be paired."""
        keys = ("model", "benchmark", "condition", "setting")
        return tuple(str(self.metrics[key]) for key in keys)

    @property
    def setting(self) -> dict[str, Any] | None:
        """What cells that are paired have in common."""
        if self.identity is None:
            return None
        return {name: value for name, value in self.identity.items() if name not in TREATMENT}

    @property
    def commits(self) -> str:
        """Of the code that answered it."""
        return ", ".join(dict.fromkeys(commit(run.get("code", {})) for run in self.runs))


@dataclass(frozen=True)
class Row:
    """A cell with what sets it apart from its baseline; None where there is no baseline to pair
    with.
    """

    cell: FinishedCell
    difference: PairedDifference | None
    baseline: FinishedCell | None = None


def read_cells(
    folder: Path, known: KnownFacts | None = None
) -> tuple[list[FinishedCell], list[str]]:
    """All finished cells below a study's folder, and a sentence for each that is damaged.

    Args:
        folder: of the study.
        known: of the tests of cells whose findings keep no facts, by the cell's folder.

    Raises `FileNotFoundError` when there is none.
    """
    places = sorted(path.parent for path in folder.glob("*/*/*/DONE"))
    if not places:
        raise FileNotFoundError(
            f"no finished cell below {folder}; run `python evaluate.py study={folder.name}` first"
        )
    found = [cell for _, cell in read_each(places, known)]
    cells = [cell for cell in found if isinstance(cell, FinishedCell)]
    return cells, [said for said in found if isinstance(said, str)]


def read_each(
    places: Iterable[Path], known: KnownFacts | None, *, lazily: bool = False
) -> Iterator[tuple[Path, FinishedCell | str]]:
    """Finished cells one at a time, or a sentence where one is damaged, or a copy of one before it
    in its study. `known` as in `read_cells`.
    """
    seen: dict[tuple[Path, str], Path] = {}
    for place in places:
        try:
            cell = read_cell(place, lazily=lazily)
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


def read_cell(place: Path, *, lazily: bool = False) -> FinishedCell:
    """One finished cell. Raises `ValueError` where its files do not belong together.

    Lazily, answers are decoded whenever they are looked at, and only then raise what is wrong with
    one of them.
    """
    folder = CellFolder(place)
    folder.check()
    metrics, predictions = folder.metrics(), folder.stored() if lazily else folder.predictions()
    rows = metrics["score"]["rows"]
    uids = Counter(uids_of(place / "predictions.jsonl"))
    repeated = [uid for uid, n in uids.items() if n > 1]
    if repeated:
        raise ValueError(
            f"{place}/predictions.jsonl answers {repeated[0]} twice: restore it, or move the "
            "folder away and run the cell's command again"
        )
    if rows != len(predictions):
        raise ValueError(
            f"{place}/predictions.jsonl has {len(predictions):,} lines, but metrics.json is of "
            f"{rows:,}: restore it, or move the folder away and run the cell's command again"
        )
    identity = read_json(place / "identity.json") if (place / "identity.json").exists() else None
    if not isinstance(identity, dict | None):
        raise ValueError(f"{place / 'identity.json'} is damaged: move the folder away")
    return FinishedCell(
        metrics=metrics,
        predictions=predictions,
        identity=identity,
        runs=runs(folder),
    )


def check_baseline(cells: Sequence[FinishedCell], baseline: str, study: str) -> None:
    """Raise `ValueError` where no cell is the baseline, with the nearest name that one has."""
    known = sorted({cell.metrics["intervention"] for cell in cells})
    if baseline not in known:
        meant = did_you_mean(baseline, known, "baseline=")
        raise ValueError(
            f"no finished cell of the study {study!r} has the intervention {baseline!r}, which all "
            f"others are compared with{meant}; it has {', '.join(known)}: run the baseline, or "
            "name another with baseline=NAME"
        )


def pair(cells: Sequence[FinishedCell], baseline: str) -> list[Row]:
    """Each cell with its difference from the baseline cell of its family and sample set."""
    rows = []
    for cell in cells:
        partners = [other for other in cells if _is_partner(other, cell, baseline)]
        partners.sort(key=lambda other: other.metrics["seed"] != cell.metrics["seed"])
        if not partners or cell.metrics["intervention"] == baseline:
            rows.append(Row(cell, None))
            continue
        found = paired_difference(cell.predictions, partners[0].predictions)
        rows.append(Row(cell, found, partners[0]))
    return rows


def remarks(rows: Sequence[Row], cells: Sequence[FinishedCell], baseline: str) -> list[str]:
    """What a reader of the table must know: who has no partner and why, and who is unlike it."""
    found = []
    for row in rows:
        name = intervention_name(row.cell.metrics)
        if row.baseline is not None:
            found += [
                f"{name}: computed with other {what} than {baseline}"
                for what in _unlike(row.cell, row.baseline)
            ]
        elif row.cell.metrics["intervention"] != baseline:
            found += [f"{name}: not paired, {why}" for why in _unpaired(row.cell, cells, baseline)]
    return list(dict.fromkeys(found))


def _is_partner(other: FinishedCell, cell: FinishedCell, baseline: str) -> bool:
    return (
        other.metrics["intervention"] == baseline
        and other.family == cell.family
        and other.setting == cell.setting
        and {row.uid for row in other.predictions} == {row.uid for row in cell.predictions}
    )


def _unlike(cell: FinishedCell, partner: FinishedCell) -> Iterator[str]:
    pairs = [(one, other) for one in cell.runs for other in partner.runs]
    yield from dict.fromkeys(what for one, other in pairs for what in unlike(one, other))


def _unpaired(cell: FinishedCell, cells: Sequence[FinishedCell], baseline: str) -> Iterator[str]:
    """Why no baseline cell is its partner, one sentence per candidate, or that there is none."""
    keys = ("model", "benchmark", "condition")
    candidates = [
        other
        for other in cells
        if other.metrics["intervention"] == baseline
        and all(other.metrics[key] == cell.metrics[key] for key in keys)
    ]
    if not candidates:
        yield f"because this model has no {baseline} on this benchmark under this condition"
    for other in candidates:
        if other.setting is None or cell.setting is None:
            yield f"because some setting is not that of {baseline} (an old cell: unknown which)"
            continue
        fields = differing(other.setting, cell.setting)
        if fields:
            more = f" and {len(fields) - FEW} more" if len(fields) > FEW else ""
            yield f"because it differs from {baseline} in {', '.join(fields[:FEW])}{more}"
        else:
            yield (
                f"because it answered other questions than {baseline} ({len(cell.predictions):,} "
                f"and {len(other.predictions):,})"
            )
