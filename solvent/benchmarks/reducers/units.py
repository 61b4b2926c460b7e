"""What a score averages: rows, or groups of rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from solvent.benchmarks.sample import nearest
from solvent.core.statistics import connected
from solvent.core.types import Prediction


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One row, or one group of rows."""

    key: str  # the row's uid, or the group's key
    credit: float
    cluster: int
    rows: tuple[Prediction, ...]
    parts: tuple[Unit, ...] = ()  # whose mean credit it has; empty: its rows count together

    @property
    def tags(self) -> dict[str, str]:
        """The tags that all rows of the unit share."""
        first = self.rows[0].tags
        return {
            tag: value
            for tag, value in first.items()
            if all(row.tags.get(tag) == value for row in self.rows)
        }


def rows_of(predictions: Sequence[Prediction]) -> list[Unit]:
    """One unit per prediction, ordered by uid; only status "ok" earns credit.

    Raises `ValueError` without predictions, or where a credit is not in [0, 1].
    """
    ordered = sorted(predictions, key=lambda prediction: prediction.uid)
    if not ordered:
        raise ValueError("there are no predictions to score")
    for row in ordered:
        if not 0 <= row.credit <= 1:
            raise ValueError(f"{row.uid} has credit {row.credit}; expected a number in [0, 1]")
    clusters = connected([row.groups for row in ordered])
    return [
        Unit(
            key=row.uid,
            credit=float(row.credit) if row.status == "ok" else 0.0,
            cluster=cluster,
            rows=(row,),
        )
        for row, cluster in zip(ordered, clusters, strict=True)
    ]


def members_of(predictions: Sequence[Prediction], group: str) -> dict[str, list[Unit]]:
    """The rows of every group. Raises `ValueError` where a prediction lacks the group."""
    members: dict[str, list[Unit]] = defaultdict(list)
    for unit in rows_of(predictions):
        keys = unit.rows[0].groups
        if group not in keys:
            raise ValueError(f"{unit.key} has no group {group!r}; {nearest(group, keys)}")
        members[keys[group]].append(unit)
    return members


def together(key: str, units: Sequence[Unit], credit: float) -> Unit:
    """A group of units as one unit."""
    rows = tuple(row for unit in units for row in unit.rows)
    return Unit(key=key, credit=credit, cluster=units[0].cluster, rows=rows)


def averaged(key: str, units: Sequence[Unit]) -> Unit:
    """A group of units as one unit, with their mean credit."""
    mean = math.fsum(unit.credit for unit in units) / len(units)
    return replace(together(key, units, mean), parts=tuple(units))
