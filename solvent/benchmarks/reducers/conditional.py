"""Scores of a part of the rows, and of groups that passed other scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solvent.benchmarks.reducers.leaves import Leaves, score
from solvent.benchmarks.reducers.means import Averaging
from solvent.benchmarks.reducers.units import Unit, averaged
from solvent.core.names import nearest
from solvent.core.types import Prediction


@dataclass(frozen=True, kw_only=True)
class Where:
    """The score of the rows that have these values of tags, the others left out.

    Attributes:
        tags: tag -> value that a row must have; all of them.
        reducer: `Mean`, `AllOf`, `Macro` or another mean.
    """

    tags: Mapping[str, str]
    reducer: Averaging

    def __post_init__(self) -> None:
        _check_means("Where", [self.reducer])

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where no row has the values, or the reducer does."""
        return self.reducer(self._kept(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """The tree of the rows that are kept."""
        return self.reducer.leaves(self._kept(predictions))

    def _kept(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        wanted = dict(self.tags).items()
        kept = [row for row in predictions if wanted <= dict(row.tags).items()]
        if not kept:
            raise ValueError(f"no row has the tags {dict(self.tags)}: correct `tags` of Where")
        return kept


@dataclass(frozen=True, kw_only=True)
class Given:
    """The mean over groups of another score inside them; of groups that passed further scores.

    A group's credit is the mean credit of the other score's units in it: rows, or groups of rows. A
    group passes a score when all of that score's units in it have full credit, and at least one is
    there. With M groups that passed everything and credits c, the value is sum(c) / M: a ratio
    whose denominator is itself counted. A group that did not pass adds nothing to sum(c) - value M,
    of which the ratio's spread is made, so that the interval is that of the M groups; `n` is M.
    None passed: there is no value (None), for which no such score can be a benchmark's `score`.
    Source: Lee et al. (2024), https://arxiv.org/abs/2406.08702.

    Attributes:
        group: group kind; every row that one of the scores counts must have it.
        reducer: the other score.
        passed: the further scores; empty: all groups count.
    """

    group: str
    reducer: Averaging
    passed: Sequence[Averaging]

    def __post_init__(self) -> None:
        _check_means("Given", [self.reducer, *self.passed])

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a row lacks the group, or one of the scores does."""
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """The groups that passed, in one leaf, which may be empty."""
        passed = [
            {key for key, units in parts.items() if all(unit.credit == 1 for unit in units)}
            for parts in (self._parts(reduce, predictions) for reduce in self.passed)
        ]
        return {
            (): [
                averaged(key, units)
                for key, units in self._parts(self.reducer, predictions).items()
                if all(key in keys for keys in passed)
            ]
        }

    def _parts(
        self, reduce: Averaging, predictions: Sequence[Prediction]
    ) -> Mapping[str, list[Unit]]:
        """The units of a score by the group that they are in."""
        parts: dict[str, list[Unit]] = defaultdict(list)
        for units in reduce.leaves(predictions).values():
            for unit in units:
                keys = {row.groups.get(self.group) for row in unit.rows}
                key = keys.pop()
                if keys or key is None:
                    known = unit.rows[0].groups
                    raise ValueError(
                        f"{unit.key} is in no single group {self.group!r}; "
                        f"{nearest(self.group, known)}"
                    )
                parts[key].append(unit)
        return parts


def _check_means(name: str, reducers: Sequence[Averaging]) -> None:
    wrong = [type(each).__name__ for each in reducers if not hasattr(each, "leaves")]
    if wrong:
        raise ValueError(f"{name} takes scores that are means; {wrong[0]} is none")
