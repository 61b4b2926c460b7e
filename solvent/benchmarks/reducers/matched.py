"""Scores of candidates across the rows of an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from solvent.benchmarks.reducers.leaves import Leaves, score
from solvent.benchmarks.reducers.means import Averaging
from solvent.benchmarks.reducers.units import Unit, members_of, together
from solvent.core.types import Prediction


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The share of items whose every candidate fits its own picture best: Winoground's image score.

    The rows of an item show different pictures and rank the same candidates. Every row's gold
    candidate must have a greater summed log-probability there than in every other row of the item;
    equal is not greater. An item with a failed sample is wrong. Source: Thrush et al. (2022),
    https://arxiv.org/abs/2204.03162, equation 2.

    Attributes:
        group: group kind of an item.
    """

    group: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score.

        Raises `ValueError` where a prediction lacks the group or ranked nothing, or where the rows
        of an item rank different candidates or share their gold one.
        """
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All items in one leaf."""
        members = members_of(predictions, self.group).items()
        return {(): [together(key, units, _fits(key, units)) for key, units in members]}


@dataclass(frozen=True, kw_only=True)
class BothOf:
    """The share of groups that are right by every one of several scores: Winoground's group score.

    Attributes:
        reducers: `AllOf` and `Matched`, of the same group kind.
    """

    reducers: Sequence[Averaging]

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where one of the scores does, or over different groups."""
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All groups in one leaf."""
        trees = [reduce.leaves(predictions) for reduce in self.reducers]
        leaves = [{unit.key: unit for unit in tree.get((), ())} for tree in trees]
        if not leaves or not leaves[0] or any(leaf.keys() != leaves[0].keys() for leaf in leaves):
            raise ValueError("BothOf needs scores of the same groups, as AllOf and Matched")
        return {
            (): [
                together(key, [unit], min(leaf[key].credit for leaf in leaves))
                for key, unit in leaves[0].items()
            ]
        }


def _fits(item: str, units: Sequence[Unit]) -> float:
    rows = [row for unit in units for row in unit.rows]
    if any(row.status == "error" for row in rows):
        return 0.0
    if any(row.scores is None for row in rows):
        raise ValueError(f"the item {item!r} has answers without scores: set answer.mode to rank")
    options = [row.options or tuple(map(str, range(len(row.scores)))) for row in rows]
    if len({frozenset(names) for names in options}) != 1:
        raise ValueError(f"the rows of the item {item!r} rank different candidates")
    if len({names[row.gold] for names, row in zip(options, rows, strict=True)}) != len(rows):
        raise ValueError(f"two rows of the item {item!r} have the same gold candidate")
    by_row = [
        dict(zip(names, (score.log_probability for score in row.scores), strict=True))
        for names, row in zip(options, rows, strict=True)
    ]
    return float(
        all(
            own[names[row.gold]] > other[names[row.gold]]
            for own, names, row in zip(by_row, options, rows, strict=True)
            for other in by_row
            if other is not own
        )
    )
