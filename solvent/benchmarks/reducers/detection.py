"""Scores of yes/no questions as a detection task."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from solvent.benchmarks.reducers.leaves import counts, slices
from solvent.benchmarks.reducers.means import value_of
from solvent.benchmarks.reducers.pooled import pooled
from solvent.benchmarks.reducers.units import Unit, rows_of
from solvent.core.intervals import SHARE, of_nested_mean
from solvent.core.types import Prediction

# Every measure is a ratio of sums of these counts.
COUNTS = ("hits", "false alarms", "positives", "right", "rows")
RATIOS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {
        "f1": ((2, 0, 0, 0, 0), (1, 1, 1, 0, 0)),
        "precision": ((1, 0, 0, 0, 0), (1, 1, 0, 0, 0)),
        "recall": ((1, 0, 0, 0, 0), (0, 0, 1, 0, 0)),
        "accuracy": ((0, 0, 0, 1, 0), (0, 0, 0, 0, 1)),
        "predicted_positive": ((1, 1, 0, 0, 0), (0, 0, 0, 0, 1)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Detection:
    """F1, with precision, recall, accuracy and the share of positive answers as `measures`.

    The share of positive answers counts what the model said, not the gold. An answer that could not
    be read is neither: it is wrong, it lowers recall where the gold is positive, and it does not
    touch precision. Without a positive answer precision has no value (None); F1 is then 0.

    Attributes:
        positive: the option that counts as a detection, in any case.
    """

    positive: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a row has no such option."""
        units = rows_of(predictions)
        tables = {
            tag: {value: self._estimate(part[()]) for value, part in parts.items()}
            for tag, parts in slices({(): units}).items()
        }
        return {**self._estimate(units), "by_tag": tables}

    def _estimate(self, units: Sequence[Unit]) -> dict[str, Any]:
        table, clusters = _clustered(units, self.positive)
        measures = {name: _measure(name, table, len(units)) for name in RATIOS}
        f1 = measures.pop("f1")
        rows = [unit.rows[0] for unit in units]
        return {**f1, **counts(rows), "clusters": clusters, "measures": measures}


@dataclass(frozen=True, kw_only=True)
class MeanF1:
    """The mean of F1 over the values of a tag, as POPE's papers average its three categories.

    Attributes:
        positive: the option that counts as a detection, in any case.
        tag: every row must have it.
    """

    positive: str
    tag: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a row has no such option or lacks the tag."""
        units = rows_of(predictions)
        parts: dict[str, list[Unit]] = defaultdict(list)
        for unit in units:
            parts[value_of(self.tag, unit)].append(unit)
        each = Detection(positive=self.positive)
        tables = {self.tag: {value: each._estimate(parts[value]) for value in sorted(parts)}}
        value = math.fsum(found["value"] for found in tables[self.tag].values()) / len(parts)
        low, high, interval = self._interval(units, parts)
        return {
            "value": value,
            "low": low,
            "high": high,
            "interval": interval,
            "n": len(units),
            **counts([unit.rows[0] for unit in units]),
            "clusters": len({unit.cluster for unit in units}),
            "by_tag": tables,
        }

    def _interval(
        self, units: Sequence[Unit], parts: Mapping[str, Sequence[Unit]]
    ) -> tuple[float, float, str]:
        clusters = sorted({unit.cluster for unit in units})
        tables = [_clustered(part, self.positive, clusters)[0] for part in parts.values()]
        sums, sizes = (
            np.stack([side[:, part] for side in map(_f1_parts, tables)], axis=1) for part in (0, 1)
        )
        if not sizes.any(
            axis=0
        ).all():  # a value without positives has an F1 of 0, whoever is drawn
            return *SHARE, "unknown"
        found = of_nested_mean(sums, sizes, np.full(len(parts), 1 / len(parts)))
        return (*found, "nested") if found else (*SHARE, "unknown")


def _clustered(
    units: Sequence[Unit], positive: str, clusters: Sequence[int] | None = None
) -> tuple[np.ndarray, int]:
    """Per cluster the counts, and how many clusters there are."""
    numbers = clusters if clusters is not None else sorted({unit.cluster for unit in units})
    place = {number: row for row, number in enumerate(numbers)}
    table = np.zeros((len(numbers), len(COUNTS)))
    for unit in units:
        row = unit.rows[0]
        wanted = _index(row, positive)
        said = row.status == "ok" and row.parsed == wanted
        truly = row.gold == wanted
        table[place[unit.cluster]] += (said and truly, said and not truly, truly, unit.credit, 1)
    return table, len(numbers)


def _index(row: Prediction, positive: str) -> int:
    names = [option.casefold() for option in row.options or ()]
    if names.count(positive.casefold()) != 1:
        raise ValueError(
            f"{row.uid} has the options {list(row.options or ())}; expected {positive!r} once "
            "(predictions of older runs store no options: run the cell again)"
        )
    return names.index(positive.casefold())


def _parts(name: str, table: np.ndarray) -> np.ndarray:
    """Upper and lower part of a measure, of every line of a table."""
    return np.stack([table @ np.array(part) for part in RATIOS[name]], axis=1)


def _f1_parts(table: np.ndarray) -> np.ndarray:
    return _parts("f1", table)


def _measure(name: str, table: np.ndarray, n: int) -> dict[str, Any]:
    """One measure with its interval; F1 without positives is 0."""
    return pooled(*_parts(name, table).T, n, nothing=0.0 if name == "f1" else None)
