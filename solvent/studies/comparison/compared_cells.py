"""What a comparison keeps of a finished cell: its labels, its setting, and a credit per question.

Ten thousand cells of a thousand questions take one gigabyte: what is equal is kept once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.core.digests import digest_now
from solvent.core.statistics import connected
from solvent.core.types import Prediction
from solvent.reports.finished import DAMAGE, FinishedCell, damage
from solvent.storage.columns import Asked, Columns, read_columns, read_questions
from solvent.storage.folder import CellFolder
from solvent.storage.records import Stored
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout

TREATMENT = ("intervention", "seed")  # of an identity: what a comparison is about
SHOWN = ("condition", "conditions", "diagnostic")  # what else leaves other answers as they are
NUMBERS = ("value", "low", "high", "n", "rows", "highest", "interval", "asked", "measures")
Tree = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions that were asked together, in the alphabetical order of their uids.

    Axes: N questions.
    """

    columns: Columns
    source: Path  # of answers to them

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def name(self) -> str:
        """Equal for equal questions."""
        return self.columns.questions

    @cached_property
    def asked(self) -> list[Asked]:
        """Groups and tags of every question."""
        return read_questions(self.source)

    @cached_property
    def clusters(self) -> Int[np.ndarray, " N"]:
        """Equal for questions about the same picture, or that share another group."""
        return np.array(connected([each.groups for each in self.asked]))

    @cached_property
    def layout(self) -> Layout:
        """Of these clusters."""
        return Layout.of(self.clusters)


@dataclass(frozen=True, eq=False)
class ComparedCell:
    """A finished cell, or one condition of its modality-usage tests.

    Axes: N questions.
    """

    place: Path  # of the cell
    answers: Path  # its file of predictions
    metrics: Tree  # of the cell; without slices and layers
    condition: str  # what was shown
    shown: Any  # what that is; None: an old cell
    setting: Tree | None  # what cells that are compared have in common; None: an old cell
    setting_name: str  # equal for equal settings
    definition: Tree  # of the intervention, without its seed; empty: nothing is edited
    runs: Sequence[Tree]  # that answered it
    questions: Questions
    credit: Float[np.ndarray, " N"]
    digest: str  # of its predictions: equal draws are one draw

    def predictions(self) -> list[Prediction]:
        """Its answers, decoded, in the order of the credits."""
        return sorted(Stored(self.answers), key=lambda row: row.uid)

    @property
    def tested(self) -> bool:
        """Whether it is only one condition of a cell."""
        return self.answers.parent != self.place


class Shelf:
    """Turns finished cells into compared ones, and keeps once what several have in common."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def put(self, cell: FinishedCell) -> ComparedCell:
        """A finished cell as it is compared. Raises `ValueError` where it answered nothing."""
        if not len(cell.columns):
            raise ValueError(f"{cell.place} answered no question: there is nothing to compare")
        identity = cell.identity
        label = str(cell.metrics["setting"])
        setting = None
        if identity is not None:
            names = identity.keys() - {*TREATMENT, *SHOWN}
            setting, label = self._once({name: identity[name] for name in sorted(names)})
        found = (identity or {}).get("intervention")
        definition = (
            {name: value for name, value in found.items() if name != "seed"}
            if (isinstance(found, Mapping))
            else {}
        )
        runs, _ = self._once(list(cell.runs))
        sealed = CellFolder(cell.place).sealed().get("predictions.jsonl")
        return ComparedCell(
            place=cell.place,
            answers=cell.place / "predictions.jsonl",
            metrics=_slim(cell.metrics),
            condition=cell.metrics["condition"],
            shown=self._shown(identity, "condition", cell.metrics["condition"]),
            setting=setting,
            setting_name=label,
            definition=self._once(definition)[0],
            runs=runs,
            questions=self._questions(label, cell.columns, cell.place / "predictions.jsonl"),
            credit=cell.columns.credit,
            digest=sealed or digest_now(cell.place / "predictions.jsonl"),
        )

    def conditions(
        self, cell: ComparedCell, identity: Tree | None, wanted: Sequence[str] | None
    ) -> Iterator[ComparedCell]:
        """What a cell answered under the conditions of its tests, where that is anything.

        Args:
            cell: with or without tests.
            identity: of it; None: an old cell.
            wanted: names of conditions; None: all.

        Raises `ValueError` where one of its files is damaged.
        """
        digests = CellFolder(cell.place).sealed()
        for path in sorted((cell.place / "diagnostics").glob("*/predictions.jsonl")):
            name = path.parent.name
            if wanted is not None and name not in wanted:
                continue
            sealed = digests.get(path.relative_to(cell.place).as_posix())
            try:
                columns = read_columns(path, sealed=sealed is not None)
            except DAMAGE as error:
                raise ValueError(damage(path, error)) from error
            if not len(columns):
                continue
            yield ComparedCell(
                place=cell.place,
                answers=path,
                metrics=cell.metrics,
                condition=name,
                shown=self._shown(identity, "conditions", name),
                setting=cell.setting,
                setting_name=cell.setting_name,
                definition=cell.definition,
                runs=cell.runs,
                questions=self._questions(cell.setting_name, columns, path),
                credit=columns.credit,
                digest=sealed or digest_now(path),
            )

    def _shown(self, identity: Tree | None, group: str, name: str) -> Any:
        """What a condition's name stands for in a cell."""
        known = (identity or {}).get(group)
        return self._once(known.get(name))[0] if isinstance(known, Mapping) else None

    def _questions(self, setting: str, columns: Columns, source: Path) -> Questions:
        return self._kept.setdefault(
            f"questions {setting} {columns.questions}", Questions(columns, source)
        )

    def _once(self, tree: Any) -> tuple[Any, str]:
        """The first of all equal trees, and its short name."""
        text = json.dumps(tree, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        return self._kept.setdefault(text, tree), name


def _slim(metrics: Tree) -> dict[str, Any]:
    """Metrics without what grows with slices and layers."""
    found = {key: value for key, value in metrics.items() if not isinstance(value, Mapping | list)}
    found["score"] = {key: metrics["score"][key] for key in NUMBERS if key in metrics["score"]}
    for name in ("visual_mass", "visual_entropy_nats"):
        spread = metrics.get(name) or {}
        found[name] = {when: spread.get(when) for when in ("before", "after")}
    found["depth"] = len((metrics.get("visual_mass") or {}).get("before_by_layer") or ())
    if metrics.get("diagnostics"):
        found["diagnostics"] = metrics["diagnostics"]
    return found
