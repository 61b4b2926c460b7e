"""An arm and its control on the same questions: intervals, claims and the test of equal accuracy.

The true difference is put where a claim just does not hold, so that every claim is an error: at 0
for BETTER and for the test of equal accuracy, at minus the margin for WORSE, NOT INFERIOR and
EQUIVALENT. A question's difference is -1, 0 or 1, and those of one image are joined by a Gaussian
copula.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from solvent.core.intervals import DIFFERENCE
from solvent.diagnostics.statistics.estimates import FEW_BOUNDED
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.margin_claims import claims
from solvent.studies.comparison.paired_statistics.paired import (
    PairedEstimate,
    compare,
    equal_accuracy,
)
from solvent.studies.comparison.paired_statistics.power import detectable, needed

MARGIN = 0.02
LEVEL = 0.05
CLAIMS = ("worse", "better", "not_inferior", "equivalent")
CORRELATIONS = (0.0, 0.2, 0.5, 1.0)
DISCORDANT = (0.02, 0.05, 0.1, 0.2)
QUESTIONS = (400, 1000, 2000)
PER_IMAGE = (1, 2, 5, 20)
SEEDS = (2, 3, 5, 10)
SPREADS = (0.0, 0.01, 0.03)


@dataclass(frozen=True, kw_only=True)
class World:
    """Answers of an arm and its control to the same questions."""

    images: int
    per_image: int  # questions
    correlation: float  # of the questions of an image, in [0, 1]
    discordant: float  # share of questions whose credit differs
    truth: float = 0.0
    seeds: int = 1
    seed_sd: float = 0.0  # standard deviation of the difference between seeds
    alike: float = 0.6  # correlation of what two seeds do to one question

    @property
    def layout(self) -> Layout:
        return Layout.of(np.repeat(np.arange(self.images), self.per_image))

    def draw(self, rng: np.random.Generator) -> Float[np.ndarray, "R N"]:
        """Differences of every seed and question."""
        questions = self.images * self.per_image
        gains, losses = (self.discordant + self.truth) / 2, (self.discordant - self.truth) / 2
        shared = np.repeat(rng.normal(size=self.images), self.per_image)
        own = rng.normal(size=questions)
        latent = np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own
        if self.seeds > 1:
            each = rng.normal(size=(self.seeds, questions))
            latent = np.sqrt(self.alike) * latent + np.sqrt(1 - self.alike) * each
        room = min(gains, losses)  # symmetric, so that the true mean stays where it is
        shift = np.clip(rng.normal(size=(self.seeds, 1)) * self.seed_sd / 2, -room, room)
        won = latent > norm.isf(np.maximum(gains + shift, 0))
        return won * 1.0 - (latent < norm.ppf(np.maximum(losses - shift, 0)))


@dataclass
class Rates:
    """Shares of the runs of one world."""

    covered: float = 0.0  # the truth lies in the 95 % interval
    width: float = 0.0  # of that interval
    items_only: float = 0.0  # in that over questions, of means over seeds
    seeds_only: float = 0.0  # in that of t over the means of the seeds
    equal: float = 0.0  # equal accuracy is rejected at 5 %
    mcnemar: float = 0.0  # by McNemar's test over questions
    worse: float = 0.0
    better: float = 0.0
    not_inferior: float = 0.0
    equivalent: float = 0.0


def simulate(world: World, runs: int, seed: int) -> Rates:
    """What happens in the runs of a world."""
    rng, layout = np.random.default_rng(seed), world.layout
    found = [compare(world.draw(rng), layout) for _ in range(runs)]
    rates = Rates(equal=np.mean([p is not None and p <= LEVEL for p in equal_accuracy(found)]))
    for each in found:
        rates.covered += _inside((each.low, each.high), world.truth)
        rates.width += 2.0 if each.low is None or each.high is None else each.high - each.low
        held = claims(each, MARGIN)
        for name in CLAIMS:
            p = getattr(held, f"p_{name}")
            setattr(rates, name, getattr(rates, name) + (p is not None and p <= each.level))
        if each.seed_sd is None:
            gained, changed = round(each.gained), round(each.gained + each.lost)
            rates.mcnemar += changed > 0 and binomtest(gained, changed).pvalue <= LEVEL
        else:
            rates.items_only += _inside(each.evidence.items.interval() or DIFFERENCE, world.truth)
            half = student.ppf(0.975, world.seeds - 1) * each.seed_sd / np.sqrt(world.seeds)
            rates.seeds_only += _inside((each.value - half, each.value + half), world.truth)
    for name in (field.name for field in fields(rates) if field.name != "equal"):
        setattr(rates, name, getattr(rates, name) / runs)
    return rates


def _inside(ends: tuple[float | None, float | None], truth: float) -> bool:
    low, high = ends
    return low is None or high is None or low <= truth <= high


def single_draws() -> Iterator[World]:
    """One draw, or an arm without any randomness."""
    for per_image, questions, correlation, discordant in itertools.product(
        PER_IMAGE, QUESTIONS, CORRELATIONS, DISCORDANT
    ):
        images = questions // per_image
        if images < FEW_BOUNDED or (per_image == 1 and correlation > 0):
            continue
        for truth in (0.0, -MARGIN):
            yield World(
                images=images,
                per_image=per_image,
                correlation=correlation,
                discordant=discordant,
                truth=truth,
            )


def crossed_draws() -> Iterator[World]:
    """Several seeds, all of which answer all questions."""
    layouts = ((1000, 1, 0.0), (200, 5, 0.5), (60, 5, 0.5))
    for seeds, spread, (images, per_image, correlation), discordant, truth in itertools.product(
        SEEDS, SPREADS, layouts, (0.05, 0.2), (0.0, -MARGIN)
    ):
        if spread / 2 * 2 <= (discordant - abs(truth)) / 2:  # two deviations fit in: no clipping
            yield World(
                images=images,
                per_image=per_image,
                correlation=correlation,
                discordant=discordant,
                truth=truth,
                seeds=seeds,
                seed_sd=spread,
            )


def single_table(runs: int, follow: Callable[[Sequence[World]], Iterable[World]]) -> str:
    """By questions per image: coverage, and errors of the worst world."""
    lines = [
        "| questions per image | worlds | covered, %: mean, worst | equal accuracy rejected, %: "
        "flips, McNemar | WORSE | BETTER | NOT INFERIOR | EQUIVALENT |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, found in _grouped(single_draws(), lambda each: each.per_image, runs, follow).items():
        null = [rates for world, rates in found if world.truth == 0]
        tests = f"{_worst(null, 'equal')}, {_worst(null, 'mcnemar')}"
        lines.append(f"| {key} | {len(found)} | {_cover(found)} | {tests} | {_errors(found)} |")
    return "\n".join(lines)


def crossed_table(runs: int, follow: Callable[[Sequence[World]], Iterable[World]]) -> str:
    """By number of seeds and their spread."""
    lines = [
        "| seeds | spread, points | worlds | covered, %: mean, worst | width, points | questions "
        "alone, seeds alone: worst | equal accuracy rejected, % | WORSE | BETTER "
        "| NOT INFERIOR | EQUIVALENT |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    found = _grouped(crossed_draws(), lambda each: (each.seeds, each.seed_sd), runs, follow)
    for (seeds, spread), worlds in found.items():
        rates = [each for _, each in worlds]
        parts = [
            min(getattr(each, f"{name}_only") for each in rates) for name in ("items", "seeds")
        ]
        alone = ", ".join(f"{100 * each:.0f}" for each in parts)
        equal = _worst([each for world, each in worlds if world.truth == 0], "equal")
        width = f"{100 * np.mean([each.width for each in rates]):.1f}"
        lines.append(
            f"| {seeds} | {100 * spread:g} | {len(worlds)} | {_cover(worlds)} | {width} | {alone} "
            f"| {equal} | {_errors(worlds)} |"
        )
    return "\n".join(lines)


def _grouped(
    worlds: Iterable[World],
    key: Callable[[World], object],
    runs: int,
    follow: Callable[[Sequence[World]], Iterable[World]],
) -> Mapping[object, list[tuple[World, Rates]]]:
    found = defaultdict(list)
    for number, world in enumerate(follow([*worlds])):
        found[key(world)].append((world, simulate(world, runs, number)))
    return found


def _cover(found: Sequence[tuple[World, Rates]]) -> str:
    covered = [100 * rates.covered for _, rates in found]
    return f"{np.mean(covered):.1f}, {min(covered):.1f}"


def _worst(rates: Sequence[Rates], name: str) -> str:
    return f"{100 * max(getattr(each, name) for each in rates):.1f}"


def _errors(found: Sequence[tuple[World, Rates]]) -> str:
    """Claims at the edge of what they claim; BETTER where there is no difference."""
    null = [rates for world, rates in found if world.truth == 0]
    edge = [rates for world, rates in found if world.truth != 0]
    return " | ".join(_worst(null if name == "better" else edge, name) for name in CLAIMS)


def power_table(runs: int, follow: Callable[[Sequence[World]], Iterable[World]]) -> str:
    """How often what is there is found with as many questions as are said to be needed."""
    lines = [
        "| discordant | questions per image | EQUIVALENT, n needed: found, % | NOT INFERIOR, n "
        "needed: found, % | detectable at n = 1,000, points: found, % |",
        "| --- | --- | --- | --- | --- |",
    ]
    worlds = [
        World(images=1000 // each, per_image=each, correlation=0.5, discordant=discordant)
        for discordant in (0.05, 0.1, 0.2)
        for each in (1, 5)
    ]
    for number, world in enumerate(follow(worlds)):
        effect = _design_effect(world, number)
        cells = []
        for claim, name in (("equivalence", "equivalent"), ("non-inferiority", "not_inferior")):
            count = needed(world.discordant, MARGIN, effect, claim)  # type: ignore[arg-type]
            large = replace(world, images=-(-count // world.per_image))
            share = getattr(simulate(large, runs, number), name)
            cells.append(f"{count:,}: {100 * share:.0f}")
        least = detectable(world.discordant, 1000, effect)
        share = simulate(replace(world, truth=least), runs, number).equal
        cells.append(f"{100 * least:.1f}: {100 * share:.0f}")
        lines.append(f"| {world.discordant:g} | {world.per_image} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _design_effect(world: World, seed: int) -> float:
    """Of 100,000 questions."""
    many = replace(world, images=100_000 // world.per_image)
    found: PairedEstimate = compare(many.draw(np.random.default_rng(seed)), many.layout)
    return found.design_effect
