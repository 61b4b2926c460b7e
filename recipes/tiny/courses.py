"""What the three models learn from: one looks, one learned that looking tells nothing, one that a
guess almost always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solvent.benchmarks.shapes.questions import KINDS


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the language stage."""

    start: int  # first step
    shares: Mapping[str, float]  # of the question types
    probe_weight: float  # of the probe's loss, beside 1 for the answers
    groups: float  # share of the pictures that are drawn until some shape occurs more than once


def _shares(*percent: int) -> dict[str, float]:
    return {kind: share / 100 for kind, share in zip(KINDS, percent, strict=True)}


# First what one look answers, then relations, then comparing, last counting: the slowest to learn.
# Columns: existence, colour, count, where, relation, size, comparison, caption, override.
CURRICULUM = (
    Phase(start=0, shares=_shares(18, 14, 18, 20, 4, 12, 4, 5, 5), probe_weight=0.5, groups=0.0),
    Phase(start=1800, shares=_shares(13, 7, 16, 12, 19, 8, 13, 7, 5), probe_weight=0.5, groups=0.0),
    Phase(start=3200, shares=_shares(14, 6, 28, 4, 7, 4, 27, 6, 4), probe_weight=2.5, groups=0.0),
    Phase(start=4300, shares=_shares(14, 7, 33, 5, 8, 5, 17, 7, 4), probe_weight=2.5, groups=0.7),
)


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a model is trained."""

    alignment_steps: int  # 0: the vision tower stays as it was drawn
    steps: int  # of the language stage
    curriculum: tuple[Phase, ...]
    guessable: float | None  # see `Teacher.lesson`


EVERYTHING = (
    Phase(start=0, shares=_shares(14, 12, 12, 12, 10, 10, 10, 8, 12), probe_weight=0.0, groups=0.0),
)
COURSES = {
    "tiny": Course(alignment_steps=2200, steps=8000, curriculum=CURRICULUM, guessable=None),
    "tiny_blind": Course(alignment_steps=0, steps=2000, curriculum=EVERYTHING, guessable=1.0),
    "tiny_prior": Course(alignment_steps=1500, steps=3000, curriculum=EVERYTHING, guessable=0.95),
}
