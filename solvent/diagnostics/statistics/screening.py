"""Which samples a test may read, and what it says when there are too few of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding
from solvent.diagnostics.statistics.estimates import Verdict

MOST_INVALID = 0.01  # share of failed samples above which a test reads nothing
FROM_DONORS = ("swap",)  # needed conditions that not every sample has: a donor may not be found
LEAST_MASS = 0.05  # probability of all options together, below which an answer is a refusal, say


@dataclass(frozen=True, kw_only=True)
class Screened:
    """Samples with numbers under all conditions that a test cannot do without, and the others."""

    answers: Answers
    counts: Mapping[str, int]  # samples read, and why others are not
    verdict: Verdict | None  # None: the test may go on
    reason: str

    def finding(self, test: str) -> Finding:
        """What a test says that may not go on."""
        return Finding(
            test=test,
            verdict=self.verdict,
            strict=self.verdict,
            reason=self.reason,
            metrics=self.counts,
            series={},
        )


def screen(answers: Answers, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> Screened:
    """Drop and count what cannot be read.

    A question with one option, or with two options that are the same word, is no question: it is
    dropped, and so is one for which no donor of another picture was found. A sample without numbers
    under a needed condition is invalid, and so is one whose scores under an optional condition are
    no numbers, though it may lack them altogether.

    Raises `ValueError` when a needed condition was not run at all.
    """
    if missing := [name for name in needed if name not in answers.scores]:
        raise ValueError(
            f"expected answers under {', '.join(needed)}, found none under {', '.join(missing)}"
        )
    single = answers.sizes < 2
    duplicate = ~single & np.array([_repeats(options) for options in answers.options], dtype=bool)
    alone = ~single & ~duplicate & ~_has_donors(answers, needed)
    asked = ~single & ~duplicate & ~alone
    valid = answers.valid(*needed)
    for name in optional:
        if name in answers.scores:
            valid &= answers.valid(name) | ~attempted(answers, name)
    invalid = int((asked & ~valid).sum())
    counts = {
        "samples": int((asked & valid).sum()),
        "invalid": invalid,
        "single_option": int(single.sum()),
        "duplicate_options": int(duplicate.sum()),
        "without_donor": int(alone.sum()),
    }
    verdict, reason = _judge(counts, int(asked.sum()))
    return Screened(
        answers=answers.take(asked & valid), counts=counts, verdict=verdict, reason=reason
    )


def attempted(answers: Answers, condition: str) -> Bool[np.ndarray, " N"]:
    """Whether a condition showed a sample at all: it has scores, or says what was shown."""
    scored = ~np.isnan(answers.scores[condition]).all(axis=1)
    return scored | np.array([bool(facts) for facts in answers.shown[condition]], dtype=bool)


def unlikely(answers: Answers, *conditions: str) -> Bool[np.ndarray, " N"]:
    """Samples with a probability below .05 that the answer is any of the options."""
    masses = [answers.validity_mass(name) for name in conditions]
    return (np.array(masses) < LEAST_MASS).any(axis=0)


def _has_donors(answers: Answers, needed: tuple[str, ...]) -> Bool[np.ndarray, " N"]:
    there = [attempted(answers, name) for name in needed if name in FROM_DONORS]
    return np.all([np.ones(len(answers), dtype=bool), *there], axis=0)


def _repeats(options: tuple[str, ...]) -> bool:
    return len({" ".join(option.casefold().split()) for option in options}) < len(options)


def _judge(counts: Mapping[str, int], asked: int) -> tuple[Verdict | None, str]:
    if asked == 0:
        return (
            "NOT APPLICABLE",
            "No question has two different options, and a donor where one is needed.",
        )
    if counts["invalid"] > MOST_INVALID * asked:
        return "ERROR", (
            f"The model gave no usable numbers for {counts['invalid']} of {asked} samples, more "
            "than the 1 % that a test may leave out."
        )
    return None, ""
