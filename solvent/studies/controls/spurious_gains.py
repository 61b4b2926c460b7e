"""What an arm gains over its baseline, beside what its controls gain on the same questions.

Four controls, none of which looks at the picture any better: the baseline with the arm's answer
rates, the baseline with its nearest ties flipped, the same edit of random heads, the same change of
the visual mass alone. A gain that one of them reaches needs no better look to explain it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from solvent.reports.table import intervention_name
from solvent.studies.comparison.arms import Arm, Pair
from solvent.studies.comparison.paired_statistics.paired import PairedEstimate, compare
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
MOST = 50  # gains of a study that are looked into: each takes a second


@dataclass(frozen=True, kw_only=True)
class Control:
    """What one control gains over the baseline of an arm."""

    name: str
    what: str  # was done, or why there is no such control
    gain: PairedEstimate | None = None  # None: there is none
    beyond: PairedEstimate | None = None  # the arm minus the control

    @property
    def reaches(self) -> bool:
        """Whether the arm is not surely better than the control."""
        return self.beyond is not None and not _above(self.beyond)


@dataclass(frozen=True, kw_only=True)
class Gain:
    """An arm, what it gains, and what its controls do."""

    arm: Arm
    difference: PairedEstimate
    controls: tuple[Control, ...]

    @property
    def reading(self) -> str:
        """One sentence by rule, from the ends of 95 % intervals."""
        made = [each for each in self.controls if each.gain is not None]
        if not _above(self.difference):
            return "no sure gain"
        if reached := [each.name for each in made if each.reaches]:
            return f"no more than: {', '.join(reached)}"
        unrun = [each.name for each in self.controls if each.what == NOT_RUN]
        beyond = f"more than: {', '.join(each.name for each in made)}" if made else "a gain"
        return beyond + (f" (not run: {', '.join(unrun)})" if unrun else "")


def gains(pairs: Sequence[Pair], estimates: Mapping[int, PairedEstimate]) -> list[Gain]:
    """Of every arm that gains or has control arms in the study, the greatest first; random heads
    are no arm. Of a sweep, the greatest `MOST`.

    Args:
        pairs: of the study.
        estimates: of those that have a control, by the identity of the pair.
    """
    beside: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        beside[id(pair.control)].append(pair)
    found = []
    for pair in sorted(
        (pair for pair in pairs if id(pair) in estimates),
        key=lambda pair: -estimates[id(pair)].value,
    ):
        if pair.arm.first.tested or is_random(pair.arm):
            continue
        others, estimate = beside[id(pair.control)], estimates[id(pair)]
        draws, mass = random_heads(pair, others), mass_only(pair, others)
        if estimate.value <= 0 and not draws and mass is None:
            continue
        made = (*_of_answers(pair), _of_heads(pair, draws), _of_mass(pair, mass))
        found.append(Gain(arm=pair.arm, difference=estimate, controls=made))
        if len(found) == MOST:
            break
    return found


def _above(estimate: PairedEstimate) -> bool:
    """Whether a difference is surely above 0."""
    return estimate.low is not None and estimate.low > 0


def _of_answers(pair: Pair) -> Iterator[Control]:
    """The two controls that need no model, of the first draw."""
    assert pair.control is not None
    arm, baseline = pair.arm.first.predictions(), pair.control.first.predictions()
    answer = answer_of(pair.control.first.setting)
    sets = option_sets(arm, baseline, answer)
    for name, change in ((RATES, same_rates), (TIES, near_ties_flipped)):
        if sets:
            made = change(sets, baseline)
            credit = np.array([row.credit for row in made.predictions])
            yield _control(name, _with_count(made), credit, pair)
        elif all(row.scores is None for row in baseline):
            yield Control(name=name, what="answers were generated: no log-probabilities")
        else:
            yield Control(name=name, what=f"no {FEWEST} questions have the same options")


def _of_heads(pair: Pair, draws: Sequence[Pair]) -> Control:
    if draws:
        credit = np.mean([cell.credit for draw in draws for cell in draw.arm.draws], axis=0)
        what = f"mean of {len(draws)} draws" if len(draws) > 1 else "1 draw"
        return _control(HEADS, what, credit, pair)
    if not definition(pair.arm):
        return Control(name=HEADS, what=UNEDITED)
    every = definition(pair.arm)["heads"] == "all"
    return Control(name=HEADS, what="all heads are edited" if every else NOT_RUN)


def _of_mass(pair: Pair, control: Pair | None) -> Control:
    arm = pair.arm
    if control:
        masses = [each.metrics["visual_mass"]["after"] for each in (control.arm, arm)]
        name = intervention_name(control.arm.metrics)
        what = f"{name}, mass {masses[0]:.3f} for {masses[1]:.3f}"
        credit = np.mean([cell.credit for cell in control.arm.draws], axis=0)
        return _control(MASS, what, credit, pair)
    if not definition(arm):
        return Control(name=MASS, what=UNEDITED)
    if keeps_mass(arm):
        return Control(name=MASS, what="the image keeps its mass")
    if moves_mass_alone(arm):
        return Control(name=MASS, what="nothing else is changed")
    return Control(name=MASS, what=NOT_RUN)


def _control(name: str, what: str, credit: Float[np.ndarray, " N"], pair: Pair) -> Control:
    """What a control gains, and the arm beyond it, where the arm's questions are the control's."""
    assert pair.control is not None
    layout = pair.arm.questions.layout
    gain = credit - np.mean([cell.credit for cell in pair.control.draws], axis=0)
    return Control(
        name=name,
        what=what,
        gain=compare(gain, layout),
        beyond=compare(pair.differences - gain, layout),
    )


def _with_count(made: Rescored) -> str:
    """What was done, and to how many questions where these are not all."""
    if made.questions == len(made.predictions):
        return made.what
    return f"{made.what}; of {made.questions:,} of {len(made.predictions):,} questions"
