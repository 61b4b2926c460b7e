"""How often an answer is what one says who goes by what is usual, not by the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from solvent.benchmarks.freeform import Matcher
from solvent.benchmarks.reducers.leaves import Leaves
from solvent.benchmarks.reducers.means import Averaging
from solvent.core.types import Accepted, Prediction


@dataclass(frozen=True, kw_only=True)
class PriorShare:
    """The share of answers that the prior gives (`Accepted.prior`): lower is better.

    It is no error rate: an answer may be neither right nor the prior's, and where the picture shows
    what is usual it is both. An answer that could not be read is not the prior's. Source: the bias
    ratio of Vo et al. (2025), https://arxiv.org/abs/2505.23941.

    Attributes:
        matcher: says how far an answer is the prior's, as the benchmark's own matcher does with
            what is right.
        over: how rows are averaged: `Mean`, `Macro`, or `Where` of one.
    """

    matcher: Matcher
    over: Averaging

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The share as a score. Raises `ValueError` where a row has no prior."""
        return self.over(self._rows(predictions))

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """The tree of the rows, with the agreement with the prior as their credits."""
        return self.over.leaves(self._rows(predictions))

    def _rows(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        return [replace(row, credit=self._agreement(row)) for row in predictions]

    def _agreement(self, row: Prediction) -> float:
        if not isinstance(row.gold, Accepted) or not row.gold.prior:
            raise ValueError(
                f"{row.uid} has no answer of the prior: name its column in gold.prior (predictions "
                "of older runs store none: run the cell again)"
            )
        if row.status != "ok" or row.parsed is None:
            return 0.0
        return self.matcher(str(row.parsed), replace(row.gold, answers=row.gold.prior, prior=()))
