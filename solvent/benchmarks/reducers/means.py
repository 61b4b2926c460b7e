"""Scores that are means, or means of means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from solvent.benchmarks.reducers.leaves import Leaves, estimate, score, slices
from solvent.benchmarks.reducers.units import Unit, members_of, rows_of, together
from solvent.benchmarks.sample import nearest
from solvent.core.types import Prediction


class Averaging(Protocol):
    """A reducer whose value is a nested mean."""

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score."""

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """The tree of which the score is the value."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean credit of the rows; accuracy where credits are 0 or 1."""

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` without predictions."""
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All rows in one leaf."""
        return {(): rows_of(predictions)}


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
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All groups in one leaf."""
        members = members_of(predictions, self.group).items()
        return {(): [together(key, rows, all_right(rows)) for key, rows in members]}


@dataclass(frozen=True, kw_only=True)
class Macro:
    """The mean over the values of a tag, inside them over the values of the next tag, and so on.

    Innermost is the mean credit of the rows. A slice by one of these tags is scored in the same
    way; any other slice is the mean credit of its rows.

    Attributes:
        tags: from the outermost to the innermost; every row must have them.
    """

    tags: Sequence[str]

    def __post_init__(self) -> None:
        if isinstance(self.tags, str) or not self.tags:
            raise ValueError(
                f"Macro's tags are {self.tags!r}; expected a list of tags, as [category]"
            )

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a prediction lacks a tag."""
        whole = self.leaves(predictions)
        found = score(whole)
        plain = score({(): [unit for units in whole.values() for unit in units]})
        own = {tag: found["by_tag"][tag] for tag in self.tags}
        return {**found, "by_tag": plain["by_tag"] | own}

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """One leaf per combination of the tags' values."""
        leaves: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
        for unit in rows_of(predictions):
            leaves[tuple(value_of(tag, unit) for tag in self.tags)].append(unit)
        return leaves


@dataclass(frozen=True, kw_only=True)
class MeanOf:
    """The mean of several scores, each of weight one: HallusionBench's mean of aAcc, qAcc and fAcc.

    Only the slices of which every score can say something are listed.

    Attributes:
        reducers: name -> `Mean`, `AllOf`, `Macro`, `Matched`, `BothOf` or `MeanOf`.
    """

    reducers: Mapping[str, Averaging]

    def __post_init__(self) -> None:
        wrong = [name for name, each in self.reducers.items() if not hasattr(each, "leaves")]
        if wrong or not self.reducers:
            raise ValueError(f"MeanOf averages means; {wrong or 'nothing'} cannot be averaged")

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where one of the scores does."""
        whole = self.leaves(predictions)
        tables = {
            tag: {value: estimate(part) for value, part in parts.items() if self._has_all(part)}
            for tag, parts in slices(whole).items()
        }
        return {**estimate(whole), "by_tag": {tag: kept for tag, kept in tables.items() if kept}}

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """The trees of all scores side by side."""
        return {
            (name, *path): units
            for name, reduce in self.reducers.items()
            for path, units in reduce.leaves(predictions).items()
        }

    def _has_all(self, leaves: Leaves) -> bool:
        return {path[0] for path in leaves} == set(self.reducers)


@dataclass(frozen=True, kw_only=True)
class Points:
    """MME's score: over the values of a tag, the sum of 100 accuracy + 100 share of right groups.

    Value, low and high are in points, from 0 to `highest`, which is 200 per value of the tag.
    Tables show points; figures show the share of `highest`. Source: Fu et al. (2023),
    https://arxiv.org/abs/2306.13394.

    Attributes:
        tag: every row must have it; MME's tasks.
        group: group kind of which all rows must be right; the two questions of an image.
    """

    tag: str
    group: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a prediction lacks the tag or the group."""
        whole = self.leaves(predictions)
        tables = {
            tag: {value: self._points(part) for value, part in parts.items() if _paired(part)}
            for tag, parts in slices(whole).items()
        }
        return {
            **self._points(whole),
            "by_tag": {tag: kept for tag, kept in tables.items() if kept},
        }

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """Rows and groups of every value of the tag; the tree's value is the share of points."""
        leaves: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
        for unit in rows_of(predictions):
            leaves["rows", value_of(self.tag, unit)].append(unit)
        for key, units in members_of(predictions, self.group).items():
            group = together(key, units, all_right(units))
            if self.tag not in group.tags:
                raise ValueError(
                    f"the group {key!r} has rows with several values of the tag {self.tag!r}: "
                    "group the rows of one value only"
                )
            leaves["groups", group.tags[self.tag]].append(group)
        return leaves

    @staticmethod
    def _points(leaves: Leaves) -> dict[str, Any]:
        highest = 100 * len(leaves)  # one leaf of rows and one of groups per value
        found = estimate(leaves)
        scaled = {name: highest * found[name] for name in ("value", "low", "high")}
        return {**found, **scaled, "highest": highest}


def _paired(leaves: Leaves) -> bool:
    """Every value of the tag has rows and whole groups."""
    rows, groups = ({path[1] for path in leaves if path[0] == kind} for kind in ("rows", "groups"))
    return rows == groups


def all_right(units: Sequence[Unit]) -> float:
    """1 where every unit has full credit, else 0."""
    return float(all(unit.credit == 1 for unit in units))


def value_of(tag: str, unit: Unit) -> str:
    """The unit's value of a tag. Raises `ValueError` where there is none."""
    tags = unit.tags
    if tag not in tags:
        raise ValueError(f"{unit.key} has no tag {tag!r}; {nearest(tag, tags)}")
    return tags[tag]
