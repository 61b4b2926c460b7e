"""Finished cells with answers of a test's own, as a comparison reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solvent.core.types import Prediction
from solvent.reports.finished import FinishedCell
from solvent.storage.columns import read_columns
from solvent.storage.records import encode
from solvent.studies.comparison.arms import Pair, families, pairs
from solvent.studies.comparison.compared_cells import ComparedCell, Shelf
from solvent.studies.comparison.paired_statistics.paired import PairedEstimate, compare

METRICS: Mapping[str, Any] = {
    "model": "scripted", "benchmark": "yesno", "prompt": "native", "compat": "none",
    "condition": "real", "setting": "s", "seed": 0, "variant": "", "layers": None, "chance": 0.5,
    "visual_mass": {"before": 0.5, "after": 0.5, "before_by_layer": [0.5] * 6},
    "unparsed": 0, "errors": 0, "cells_edited": 1000, "seconds": 1.0,
}  # fmt: skip


@dataclass
class Cells:
    """A folder of them."""

    place: Path
    shelf: Shelf = field(default_factory=Shelf)
    count: int = 0

    def add(
        self,
        predictions: Sequence[Prediction],
        definition: Mapping[str, Any] | None = None,
        identity: Mapping[str, Any] | None = None,
        runs: Sequence[dict[str, Any]] = (),
        **metrics: Any,
    ) -> ComparedCell:
        """One of an intervention's; `learned` where there is none. `identity=None`: as it is."""
        self.count += 1
        folder = self.place / str(self.count)
        folder.mkdir(parents=True)
        lines = "".join(f"{encode(row)}\n" for row in predictions)
        (folder / "predictions.jsonl").write_text(lines, encoding="utf-8")
        what = dict(definition or {"name": "learned"})
        right = sum(row.credit for row in predictions) / len(predictions)
        score = {"value": right, "low": right, "high": right, "n": len(predictions),
                 "rows": len(predictions), "by_tag": {}}  # fmt: skip
        named = {"intervention": what["name"], "layers": what.get("layers")}
        known = {"benchmark": {"answer": {"by": "words"}}, "seed": 0, "intervention": what}
        return self.shelf.put(
            FinishedCell(
                place=folder,
                metrics={**METRICS, "score": score, **named, **metrics},
                columns=read_columns(folder / "predictions.jsonl", sealed=False),
                identity={**known, **(identity or {})},
                runs=list(runs),
            )
        )


def paired(cells: Sequence[ComparedCell], baseline: str = "learned") -> list[Pair]:
    """Their arms with their controls."""
    return pairs(families(cells), baseline)


def estimates(found: Sequence[Pair]) -> dict[int, PairedEstimate]:
    """Of those that have a control."""
    return {
        id(pair): compare(pair.differences, pair.arm.questions.layout)
        for pair in found
        if pair.control is not None
    }
