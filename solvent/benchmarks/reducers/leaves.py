"""Nested means of units, with their intervals; how all of it is written is said in the package.

A score is a tree of means: `Leaves` maps the path of every leaf to its units. The value of a leaf
is the mean of its units' credits, and the value of an inner node is the mean of its children's.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from solvent.benchmarks.reducers.units import Unit
from solvent.core.intervals import SHARE, Clustered, of_nested_mean

Path = tuple[str, ...]
Leaves = Mapping[Path, Sequence[Unit]]


def score(leaves: Leaves) -> dict[str, Any]:
    """The estimate of a tree, and that of its slices."""
    tables = {
        tag: {value: estimate(part) for value, part in parts.items()}
        for tag, parts in slices(leaves).items()
    }
    return {**estimate(leaves), "by_tag": tables}


def weights(paths: Sequence[Path]) -> list[float]:
    """The weight of every leaf in the value of the tree; they add up to 1."""
    nodes = {path[:depth] for path in paths for depth in range(1, len(path) + 1)}
    children = Counter(node[:-1] for node in nodes)
    return [math.prod(1 / children[path[:depth]] for depth in range(len(path))) for path in paths]


def slices(leaves: Leaves) -> dict[str, dict[str, Leaves]]:
    """Tag -> value -> the units that have it, in a tree of the same shape; all sorted."""
    found: dict[str, dict[str, dict[Path, list[Unit]]]] = defaultdict(dict)
    for path, units in leaves.items():
        for unit in units:
            for tag, value in unit.tags.items():
                found[tag].setdefault(value, {}).setdefault(path, []).append(unit)
    return {tag: dict(sorted(found[tag].items())) for tag in sorted(found)}


def estimate(leaves: Leaves) -> dict[str, Any]:
    """The value of a tree with its interval and counts; of one with an empty leaf there is none."""
    paths = sorted(leaves)
    defined = all(leaves[path] for path in paths)
    low, high, interval = (
        _interval(leaves, paths, weights(paths)) if defined else (0.0, 1.0, "unknown")
    )
    units = [unit for path in paths for unit in leaves[path]]
    rows = {row.uid: row for unit in units for row in unit.rows}
    disjoint = len(rows) == sum(len(unit.rows) for unit in units)
    return {
        "value": value(leaves, lambda unit: unit.credit) if defined else None,
        "low": low,
        "high": high,
        "interval": interval,
        "n": len(units) if disjoint else len(rows),
        **counts(list(rows.values())),
        "clusters": len({unit.cluster for unit in units}),
    }


def value(leaves: Leaves, credit: Callable[[Unit], float]) -> float:
    """The value of a tree of which every unit has that credit."""
    paths = sorted(leaves)
    means = [math.fsum(map(credit, leaves[path])) / len(leaves[path]) for path in paths]
    return math.fsum(share * mean for share, mean in zip(weights(paths), means, strict=True))


def chance(leaves: Leaves) -> float:
    """What is expected of who picks an option of every row at random, and must be right in all rows
    of a unit, or the mean of that over its parts; a row without options is never guessed.
    """

    def guessed(unit: Unit) -> float:
        if unit.parts:
            return math.fsum(map(guessed, unit.parts)) / len(unit.parts)
        return math.prod(1 / len(row.options) if row.options else 0.0 for row in unit.rows)

    return value(leaves, guessed)


def counts(rows: Sequence[Any]) -> dict[str, int]:
    """How many predictions there are, and how many of them could not be read or failed."""
    statuses = Counter(row.status for row in rows)
    return {
        "rows": len(rows),
        "ambiguous": statuses["ambiguous"],
        "none": statuses["none"],
        "errors": statuses["error"],
    }


def _interval(
    leaves: Leaves, paths: Sequence[Path], shares: Sequence[float]
) -> tuple[float, float, str]:
    """Low, high and the name of the method."""
    sums, sizes, squares = _clustered(leaves, paths)
    if len(paths) > 1:
        found, name = of_nested_mean(sums, sizes, np.array(shares)), "nested"
    else:
        found = Clustered(sums[:, 0], sizes[:, 0], squares[:, 0], SHARE).interval()
        name = "clustered"
    return (*found, name) if found else (*SHARE, "unknown")


def _clustered(leaves: Leaves, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per cluster and leaf the sum, the number and the squared sum of credits."""
    numbers = sorted({unit.cluster for units in leaves.values() for unit in units})
    place = {number: row for row, number in enumerate(numbers)}
    sums, sizes, squares = np.zeros((3, len(numbers), len(paths)))
    for column, path in enumerate(paths):
        for unit in leaves[path]:
            sums[place[unit.cluster], column] += unit.credit
            sizes[place[unit.cluster], column] += 1
            squares[place[unit.cluster], column] += unit.credit**2
    return sums, sizes, squares
