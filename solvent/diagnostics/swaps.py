"""What other pictures do to the answer: the quantities that three tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.statistics.distances import (
    jensen_shannon_bits,
    mutual_information_bits,
    top_set,
)
from solvent.diagnostics.statistics.floors import PLACEBOS, RERUNS, Gap, mean_gap

SWAPS = ("swap", "swap_2", "swap_3", "swap_4")  # the same question, pictures of other questions

Distance = Callable[[Float[np.ndarray, "N K"], Float[np.ndarray, "N K"]], Float[np.ndarray, " N"]]


def probability_gap(answers: Answers, distance: Distance) -> Gap:
    """Distance between the probabilities under `real` and under a condition."""
    real = answers.probabilities("real")
    return lambda condition: distance(real, answers.probabilities(condition))


def change(statistic: Gap) -> Gap:
    """Distance between the values of a statistic under `real` and under a condition."""
    real = statistic("real")
    return lambda condition: np.abs(statistic(condition) - real)


def over_placebo(gap: Gap, answers: Answers, names: tuple[str, ...]) -> Float[np.ndarray, " N"]:
    """Mean distance to some conditions minus that to placebos; what remains is due to content."""
    return mean_gap(gap, answers, names) - mean_gap(gap, answers, PLACEBOS)


def image_effect_bits(answers: Answers) -> Float[np.ndarray, " N"]:
    """Mean Jensen-Shannon divergence to swaps minus that to placebos, in [-1, 1] bits."""
    return over_placebo(probability_gap(answers, jensen_shannon_bits), answers, SWAPS)


def image_information_bits(answers: Answers) -> tuple[Float[np.ndarray, " N"], int]:
    """J, what the answer says about which of the pictures was shown, and the number of pictures.

    Mutual information of answer and picture over the real one and its swaps, equally likely, in
    [0, log2 of their number] bits. NaN for a sample that lacks one of the swaps.
    """
    names = ["real", *(name for name in SWAPS if name in answers.scores)]
    return mutual_information_bits(np.stack([answers.probabilities(n) for n in names])), len(names)


def noise_information_bits(answers: Answers) -> Float[np.ndarray, " N"]:
    """J of reruns, where nothing differs, as large as it would be among as many answers as J has.

    Noise of small variance v gives an expected J in proportion to (M - 1) / M for M answers. NaN
    for a sample that was not rerun.
    """
    names = ["real", *(name for name in RERUNS if name in answers.scores)]
    if len(names) < 2:
        return np.full(len(answers), np.nan)
    among = mutual_information_bits(np.stack([answers.probabilities(name) for name in names]))
    images = image_information_bits(answers)[1]
    return among * (1 - 1 / images) / (1 - 1 / len(names))


def credit(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    """1 where the right option alone is the likeliest, 1/n where n options tie, else 0.

    NaN where there is no answer.
    """
    likeliest = top_set(answers.scores[condition])
    right = likeliest[np.arange(len(answers)), answers.gold]
    there = likeliest.any(axis=1)
    return np.where(there, right / np.maximum(likeliest.sum(axis=1), 1), np.nan)
