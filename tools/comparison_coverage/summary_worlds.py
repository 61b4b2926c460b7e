"""Means of effects over benchmarks or models, and differences of scores that are no plain means."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import multivariate_normal, norm
from statsmodels.stats.meta_analysis import combine_effects

from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.random_effects import summarise
from solvent.studies.comparison.paired_statistics.score_difference import score_difference

EFFECT = 0.01
ERRORS = np.array([0.003, 0.01, 0.03])  # standard, in turns
Effects = tuple[int, float]  # how many, tau
CASES: tuple[Effects, ...] = tuple(itertools.product((3, 5, 10, 20), (0.0, 0.01, 0.05)))
SHARES = {  # of images in categories
    "macro mean": np.full(8, 0.125),
    "macro mean, unequal": np.array([0.02, 0.02, 0.04, 0.06, 0.1, 0.16, 0.26, 0.34]),
}
ALIKE = (0.5, 0.95)  # arm and control
Scored = tuple[str, int]  # kind of score, images
SCORED: tuple[Scored, ...] = tuple(
    each
    for each in itertools.product((*SHARES, "F1", "both of a pair"), (40, 100, 500))
    if each != ("macro mean, unequal", 40)  # a category would have a single image
)
RIGHT = np.array([0.92, 0.88])  # of the arm and its control


def effects_table(runs: int, follow: Callable[[Sequence[Effects]], Iterable[Effects]]) -> str:
    """Coverage of the mean effect, and of one more effect."""
    lines = [
        "| effects | tau, points | mean covered, % | by Hartung-Knapp without the guard | "
        "by the normal distribution | one more effect covered, % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for number, (count, tau) in enumerate(follow(CASES)):
        rng, hits = np.random.default_rng(number), np.zeros(4)
        errors = np.resize(ERRORS, count)
        for _ in range(runs):
            effects = rng.normal(EFFECT, np.hypot(tau, errors))
            found = summarise(effects.tolist(), errors.tolist())
            theirs = combine_effects(effects, errors**2, method_re="pm")
            plain, normal = theirs.conf_int(use_t=True)[3], theirs.conf_int(use_t=False)[1]
            another = rng.normal(EFFECT, tau)
            hits += (
                found.low <= EFFECT <= found.high,
                plain[0] <= EFFECT <= plain[1],
                normal[0] <= EFFECT <= normal[1],
                found.prediction_low <= another <= found.prediction_high,
            )
        shares = " | ".join(f"{100 * each:.1f}" for each in hits / runs)
        lines.append(f"| {count} | {100 * tau:g} | {shares} |")
    return "\n".join(lines)


def scores_table(runs: int, follow: Callable[[Sequence[Scored]], Iterable[Scored]]) -> str:
    """Coverage of differences of scores."""
    lines = [
        "| score | images | covered, %: arms alike .5, .95 | width, points |",
        "| --- | --- | --- | --- |",
    ]
    for number, (kind, images) in enumerate(follow(SCORED)):
        rng, layout = np.random.default_rng(number), Layout.of(np.arange(images).repeat(2))
        covered, widths = np.zeros(2), np.zeros(2)
        for _, (place, alike) in itertools.product(range(runs), enumerate(ALIKE)):
            score = scorer(kind, answers(rng, images, alike), rng.random(2 * images) < 0.5)
            found = score_difference(score, layout, pulls=pulls(kind, images))
            covered[place] += found.low <= truth(kind) <= found.high
            widths[place] += found.high - found.low
        shares, sizes = (
            ", ".join(f"{100 * x / runs:.1f}" for x in each) for each in (covered, widths)
        )
        lines.append(f"| {kind} | {images} | {shares} | {sizes} |")
    return "\n".join(lines)


def answers(rng: np.random.Generator, images: int, alike: float) -> Bool[np.ndarray, "2 N"]:
    """Whether the arm and its control are right on two questions per image, correlated .5."""
    shared = rng.normal(size=(3, images)).repeat(2, axis=1)
    own = rng.normal(size=(3, 2 * images))
    both, arm, control = np.sqrt(0.5) * (shared + own)
    latent = np.sqrt(alike) * both + np.sqrt(1 - alike) * np.stack([arm, control])
    return latent < norm.ppf(RIGHT)[:, None]


def scorer(
    kind: str, right: Bool[np.ndarray, "2 N"], yes: Bool[np.ndarray, " N"]
) -> Callable[[Int[np.ndarray, " M"]], tuple[float, float]]:
    """The score of both, given some questions.

    Args:
        yes: the true answers, for F1.
    """
    category = categories(kind, right.shape[1] // 2) if kind in SHARES else np.array([])

    def one(credits: Bool[np.ndarray, " N"], rows: Int[np.ndarray, " M"]) -> float:
        if kind == "F1":
            hits = float((yes[rows] & credits[rows]).sum())
            return 2 * hits / (2 * hits + float((~credits[rows]).sum()))
        if kind == "both of a pair":
            return float(credits[rows].reshape(-1, 2).all(axis=1).mean())
        return float(
            (np.bincount(category[rows], credits[rows]) / np.bincount(category[rows])).mean()
        )

    return lambda rows: (one(right[0], rows), one(right[1], rows))


def categories(kind: str, images: int) -> Int[np.ndarray, " N"]:
    """Of both questions of every image."""
    places = (np.arange(images) + 0.5) / images
    return np.searchsorted(np.cumsum(SHARES[kind]), places).repeat(2)


def pulls(kind: str, images: int) -> Float[np.ndarray, " N"] | None:
    """By how much a question's credit raises a mean over categories."""
    if kind not in SHARES:
        return None
    category = categories(kind, images)
    sizes = np.bincount(category)
    return 1 / (len(sizes) * sizes[category])


@cache
def truth(kind: str) -> float:
    """F1 of answers that are right with one chance whatever is true, half of the time yes, is that
    chance.
    """
    if kind != "both of a pair":
        return float(RIGHT[0] - RIGHT[1])
    pair = multivariate_normal(cov=np.array([[1.0, 0.5], [0.5, 1.0]]))
    arm, control = (float(pair.cdf(np.full(2, norm.ppf(each)))) for each in RIGHT)
    return arm - control
