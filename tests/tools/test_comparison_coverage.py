"""Comparisons are as often right as docs/statistics.md says; a small version of its tables.

The binomial standard error of 300 runs is 1.3 points at 5 %.
"""

from __future__ import annotations

import numpy as np
import pytest

from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.random_effects import summarise
from solvent.studies.comparison.paired_statistics.score_difference import score_difference
from solvent.studies.comparison.paired_statistics.simultaneous import bands
from tools.comparison_coverage.curve_worlds import draw
from tools.comparison_coverage.paired_worlds import MARGIN, World, simulate
from tools.comparison_coverage.summary_worlds import answers, pulls, scorer, truth

RUNS = 300
LIMIT = 0.05 + 3 * 0.0126


@pytest.mark.parametrize(
    ("per_image", "correlation", "false_alarms"), [(1, 0.0, 0.0), (5, 1.0, 0.25), (20, 0.5, 0.3)]
)
def test_one_draw(per_image: int, correlation: float, false_alarms: float) -> None:
    """Flips of images' sums keep the level that McNemar over questions does not."""
    world = World(
        images=1000 // per_image, per_image=per_image, correlation=correlation, discordant=0.1
    )
    found = simulate(world, RUNS, seed=1)
    assert found.covered >= 0.95 - 3 * 0.0126
    assert max(found.equal, found.better) <= LIMIT
    assert found.mcnemar >= false_alarms


@pytest.mark.parametrize(("per_image", "correlation"), [(1, 0.0), (5, 0.5)])
def test_claims_at_the_margin(per_image: int, correlation: float) -> None:
    """Few disagree, so that all of them are losses: where a normal interval fails most."""
    for discordant in (MARGIN, 0.05):
        world = World(
            images=1000 // per_image,
            per_image=per_image,
            correlation=correlation,
            discordant=discordant,
            truth=-MARGIN,
        )
        found = simulate(world, RUNS, seed=2)
        assert found.covered >= 0.95 - 3 * 0.0126
        assert max(found.worse, found.not_inferior, found.equivalent) <= LIMIT
    assert found.not_inferior > 0.005  # at the margin, not far from it


@pytest.mark.parametrize("seeds", [3, 10])
def test_seeds(seeds: int) -> None:
    """Questions alone cover a half to three quarters where seeds differ by three points."""
    for difference in (0.0, -MARGIN):
        world = World(
            images=400,
            per_image=1,
            correlation=0,
            discordant=0.2,
            seeds=seeds,
            seed_sd=0.03,
            truth=difference,
            alike=0.3,
        )
        found = simulate(world, RUNS, seed=3)
        assert found.covered >= 0.95 - 3 * 0.0126
        assert found.items_only < 0.9
        claims = (
            (found.equal, found.better) if difference == 0 else (found.worse, found.not_inferior)
        )
        assert max(claims) <= LIMIT


@pytest.mark.parametrize("case", [(30, 5, 0.9, 1), (60, 5, 0.0, 1)])
def test_bands(case: tuple[int, int, float, int]) -> None:
    rng, layout = np.random.default_rng(4), Layout.of(np.arange(case[0]).repeat(case[1]))
    inside = 0
    for _ in range(80):
        lows, highs = bands(draw(rng, case), layout)
        inside += bool(((lows <= 0) & (highs >= 0)).all())
    assert inside >= 70  # 95 % less three standard errors


def test_means_of_effects() -> None:
    rng, errors = np.random.default_rng(5), np.array([0.003, 0.01, 0.03])
    for tau in (0.0, 0.05):
        found = [
            summarise(rng.normal(0, np.hypot(tau, errors)).tolist(), errors.tolist())
            for _ in range(RUNS)
        ]
        assert np.mean([each.low <= 0 <= each.high for each in found]) >= 0.95 - 3 * 0.0126


@pytest.mark.parametrize("kind", ["macro mean, unequal", "F1", "both of a pair"])
def test_scores(kind: str) -> None:
    rng, layout, inside = np.random.default_rng(6), Layout.of(np.arange(100).repeat(2)), 0
    for _ in range(RUNS):
        score = scorer(kind, answers(rng, 100, 0.95), rng.random(200) < 0.5)
        found = score_difference(score, layout, pulls=pulls(kind, 100))
        inside += found.low <= truth(kind) <= found.high
    assert inside / RUNS >= 0.95 - 3 * 0.0126
