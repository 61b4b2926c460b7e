"""Answers with one bias per option, so that every option is given as often as somewhere else.

Which question changes its answer is then decided by the stored log-probabilities alone. After Yin,
Si and Wang (2025), https://arxiv.org/abs/2504.10020, where pushing all answers the same way gains
what contrastive decoding gains on POPE.

Axes: N questions, K options.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack

TIE = 1e-6  # nats that make no difference between two options
NEVER = -1e4  # nats, of an option that cannot be given
ROUNDS = 20_000  # of sharing out questions that tie
SHARED_OUT = 1e-9  # of a question


@dataclass(frozen=True, eq=False)
class Answers:
    """How far each question is answered by each option: 1, or a share of it among those that tie.

    Attributes:
        shares: in [0, 1], one for every question and option.
        bias: what was added to the options' log-probabilities, in nats; that of the option that is
            given most often is 0, and an option that is never given has minus infinity.
    """

    shares: Float[np.ndarray, "N K"]
    bias: Float[np.ndarray, " K"]


def with_rates(values: Float[np.ndarray, "N K"], counts: Int[np.ndarray, " K"]) -> Answers:
    """The answers argmax_o (values + bias) with the bias by which option o is given counts_o times.

    Such a bias is the dual solution of the assignment of questions to options that has these counts
    and the greatest sum of values (a transport problem). Of all such, one in their midst is taken.
    Questions whose best options tie are shared out, so that the counts hold and equal questions are
    treated alike.

    Args:
        values: log-probabilities of the options of every question, in nats.
        counts: how often each option is to be given; their sum is N.
    """
    values = _leads(values)
    bias = _bias(values, _assignment(values, counts))
    biased = values + bias
    best = biased >= biased.max(axis=1, keepdims=True) - TIE
    return Answers(shares=_shared_out(best, counts), bias=bias)


def with_near_ties_flipped(values: Float[np.ndarray, "N K"], count: float) -> Answers:
    """The likeliest answers, but for the `count` questions where two are the most nearly equal:
    these are given the second. Questions as near as the last of them are flipped in part.
    """
    values = _leads(values)
    order = np.argsort(-values, axis=1, kind="stable")
    rows = np.arange(len(values))
    first, second = order[:, 0], order[:, 1]
    gap = values[rows, first] - values[rows, second]
    flipped = np.zeros(len(values))
    if count:
        last = np.sort(gap)[int(np.ceil(count)) - 1]
        sure, level = gap < last - TIE, np.abs(gap - last) <= TIE
        flipped = sure + level * (count - sure.sum()) / level.sum()
    shares = np.zeros(values.shape)
    shares[rows, first], shares[rows, second] = 1 - flipped, flipped
    return Answers(shares=shares, bias=np.zeros(values.shape[1]))


def _leads(values: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Over the likeliest option: 0 or below, and finite."""
    return np.maximum(values - values.max(axis=1, keepdims=True), NEVER)


def _assignment(
    values: Float[np.ndarray, "N K"], counts: Int[np.ndarray, " K"]
) -> Int[np.ndarray, " N"]:
    """The option of every question: counts hold, and the sum of values is the greatest."""
    questions, options = values.shape
    once = kron(eye_array(questions), np.ones((1, options)), format="csr")
    often = kron(np.ones((1, questions)), eye_array(options), format="csr")
    found = linprog(
        -values.ravel(),
        A_eq=vstack([once, often[:-1]], format="csr"),  # the last follows from the others
        b_eq=np.concatenate([np.ones(questions), counts[:-1]]),
        method="highs-ds",  # its solutions are whole numbers
    )
    if found.x is None:
        raise RuntimeError(f"no bias gives the options {counts.tolist()} times: {found.message}")
    chosen: Int[np.ndarray, " N"] = found.x.reshape(values.shape).argmax(axis=1)
    return chosen


def _bias(
    values: Float[np.ndarray, "N K"], chosen: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " K"]:
    """A bias in the midst of all under which the assignment is the best.

    Whoever was given a stays there if bias_o - bias_a is at most the least lead of a over o. The
    greatest bias under such bounds is a shortest path from one option to all; the mean over options
    to begin from meets no bound that need not be met.
    """
    options = values.shape[1]
    least = np.full((options, options), np.inf)
    for option in np.unique(chosen):
        rows = values[chosen == option]
        least[option] = (rows[:, [option]] - rows).min(axis=0)
    for through in range(options):
        least = np.minimum(least, least[:, [through]] + least[[through]])
    times = np.bincount(chosen, minlength=options)
    paths = least[times > 0]
    bias = (paths - paths[:, [times.argmax()]]).mean(axis=0)
    return np.where(times > 0, bias, -np.inf)


def _shared_out(
    best: Bool[np.ndarray, "N K"], counts: Int[np.ndarray, " K"]
) -> Float[np.ndarray, "N K"]:
    """Shares of the best options, by iterative proportional fitting: of all that have these counts,
    those with the greatest entropy, so that questions with the same best options have the same.
    """
    kinds, kind, sizes = np.unique(best, axis=0, return_inverse=True, return_counts=True)
    shares = kinds / kinds.sum(axis=1, keepdims=True)
    for _ in range(ROUNDS):
        sums = sizes @ shares
        if np.abs(sums - counts).max() <= SHARED_OUT:
            break
        shares *= np.divide(counts, sums, out=np.zeros(len(sums)), where=sums > 0)
        shares /= shares.sum(axis=1, keepdims=True)
    return shares[kind.ravel()]
