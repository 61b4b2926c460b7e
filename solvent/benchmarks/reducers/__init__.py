"""From stored predictions to scores: pure functions, every mean with its interval and its n.

A reducer returns a dictionary, ready for JSON:

    value            the score, in [0, 1]; of `Points` in points
    low, high        its 95 % interval
    interval         how it was found
    n                number of credits averaged: rows, or groups for `AllOf`
    rows             number of predictions
    clusters         number of independent units among them (`statistics.connected`)
    ambiguous, none  number of predictions that name several options, or none; credit 0
    errors           number of samples that failed; credit 0
    by_tag           tag -> value of the tag -> all of the above except `by_tag`

and, of `Points`, `highest`, the points of a model that is always right; of `Detection`, `measures`.
More is better, but in `PriorShare`. A mean over nothing, that of `Given` where no group passed, has
no value: None, with the interval "unknown", the whole range.

The interval is "clustered" where one mean or ratio is scored, "nested" where means of means are
(both of `solvent.core.intervals`), and "unknown", the whole range, where there are too few clusters
to say anything.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from solvent.benchmarks.reducers.conditional import Given, Where
from solvent.benchmarks.reducers.debiased import Debiased
from solvent.benchmarks.reducers.detection import Detection, MeanF1
from solvent.benchmarks.reducers.matched import BothOf, Matched
from solvent.benchmarks.reducers.means import AllOf, Macro, Mean, MeanOf, Points
from solvent.benchmarks.reducers.priors import PriorShare
from solvent.core.types import Prediction

__all__ = [
    "AllOf",
    "BothOf",
    "Debiased",
    "Detection",
    "Given",
    "Macro",
    "Matched",
    "Mean",
    "MeanF1",
    "MeanOf",
    "Points",
    "PriorShare",
    "Reducer",
    "Where",
]


class Reducer(Protocol):
    """Turns the predictions of one condition into a score."""

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score; the order of the predictions does not matter."""
