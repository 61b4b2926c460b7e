"""Answers without the models' preference for a letter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import softmax

from solvent.benchmarks.reducers.leaves import Leaves, score
from solvent.benchmarks.reducers.units import Unit, members_of, together
from solvent.core.types import Prediction


@dataclass(frozen=True, kw_only=True)
class Debiased:
    """Accuracy of the option that is likeliest on average over the rotations of a question.

    In each rotation the candidates' probabilities are normalised to sum to one; an option's are
    averaged over the letters that it had. A tie is wrong, and so is a question with a failed row.
    Questions without options count as they are. Source: cyclic permutation in Zheng et al. (2024),
    https://arxiv.org/abs/2309.03882, equation 2.

    Attributes:
        group: group kind of the rotations of a question.
    """

    group: str

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` where a prediction lacks the group, options or scores."""
        return score(self.leaves(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All questions in one leaf."""
        members = members_of(predictions, self.group).items()
        return {(): [together(key, units, _credit(key, units)) for key, units in members]}


def _credit(question: str, units: Sequence[Unit]) -> float:
    rows = [row for unit in units for row in unit.rows]
    if not isinstance(rows[0].gold, int):
        return units[0].credit
    if any(row.status == "error" for row in rows):
        return 0.0
    if any(row.scores is None or row.options is None for row in rows):
        raise ValueError(f"the question {question!r} was not ranked: set answer.mode to rank")
    chances: dict[str, float] = defaultdict(float)
    for row in rows:
        shares = softmax([each.log_probability for each in row.scores])
        for option, share in zip(row.options, shares, strict=True):
            chances[option] += share
    best = max(chances.values())
    gold = rows[0].options[rows[0].gold]
    return float(chances[gold] == best and list(chances.values()).count(best) == 1)
