"""What an arm gains over its baseline, beside what its controls gain on the same questions.

Four controls, none of which looks at the picture any better: the baseline with the arm's answer
rates, the baseline with its nearest ties flipped, the same edit of random heads, the same change of
the visual mass alone. A gain that one of them reaches needs no better look to explain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from solvent.core.statistics import PairedDifference, paired_difference
from solvent.core.types import Prediction
from solvent.reports.pairing import FinishedCell, Row
from solvent.reports.table import intervention_name
from solvent.studies.controls.control_arms import (
    definition,
    is_random,
    keeps_mass,
    mass_only,
    moves_mass_alone,
    random_heads,
)
from solvent.studies.controls.option_sets import (
    FEWEST,
    Rescored,
    answer_of,
    near_ties_flipped,
    option_sets,
    same_rates,
)

RATES, TIES = "same rates by a bias", "near ties flipped"
HEADS, MASS = "random heads", "mass only"
NOT_RUN, UNEDITED = "not run", "no edit of attention"


@dataclass(frozen=True, kw_only=True)
class Control:
    """What one control gains over the baseline of an arm."""

    name: str
    what: str  # was done, or why there is no such control
    gain: PairedDifference | None = None  # None: there is none
    beyond: PairedDifference | None = None  # the arm minus the control

    @property
    def reaches(self) -> bool:
        """Whether the arm is not surely better than the control."""
        return self.beyond is not None and self.beyond.low <= 0


@dataclass(frozen=True, kw_only=True)
class Gain:
    """An arm, what it gains, and what its controls do."""

    cell: FinishedCell
    difference: PairedDifference
    controls: tuple[Control, ...]

    @property
    def reading(self) -> str:
        """One sentence by rule, from the ends of 95 % intervals."""
        made = [each for each in self.controls if each.gain is not None]
        if self.difference.low <= 0:
            return "no sure gain"
        if reached := [each.name for each in made if each.reaches]:
            return f"no more than: {', '.join(reached)}"
        unrun = [each.name for each in self.controls if each.what == NOT_RUN]
        beyond = f"more than: {', '.join(each.name for each in made)}" if made else "a gain"
        return beyond + (f" (not run: {', '.join(unrun)})" if unrun else "")


def gains(rows: Sequence[Row]) -> list[Gain]:
    """Of every arm that gains or has control arms in the study, the greatest first; random heads
    are no arm.
    """
    found = []
    for row in rows:
        if row.difference is None or row.baseline is None or is_random(row):
            continue
        draws, mass = random_heads(row, rows), mass_only(row, rows)
        if row.difference.value <= 0 and not draws and mass is None:
            continue
        arm, baseline = row.cell, row.baseline
        made = (*_of_answers(arm, baseline), _of_heads(row, draws), _of_mass(row, mass))
        found.append(Gain(cell=arm, difference=row.difference, controls=made))
    return sorted(found, key=lambda gain: -gain.difference.value)


def _of_answers(arm: FinishedCell, baseline: FinishedCell) -> Iterator[Control]:
    """The two controls that need no model."""
    answer = answer_of(baseline.identity)
    sets = option_sets(arm.predictions, baseline.predictions, answer)
    for name, change in ((RATES, same_rates), (TIES, near_ties_flipped)):
        if sets:
            made = change(sets, baseline.predictions)
            yield _control(name, _with_count(made), made.predictions, arm, baseline)
        elif all(row.scores is None for row in baseline.predictions):
            yield Control(name=name, what="answers were generated: no log-probabilities")
        else:
            yield Control(name=name, what=f"no {FEWEST} questions have the same options")


def _of_heads(arm: Row, draws: Sequence[Row]) -> Control:
    if draws and arm.baseline:
        rows = _mean_credits([draw.cell.predictions for draw in draws])
        what = f"mean of {len(draws)} draws" if len(draws) > 1 else "1 draw"
        return _control(HEADS, what, rows, arm.cell, arm.baseline)
    if not definition(arm):
        return Control(name=HEADS, what=UNEDITED)
    every = definition(arm)["heads"] == "all"
    return Control(name=HEADS, what="all heads are edited" if every else NOT_RUN)


def _of_mass(arm: Row, control: Row | None) -> Control:
    if control and arm.baseline:
        masses = [row.cell.metrics["visual_mass"]["after"] for row in (control, arm)]
        name = intervention_name(control.cell.metrics)
        what = f"{name}, mass {masses[0]:.3f} for {masses[1]:.3f}"
        return _control(MASS, what, control.cell.predictions, arm.cell, arm.baseline)
    if not definition(arm):
        return Control(name=MASS, what=UNEDITED)
    if keeps_mass(arm):
        return Control(name=MASS, what="the image keeps its mass")
    if moves_mass_alone(arm):
        return Control(name=MASS, what="nothing else is changed")
    return Control(name=MASS, what=NOT_RUN)


def _control(
    name: str,
    what: str,
    rows: Sequence[Prediction],
    arm: FinishedCell,
    baseline: FinishedCell,
) -> Control:
    return Control(
        name=name,
        what=what,
        gain=paired_difference(rows, baseline.predictions),
        beyond=paired_difference(arm.predictions, rows),
    )


def _with_count(made: Rescored) -> str:
    """What was done, and to how many questions where these are not all."""
    if made.questions == len(made.predictions):
        return made.what
    return f"{made.what}; of {made.questions:,} of {len(made.predictions):,} questions"


def _mean_credits(draws: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """The first draw's rows with the mean credit of all."""
    credits = [{row.uid: row.credit for row in rows} for rows in draws]
    return [
        replace(row, credit=float(np.mean([each[row.uid] for each in credits]))) for row in draws[0]
    ]
