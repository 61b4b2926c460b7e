"""Arms of one curve: bands over all of them, and the best of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.paired import compare
from solvent.studies.comparison.paired_statistics.simultaneous import bands, held_out_peak

ARMS = 32
DISCORDANT = 0.1
Case = tuple[int, int, float, int]  # images, questions per image, correlation of arms, seeds
CASES: tuple[Case, ...] = tuple(
    (images, per_image, correlation, seeds)
    for (images, per_image), correlation, seeds in itertools.product(
        ((30, 5), (60, 5), (200, 1)), (0.0, 0.9), (1, 3, 10)
    )
    if correlation or seeds == 1
)


def draw(rng: np.random.Generator, case: Case) -> Float[np.ndarray, "L R N"]:
    """Differences without any true effect: neighbouring arms are alike, and so are questions of an
    image; seeds shift an arm by a point.
    """
    images, per_image, correlation, seeds = case
    shared = rng.normal(size=(ARMS, images)).repeat(per_image, axis=1)
    latent = np.sqrt(0.5) * (shared + rng.normal(size=shared.shape))
    for arm in range(1, ARMS):
        latent[arm] = correlation * latent[arm - 1] + np.sqrt(1 - correlation**2) * latent[arm]
    latent = latent[:, None]
    if seeds > 1:
        each = rng.normal(size=(ARMS, seeds, images * per_image))
        latent = np.sqrt(0.6) * latent + np.sqrt(0.4) * each
    shift = np.clip(rng.normal(size=(ARMS, seeds, 1)) * 0.005, -0.04, 0.04) * (seeds > 1)
    won = latent > norm.isf(DISCORDANT / 2 + shift)
    return won * 1.0 - (latent < norm.ppf(DISCORDANT / 2 - shift))


def curve_table(runs: int, follow: Callable[[Sequence[Case]], Iterable[Case]]) -> str:
    """Bands and peaks of 32 arms that do nothing, in half as many runs."""
    lines = [
        "| images | questions each | arms alike | seeds | curve within band, % | width, points | "
        "within pointwise intervals, % | the best arm seems to gain, points | on the other half: "
        "points, covered % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    runs = max(1, runs // 2)
    for number, case in enumerate(follow(CASES)):
        rng, layout = np.random.default_rng(number), Layout.of(np.arange(case[0]).repeat(case[1]))
        inside, pointwise, covered = 0, 0, 0
        widths, best, again = [], [], []
        for _ in range(runs):
            differences = draw(rng, case)
            lows, highs = bands(differences, layout) or (-np.ones(ARMS), np.ones(ARMS))
            widths.append(np.median(highs - lows))
            inside += bool(((lows <= 0) & (highs >= 0)).all())
            every = [compare(each, layout) for each in differences]
            pointwise += all((each.low or -1) <= 0 <= (each.high or 1) for each in every)
            best.append(max(each.value for each in every))
            peak = held_out_peak(differences, layout)
            again.append(peak.estimate.value)
            covered += (peak.estimate.low or -1) <= 0 <= (peak.estimate.high or 1)
        images, per_image, correlation, seeds = case
        lines.append(
            f"| {images} | {per_image} | {correlation:g} | {seeds} | {100 * inside / runs:.1f} "
            f"| {100 * np.median(widths):.1f} "
            f"| {100 * pointwise / runs:.1f} | {100 * np.mean(best):+.1f} "
            f"| {100 * np.mean(again):+.1f}, {100 * covered / runs:.1f} |"
        )
    return "\n".join(lines)
