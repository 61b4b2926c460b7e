"""How surely the benchmark's own score differs, where that is no plain accuracy: of registered arms
only, as fifty scores are computed for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.benchmarks.reducers import Reducer
from solvent.benchmarks.reducers.leaves import weights
from solvent.cells.building import build
from solvent.cells.configuration import check_targets, stored_config
from solvent.core.types import Prediction
from solvent.reports.table import as_share
from solvent.studies.comparison.arms import Pair
from solvent.studies.comparison.compared_cells import ComparedCell
from solvent.studies.comparison.estimating import Estimated
from solvent.studies.comparison.paired_statistics.score_difference import (
    ScoreDifference,
    score_difference,
)

SAME = 1e-9  # of two scores; so near, the score is the accuracy


def score_differences(
    pairs: Sequence[Pair], found: Mapping[int, Estimated]
) -> dict[str, ScoreDifference]:
    """By the arm's key."""
    made = {}
    for pair in pairs:
        estimate = found.get(id(pair))
        if estimate is None or estimate.role != "primary" or _is_accuracy(pair):
            continue
        difference = _difference(pair)
        if difference is not None:
            made[pair.arm.key] = difference
    return made


def _is_accuracy(pair: Pair) -> bool:
    assert pair.control is not None
    cells = (*pair.arm.draws, pair.control.first)
    return any(cell.tested for cell in cells) or all(
        abs(_value(cell.metrics["score"]) - cell.credit.mean()) < SAME for cell in cells
    )


def _difference(pair: Pair) -> ScoreDifference | None:
    """Of the score; of several draws the mean, with what they differ by."""
    assert pair.control is not None
    reduce = _reducer(pair.control.first)
    theirs = pair.control.first.predictions()
    control = [theirs[place] for place in pair.places]
    draws = [cell.predictions() for cell in pair.arm.draws]

    def scored(rows: Int[np.ndarray, " M"]) -> tuple[float, float]:
        values = [_value(reduce([draw[row] for row in rows])) for draw in draws]
        return float(np.mean(values)), _value(reduce([control[row] for row in rows]))

    unedited = _value(reduce(control))
    by_seed = [_value(reduce(draw)) - unedited for draw in draws]
    return score_difference(scored, pair.arm.questions.layout, by_seed, pulls(reduce, control))


def pulls(reduce: Reducer, answers: Sequence[Prediction]) -> Float[np.ndarray, " N"] | None:
    """By how much a score that is a mean of means rises with the credit of each answer, a group's
    share spread over its answers; None for other scores.
    """
    leaves = getattr(reduce, "leaves", None)
    if leaves is None:
        return None
    tree, places = leaves(answers), {row.uid: place for place, row in enumerate(answers)}
    found = np.zeros(len(answers))
    paths = sorted(tree)
    for path, weight in zip(paths, weights(paths), strict=True):
        for unit in tree[path]:
            for row in unit.rows:
                found[places[row.uid]] += weight / len(tree[path]) / len(unit.rows)
    return found if found.any() else None


def _reducer(cell: ComparedCell) -> Reducer:
    """What makes the score; a stored record may name only reducers of ours."""
    path = cell.place / "config.yaml"
    tree = stored_config(path)["benchmark"]["reducers"]["score"]
    check_targets(tree, ("solvent.benchmarks.reducers",), path)
    made: Reducer = build(tree, "benchmark.reducers.score")
    return made


def _value(score: Mapping[str, Any]) -> float:
    """As a share; not a number where there is none."""
    return float("nan") if score["value"] is None else float(as_share(score)["value"])
