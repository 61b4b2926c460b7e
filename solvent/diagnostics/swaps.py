"""What other pictures do to the answer: the quantities that three tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import Bounds, of_values
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.statistics.distances import (
    entropy_bits,
    jensen_shannon_bits,
    mutual_information_bits,
    top_set,
)
from solvent.diagnostics.statistics.estimates import (
    FEW_UNBOUNDED,
    MOVED,
    Estimate,
    Verdict,
    decide,
    estimate,
    p_above,
)
from solvent.diagnostics.statistics.floors import PLACEBOS, RERUNS, Gap, mean_gap

SWAPS = ("swap", "swap_2", "swap_3", "swap_4")  # the same question, pictures of other questions

PSEUDO = 1.4  # times the range of values by the number of images: what known bounds cost

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

    Of every sample over the reruns that it has. Noise of small variance v gives an expected J in
    proportion to (M - 1) / M for M answers. NaN for a sample that was not rerun.
    """
    names = ["real", *(name for name in RERUNS if name in answers.scores)]
    ps = np.stack([answers.probabilities(name) for name in names])
    there = ~np.isnan(ps).any(axis=2)
    counts = np.where(there[0], there.sum(axis=0), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there[..., None], ps, 0.0).sum(axis=0) / counts[:, None]
        single = np.where(there, entropy_bits(ps), 0.0).sum(axis=0) / counts
        among = np.maximum(entropy_bits(mean) - single, 0.0)
    scale = (1 - 1 / image_information_bits(answers)[1]) / (1 - 1 / np.maximum(counts, 2))
    return np.where(counts > 1, among * scale, np.nan)


def net_information_bits(answers: Answers) -> Float[np.ndarray, " N"]:
    """Values whose mean is that of J minus that of the noise, and whose spread is that of this.

    With r of n samples rerun, J - noise on average, minus n / r times how far a rerun sample's own
    noise is from the average: where all were rerun, J - noise of every sample. So the noise that
    few samples show is taken from the J of all, and what the few leave open widens the interval.
    NaN where J is unknown, and everywhere where nothing was rerun.
    """
    bits, noise = image_information_bits(answers)[0], noise_information_bits(answers)
    known = np.isfinite(bits)
    rerun = known & np.isfinite(noise)
    if not rerun.any():
        return np.full(len(answers), np.nan)
    away = np.where(rerun, noise - noise[rerun].mean(), 0.0)
    return bits - noise[rerun].mean() - away * known.sum() / rerun.sum()


@dataclass(frozen=True, kw_only=True)
class Content:
    """Whether the answer says which picture was shown, beyond what it says of reruns."""

    verdict: Verdict
    net: Estimate | None  # mean J minus that of reruns; None where either is unknown
    p_value: float | None  # of a mean at most the margin


def content(answers: Answers, margin: float) -> Content:
    """Judge J minus its noise floor against a margin in bits.

    FAIL also where J itself is surely below the margin, as noise takes nothing from it. Where there
    is no rerun the floor is unknown, and nothing passes.
    """
    bits, net = image_information_bits(answers)[0], net_information_bits(answers)
    known, clusters = np.isfinite(bits), answers.clusters
    most = float(np.log2(min(answers.sizes.max(), image_information_bits(answers)[1])))
    whole = decide(estimate(bits[known], clusters[known], (0.0, most)), margin)
    if whole in ("FAIL", "NOT APPLICABLE"):
        p = p_above(bits[known], clusters[known], margin, (0.0, most))
        return Content(verdict=whole, net=_mean(net, clusters, None), p_value=p)
    if np.isnan(net).all():
        return Content(verdict="INCONCLUSIVE", net=None, p_value=None)
    bounds = _net_bounds(net[known], clusters[known], most, margin)
    return Content(
        verdict=decide(_mean(net, clusters, bounds), margin),
        net=_mean(net, clusters, bounds),
        p_value=p_above(net[known], clusters[known], margin, bounds),
    )


def _net_bounds(
    net: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], most: float, margin: float
) -> Bounds | None:
    """Those of J minus noise where they cost little, or where there is no verdict without them."""
    reach = max(most, float(np.abs(net).max()))
    mean = of_values(net, clusters, None)
    narrow = PSEUDO * 2 * reach / mean.effective < margin / 2
    few = mean.effective < FEW_UNBOUNDED or mean.moved < MOVED
    return (-reach, reach) if narrow or few else None


def _mean(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], bounds: Bounds | None
) -> Estimate | None:
    known = np.isfinite(values)
    return estimate(values[known], clusters[known], bounds)


def credit(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    """1 where the right option alone is the likeliest, 1/n where n options tie, else 0.

    NaN where there is no answer.
    """
    likeliest = top_set(answers.scores[condition])
    right = likeliest[np.arange(len(answers)), answers.gold]
    there = likeliest.any(axis=1)
    return np.where(there, right / np.maximum(likeliest.sum(axis=1), 1), np.nan)
