"""From stored predictions to scores: pure functions, every mean with its interval and its n.

A reducer returns a dictionary, ready for JSON:

    value            the score, in [0, 1]
    low, high        its 95 % interval
    interval         how it was found
    n                number of credits averaged: rows, or groups for `AllOf`
    rows             number of predictions
    clusters         number of independent units among them (`statistics.connected`)
    ambiguous, none  number of predictions that name several options, or none; credit 0
    errors           number of samples that failed; credit 0
    by_tag           tag -> value of the tag -> all of the above except `by_tag`

The interval is "wilson" where every cluster has one binary credit, else "bootstrap" over clusters,
with a fixed seed. Where all credits are 0, or all are 1, resampling would show no spread, and it is
"wilson_clusters", with the clusters as trials. A cluster alone says nothing: "unknown", [0, 1].
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.sample import nearest
from evaluation.statistics import bootstrap, connected, wilson
from evaluation.types import Prediction


class Reducer(Protocol):
    """Turns the predictions of one condition into a score."""

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score; the order of the predictions does not matter."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean credit of the rows; accuracy where credits are 0 or 1."""

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` without predictions."""
        units = rows_of(predictions)
        return {**estimate(units, tag=None), "by_tag": table(units)}


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """The share of groups in which every row has full credit.

    A group counts towards a tag's value when all its rows share that value.

    Attributes:
        group: group kind.
    """

    group: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a prediction lacks the group."""
        members: dict[str, list[Unit]] = defaultdict(list)
        for unit in rows_of(predictions):
            keys = unit.rows[0].groups
            if self.group not in keys:
                raise ValueError(
                    f"{unit.rows[0].uid} has no group {self.group!r}; {nearest(self.group, keys)}"
                )
            members[keys[self.group]].append(unit)
        groups = [
            Unit(
                credit=float(all(unit.credit == 1 for unit in units)),
                cluster=units[0].cluster,
                rows=tuple(row for unit in units for row in unit.rows),
            )
            for units in members.values()
        ]
        return {**estimate(groups, tag=None), "by_tag": table(groups)}


@dataclass(frozen=True, kw_only=True)
class Macro:
    """The mean, over the values of a tag, of the mean credit of the rows with that value.

    Attributes:
        tag: every row must have it.
    """

    tag: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a prediction lacks the tag."""
        units = rows_of(predictions)
        for unit in units:
            if self.tag not in unit.tags:
                raise ValueError(
                    f"{unit.rows[0].uid} has no tag {self.tag!r}; {nearest(self.tag, unit.tags)}"
                )
        return {**estimate(units, tag=self.tag), "by_tag": table(units)}


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What a score averages: one row, or one group of rows."""

    credit: float
    cluster: int
    rows: tuple[Prediction, ...]

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
    """One unit per prediction, ordered by uid; only status "ok" earns credit."""
    ordered = sorted(predictions, key=lambda prediction: prediction.uid)
    if not ordered:
        raise ValueError("there are no predictions to score")
    for row in ordered:
        if not 0 <= row.credit <= 1:
            raise ValueError(f"{row.uid} has credit {row.credit}; expected a number in [0, 1]")
    clusters = connected([row.groups for row in ordered])
    return [
        Unit(credit=float(row.credit) if row.status == "ok" else 0.0, cluster=cluster, rows=(row,))
        for row, cluster in zip(ordered, clusters, strict=True)
    ]


def estimate(units: Sequence[Unit], tag: str | None) -> dict[str, Any]:
    """Mean credit, or mean over a tag's values of the mean credit, with interval and counts."""
    cells = [unit.tags[tag] if tag is not None else "" for unit in units]
    means = [
        math.fsum(unit.credit for unit, name in zip(units, cells, strict=True) if name == cell)
        / cells.count(cell)
        for cell in sorted(set(cells))
    ]
    low, high, interval = _interval(units, cells)
    rows = [row for unit in units for row in unit.rows]
    return {
        "value": math.fsum(means) / len(means),
        "low": low,
        "high": high,
        "interval": interval,
        "n": len(units),
        "rows": len(rows),
        "clusters": len({unit.cluster for unit in units}),
        "ambiguous": sum(row.status == "ambiguous" for row in rows),
        "none": sum(row.status == "none" for row in rows),
        "errors": sum(row.status == "error" for row in rows),
    }


def table(units: Sequence[Unit]) -> dict[str, dict[str, dict[str, Any]]]:
    """The estimate of every slice: tag -> value -> estimate, both sorted."""
    slices: Mapping[str, dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        for tag, value in unit.tags.items():
            slices[tag][value].append(unit)
    return {
        tag: {value: estimate(slices[tag][value], tag=None) for value in sorted(slices[tag])}
        for tag in sorted(slices)
    }


def _interval(units: Sequence[Unit], cells: Sequence[str]) -> tuple[float, float, str]:
    """Low, high and the name of the method; see the head of this file."""
    credits = {unit.credit for unit in units}
    clusters = len({unit.cluster for unit in units})
    binary, plain = credits <= {0.0, 1.0}, len(set(cells)) == 1
    if binary and plain and clusters == len(units):
        return *wilson(sum(int(unit.credit) for unit in units), clusters), "wilson"
    if clusters == 1:
        return 0.0, 1.0, "unknown"
    if binary and len(credits) == 1:
        return *wilson(int(credits.pop()) * clusters, clusters), "wilson_clusters"
    sums, counts, strata = _clustered(units, cells)
    if (np.bincount(strata) == 1).any():  # alone in its stratum, a cluster would show no spread
        return 0.0, 1.0, "unknown"
    return *bootstrap(sums, counts, strata), "bootstrap"


def _clustered(
    units: Sequence[Unit], cells: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per cluster and cell the sum and the number of credits; clusters by the cells they occupy."""
    rows = {cluster: i for i, cluster in enumerate(sorted({unit.cluster for unit in units}))}
    columns = {cell: i for i, cell in enumerate(sorted(set(cells)))}
    sums, counts = np.zeros((2, len(rows), len(columns)))
    for unit, cell in zip(units, cells, strict=True):
        sums[rows[unit.cluster], columns[cell]] += unit.credit
        counts[rows[unit.cluster], columns[cell]] += 1
    strata = np.unique(counts > 0, axis=0, return_inverse=True)[1].ravel()
    return sums, counts, strata
