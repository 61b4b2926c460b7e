"""What a baseline's stored log-probabilities give without looking again: its answers with the
option rates of another arm, and with its nearest ties flipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.benchmarks.benchmark import Answer
from solvent.benchmarks.prompts import letters
from solvent.core.types import Prediction
from solvent.studies.controls.matched_rates import Answers, with_near_ties_flipped, with_rates

FEWEST = 20  # questions with the same options; below, a bias would be fitted to single answers
SHOWN = 4  # options whose rates are told
_Ranked = tuple[Prediction, list[int], int, int]  # the places of its labels, of gold, of the answer


@dataclass(frozen=True, kw_only=True)
class OptionSet:
    """Questions whose options are the same, in whatever order they were given.

    Axes: N questions, K options.
    """

    labels: tuple[str, ...]  # the options' words, or letters where these were ranked
    uids: tuple[str, ...]
    values: Float[np.ndarray, "N K"]  # by which the baseline chose, in nats
    golds: Int[np.ndarray, " N"]
    answered: Int[np.ndarray, " N"]  # by the arm

    @property
    def counts(self) -> Int[np.ndarray, " K"]:
        """How often the arm gives each option."""
        return np.bincount(self.answered, minlength=len(self.labels))

    @property
    def changed(self) -> int:
        """Answers of the arm that are not the baseline's."""
        return int((self.values.argmax(axis=1) != self.answered).sum())

    def rates(self) -> Iterator[str]:
        """`yes 35 → 50 %`: of the baseline and of the arm; one of two options says it all."""
        before = np.bincount(self.values.argmax(axis=1), minlength=len(self.labels))
        shares = 100 * np.array([before, self.counts]) / len(self.uids)
        first = 1 if len(self.labels) == 2 else 0
        for label, (was, now) in list(zip(self.labels, shares.T, strict=True))[first:]:
            yield f"{label} {was:.0f} → {now:.0f} %"


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """A baseline's predictions with other credits."""

    predictions: Sequence[Prediction]
    questions: int  # that have options which enough others share; all others stay as they were
    what: str  # was done, for people


def option_sets(
    arm: Sequence[Prediction], baseline: Sequence[Prediction], answer: Answer
) -> list[OptionSet]:
    """All sets of options that at least `FEWEST` ranked questions share.

    Questions that failed, that one of the two did not answer by an option, or of which two options
    are the same, are in none.
    """
    theirs = {row.uid: row.parsed for row in arm if isinstance(row.parsed, int)}
    members: dict[tuple[str, ...], list[_Ranked]] = defaultdict(list)
    for row in baseline:
        labels = _labels(row, answer)
        if row.uid in theirs and isinstance(row.gold, int) and len(set(labels)) == len(labels) > 1:
            order = sorted(range(len(labels)), key=labels.__getitem__)
            ranked = (row, order, order.index(row.gold), order.index(theirs[row.uid]))
            members[tuple(labels[place] for place in order)].append(ranked)
    return [
        OptionSet(
            labels=labels,
            uids=tuple(row.uid for row, *_ in rows),
            values=np.array([_values(row, answer)[order] for row, order, *_ in rows]),
            golds=np.array([gold for _, _, gold, _ in rows]),
            answered=np.array([given for *_, given in rows]),
        )
        for labels, rows in sorted(members.items())
        if len(rows) >= FEWEST
    ]


def same_rates(sets: Sequence[OptionSet], baseline: Sequence[Prediction]) -> Rescored:
    """The baseline with one bias per option, by which it gives every option as often as the arm."""
    told = [rate for each in sets for rate in each.rates()]
    what = ", ".join(told) if len(told) <= SHOWN else f"{len(sets)} sets of options"
    return _rescored(sets, baseline, what, lambda each: with_rates(each.values, each.counts))


def near_ties_flipped(sets: Sequence[OptionSet], baseline: Sequence[Prediction]) -> Rescored:
    """The baseline with as many answers changed as the arm changed: those nearest to a tie."""
    what = f"{sum(each.changed for each in sets):,} answers"
    return _rescored(
        sets, baseline, what, lambda each: with_near_ties_flipped(each.values, each.changed)
    )


def answer_of(identity: Mapping[str, Any] | None) -> Answer:
    """How a cell's options were ranked; of cells that do not say: by the words' sums."""
    stored = ((identity or {}).get("benchmark") or {}).get("answer") or {}
    said = {name: value for name, value in stored.items() if not name.startswith("_")}
    return Answer(**{"mode": "rank", "normalise": "sum", "by": "words", "max_new_tokens": 1} | said)


def _rescored(
    sets: Sequence[OptionSet],
    baseline: Sequence[Prediction],
    what: str,
    answers: Callable[[OptionSet], Answers],
) -> Rescored:
    credits: dict[str, float] = {}
    for each in sets:
        shares = answers(each).shares[np.arange(len(each.uids)), each.golds]
        credits |= dict(zip(each.uids, shares.tolist(), strict=True))
    rows = [replace(row, credit=credits.get(row.uid, row.credit)) for row in baseline]
    return Rescored(predictions=rows, questions=len(credits), what=what)


def _labels(row: Prediction, answer: Answer) -> tuple[str, ...]:
    """What the options are called; nothing where they were not ranked, or nobody knows."""
    if row.scores is None or row.status == "error":
        return ()
    if answer.by == "letter":
        return letters(len(row.scores))
    return tuple(option.casefold() for option in row.options or ())


def _values(row: Prediction, answer: Answer) -> Float[np.ndarray, " K"]:
    return np.array(answer.values(row.scores or (), row.blind_scores))
