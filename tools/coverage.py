"""How often intervals cover the truth and verdicts are wrong: the tables of docs/statistics.md.

python -m tools.coverage            # prints them; about ten minutes
python -m tools.coverage --runs 200 # less exact

Every world draws values of which the mean is known, in clusters of a kind: alone, five or twenty
together, or unequal. Values of one cluster are joined by a Gaussian copula, of intraclass
correlation 0.2, 0.5 or 1. What is counted is what a user gets: `estimate` of the diagnostics, and
the reducers' mean of means.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.progress import track
from scipy.stats import lognorm, norm

from solvent.core.intervals import DIFFERENCE, SHARE, Bounds, of_nested_mean
from solvent.diagnostics.statistics.estimates import Estimate, decide, estimate

BANDS = (5, 20, 60, 100)  # effective clusters from which on another rule holds
CLUSTERS = (8, 15, 30, 50, 75, 120, 200)
CORRELATIONS = (0.2, 0.5, 1.0)
Draw = Callable[[np.ndarray], np.ndarray]  # of uniform numbers


@dataclass(frozen=True, kw_only=True)
class World:
    """Values of a known mean."""

    name: str
    draw: Draw
    mean: float
    bounds: Bounds | None


def share(p: float) -> World:
    """Right answers, or wins."""
    return World(name=f"share {p:g}", draw=lambda u: (u < p) * 1.0, mean=p, bounds=SHARE)


def paired(wins: float, losses: float) -> World:
    """Differences of two cells that seldom disagree."""
    return World(
        name=f"paired +{wins:g} -{losses:g}",
        draw=lambda u: np.where(u < losses, -1.0, np.where(u > 1 - wins, 1.0, 0.0)),
        mean=wins - losses,
        bounds=DIFFERENCE,
    )


PARTS = {"18 of 10": [10] * 18, "6 of 30": [30] * 6, "4, 8, 16, 32": [4, 8, 16, 32]}  # clusters
WORLDS = (
    share(0.05),
    share(0.5),
    share(0.95),
    World(
        name="few move",  # one image in twenty, by anything up to 1
        draw=lambda u: np.where(u < 0.05, u / 0.05, 0.0),
        mean=0.025,
        bounds=SHARE,
    ),
    World(
        name="few lose much",
        draw=lambda u: np.where(u < 0.05, -1.0, 0.05),
        mean=-0.0025,
        bounds=DIFFERENCE,
    ),
    paired(0.05, 0.05),
    paired(0.04, 0.02),
    World(name="normal", draw=norm.ppf, mean=0.0, bounds=None),
    World(name="exponential", draw=lambda u: -np.log1p(-u), mean=1.0, bounds=None),
    World(name="lognormal", draw=lambda u: lognorm.ppf(u, 1), mean=float(np.exp(0.5)), bounds=None),
)
SIZES: Mapping[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "1": lambda rng, count: np.ones(count, dtype=int),
    "5": lambda rng, count: np.full(count, 5),
    "20": lambda rng, count: np.full(count, 20),
    "unequal": lambda rng, count: rng.geometric(0.2, size=count),
}


@dataclass
class Counts:
    """What happened in the runs of one world."""

    runs: int = 0
    known: int = 0  # had an interval
    covered: int = 0
    judged: int = 0  # a verdict was possible
    passed: int = 0  # wrongly: the margin is the truth itself
    failed: int = 0

    def add(self, found: Estimate, truth: float) -> None:
        """One run, judged against a margin that is the truth: every verdict is an error."""
        self.runs += 1
        if found.low is not None and found.high is not None:
            self.known += 1
            self.covered += found.low <= truth <= found.high
        if found.doubt is None:
            self.judged += 1
            verdict = decide(found, truth)
            self.passed += verdict == "PASS"
            self.failed += verdict == "FAIL"


def joined(
    rng: np.random.Generator, sizes: np.ndarray, correlation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform numbers of which those of a cluster belong together, and the clusters."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    shared, own = rng.normal(size=len(sizes))[labels], rng.normal(size=len(labels))
    return norm.cdf(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own), labels


def simulate(
    world: World, sizes: str, clusters: int, correlation: float, runs: int, seed: int
) -> tuple[float, Counts]:
    """Mean effective number of clusters, and what happened."""
    rng, counts, effective = np.random.default_rng(seed), Counts(), []
    for _ in range(runs):
        drawn = SIZES[sizes](rng, clusters)
        uniform, labels = joined(rng, drawn, correlation)
        counts.add(estimate(world.draw(uniform), labels, world.bounds), world.mean)
        effective.append(drawn.sum() ** 2 / (drawn**2).sum())
    return float(np.mean(effective)), counts


def cases() -> Iterator[tuple[World, str, int, float]]:
    """All worlds; values that stand alone have no correlation."""
    for world in WORLDS:
        for sizes in SIZES:
            for clusters in CLUSTERS:
                for correlation in CORRELATIONS if sizes != "1" else (0.0,):
                    yield world, sizes, clusters, correlation


def band(effective: float) -> str:
    """The rule that holds."""
    ends = [*BANDS, None]
    for low, high in itertools.pairwise(ends):
        if high is None or effective < high:
            return f"{low} and more" if high is None else f"{low} to {high - 1}"
    raise AssertionError("unreachable: the last band has no end")


def tables(runs: int) -> str:
    """Of means by number of effective clusters, the worst world of each; then of means of means."""
    found: dict[tuple[str, str], list[tuple[str, Counts]]] = defaultdict(list)
    for number, (world, sizes, clusters, correlation) in enumerate(
        track([*cases()], description="worlds")
    ):
        effective, counts = simulate(world, sizes, clusters, correlation, runs, number)
        kind = "known bounds" if world.bounds else "no bounds"
        where = f"{world.name}, {clusters} x {sizes}, {correlation:g}"
        found[kind, band(effective)].append((where, counts))
    lines = [
        "| values | effective clusters | worlds | covered, %: mean, worst | judged | wrong PASS, "
        "wrong FAIL, %: worst |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (kind, name), worlds in sorted(found.items()):
        lines.append(_line(kind, name, worlds))
    return "\n".join(lines)


def _line(kind: str, name: str, worlds: Sequence[tuple[str, Counts]]) -> str:
    cover = {where: each.covered / each.known for where, each in worlds if each.known}
    wrong = {
        where: (each.passed / each.runs, each.failed / each.runs)
        for where, each in worlds
        if each.judged
    }
    mean = 100 * float(np.mean(list(cover.values())))
    low = min(cover, key=lambda where: cover[where])
    shown = f"{mean:.1f}, {100 * cover[low]:.1f} ({low})"
    errors = "no verdict"
    if wrong:
        most = max(wrong, key=lambda where: max(wrong[where]))
        errors = f"{100 * wrong[most][0]:.1f}, {100 * wrong[most][1]:.1f} ({most})"
    return f"| {kind} | {name} | {len(worlds)} | {shown} | {len(wrong)} | {errors} |"


def nested(runs: int, seed: int = 0) -> dict[str, float]:
    """Coverage of a mean over categories of their means of right answers."""
    rng, covered = np.random.default_rng(seed), {}
    for name, rows in PARTS.items():
        for p in (0.5, 0.9, 0.97):
            hits, place = 0, np.repeat(np.arange(len(rows)), rows)
            sizes = np.eye(len(rows))[place]
            for _ in range(runs):
                right = (rng.random(len(place)) < p)[:, None] * sizes
                low, high = of_nested_mean(right, sizes, np.full(len(rows), 1 / len(rows))) or SHARE
                hits += low <= p <= high
            covered[f"{name}, {p:g}"] = hits / runs
    return covered


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="of every world")
    arguments = parser.parse_args()
    sys.stdout.write(tables(arguments.runs) + "\n\n")
    for name, cover in nested(arguments.runs).items():
        sys.stdout.write(f"mean of means, {name}: {100 * cover:.1f} %\n")


if __name__ == "__main__":
    main()
