"""Differences of an arm and its control against statsmodels, scipy and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t as student
from statsmodels.stats.weightstats import DescrStatsW

from solvent.core.intervals import DIFFERENCE, Clustered, of_values
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.margin_claims import adjust, claims
from solvent.studies.comparison.paired_statistics.paired import (
    Crossed,
    PairedEstimate,
    compare,
    equal_accuracy,
)
from solvent.studies.comparison.paired_statistics.sign_flips import flip_p_values

CLUSTERS = np.random.default_rng(5).permutation(np.arange(600) // 5)


def drawn(seeds: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """Differences of 600 questions: what an image does, what a seed does, and the rest."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=120)[CLUSTERS] + generator.normal(size=(seeds, 600))
    latent += shift + 0.2 * generator.normal(size=(seeds, 1))
    return (latent > 2) * 1.0 - (latent < -2)


def compared(seeds: int, shift: float = 0.0, seed: int = 0) -> PairedEstimate:
    return compare(drawn(seeds, shift, seed), Layout.of(CLUSTERS))


def test_one_draw_has_the_interval_of_its_clusters() -> None:
    differences = drawn(1)
    found, mean = compared(1), of_values(differences[0], CLUSTERS, DIFFERENCE)
    assert (found.low, found.high) == pytest.approx(mean.interval())
    assert (found.lower, found.upper) == pytest.approx(mean.interval(0.9))  # 120 clusters
    assert (found.n, found.clusters, found.effective) == (600, 120, pytest.approx(120))
    assert (found.gained, found.lost) == ((differences > 0).sum(), (differences < 0).sum())
    assert found.discordant == pytest.approx((differences != 0).mean())
    fit = sm.OLS(differences[0], np.ones(600)).fit(
        cov_type="cluster", cov_kwds={"groups": CLUSTERS, "use_correction": False}
    )
    robust = fit.bse[0] ** 2 * 120 / 119
    assert found.design_effect == pytest.approx(robust / (differences.var(ddof=1) / 600))
    assert found.design_effect > 1.5
    assert (found.seeds, found.seed_sd) == (1, None)


def test_seeds_are_crossed_with_questions() -> None:
    """The three parts written out; sizes are equal, so that CR2 is the variance of image means."""
    for seed in range(6):
        differences = drawn(4, seed=seed)
        found = compared(4, seed=seed)
        images = np.array([differences[:, each == CLUSTERS].mean() for each in range(120)])
        items = of_values(differences.mean(axis=0), CLUSTERS, DIFFERENCE)
        a = max(images.var(ddof=1) / 120, items.cautious_error**2)
        b = differences.mean(axis=1).var(ddof=1) / 4
        freedom = (a + b) ** 2 / (a**2 / 119 + b**2 / 3)
        halves = student.ppf(0.975, [freedom, 3]) * np.sqrt([a + b, b])
        ends = items.interval()
        middle = differences.mean()
        assert found.low == pytest.approx(min(ends[0], middle - halves.max()))
        assert found.high == pytest.approx(max(ends[1], middle + halves.max()))
        assert found.seed_sd == pytest.approx(differences.mean(axis=1).std(ddof=1))
        assert found.gained == pytest.approx((differences > 0).sum() / 4)
        assert found.lost == pytest.approx((differences < 0).sum() / 4)
        assert found.seeds_better == (differences.mean(axis=1) > 0).mean()
        (p,) = equal_accuracy([found])
        t = abs(middle) / np.sqrt([a + b, b])
        flips = flip_p_values(items.sums[:, None])[0]
        assert p == pytest.approx(max(flips, *(2 * student.sf(t, [freedom, 3]))))


@pytest.mark.parametrize("seeds", [1, 3])
def test_claims_hold_exactly_where_the_ends_pass_the_margin(seeds: int) -> None:
    for seed in range(10):
        found = compared(seeds, seed=seed)
        assert found.lower is not None
        assert found.upper is not None
        assert found.level == 0.05
        for gap in (-1e-6, 1e-6):
            assert (found.p_above(found.lower + gap) < 0.05) == (gap < 0)
            assert (found.p_below(found.upper + gap) < 0.05) == (gap > 0)
        held = claims(found, 0.03)
        assert held.p_equivalent == max(found.p_above(-0.03), found.p_below(0.03))
        assert held.p_not_inferior == found.p_above(-0.03)
        assert held.p_worse == found.p_below(-0.03)
        assert held.p_better == found.p_above(0.0)


def test_two_one_sided_tests_are_those_of_statsmodels() -> None:
    """Of symmetric values without bounds; bounds then add one question at each of them."""
    half = np.random.default_rng(3).choice([0.0, 0.0, 0.0, 1.0], size=2000)
    values = np.concatenate([half, -half])
    values[:5] = 1.0
    layout = Layout.of(np.arange(4000))
    theirs = DescrStatsW(values).ttost_mean(-0.02, 0.02)[0]
    symmetric = Clustered(layout.sums(values), layout.sizes, layout.sums(values**2), None)
    bare = Crossed(items=symmetric, seeds=1, seed_variance=0.0)
    assert max(bare.p_above(-0.02), bare.p_below(0.02)) == pytest.approx(theirs, rel=0.02)
    found = claims(compare(values, layout), 0.02).p_equivalent
    assert theirs <= found * 1.0001
    assert found == pytest.approx(theirs, rel=0.05)


def test_without_ground_there_is_no_claim_and_no_number_that_is_none() -> None:
    for clusters, differences, words in (
        (np.zeros(40, int), np.zeros((2, 40)), "1 independent image has"),
        (np.arange(12), np.ones((1, 12)), "12 independent images"),
        (
            np.repeat([0, *range(1, 81)], [40, *[1] * 80]),
            np.zeros((1, 120)),
            "9 independent images",
        ),
    ):
        found = compare(differences, Layout.of(clusters))
        held = claims(found, 0.02)
        assert words in found.doubt
        assert (found.lower, found.upper) == (None, None)
        assert {held.p_worse, held.p_better, held.p_not_inferior, held.p_equivalent} == {None}
        numbers = [value for value in vars(found).values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
    assert compare(np.zeros(40), Layout.of(np.zeros(40, int))).low is None
    assert equal_accuracy([compare(np.zeros(4), Layout.of(np.arange(4)))]) == [None]


def test_questions_that_all_agree_are_no_certainty() -> None:
    found = compare(np.zeros((3, 180)), Layout.of(np.arange(180)))
    with_two = np.sqrt(2) / 182
    assert found.high == pytest.approx(student.ppf(0.975, 179) * with_two)
    assert found.error == pytest.approx(with_two)
    assert equal_accuracy([found]) == [1.0]


def test_a_layout_sums_and_picks_whole_clusters() -> None:
    layout, values = Layout.of(CLUSTERS * 7 - 3), drawn(2)
    expected = [np.bincount(CLUSTERS, line) for line in values]
    assert layout.sums(values) == pytest.approx(np.array(expected))
    rows, part = layout.only(np.array([4, 90]))
    assert set(CLUSTERS[rows]) == {4, 90}
    assert (rows.tolist(), part.sizes.tolist()) == (sorted(rows), [5, 5])
    assert part.sums(values[:, rows]) == pytest.approx(layout.sums(values)[:, [4, 90]])


def test_mistakes_are_told() -> None:
    layout = Layout.of(np.arange(30))
    with pytest.raises(ValueError, match="29 values were given for 30 questions"):
        compare(np.zeros(29), layout)
    with pytest.raises(ValueError, match="1 differences are no numbers"):
        compare(np.array([np.nan, *np.zeros(29)]), layout)
    with pytest.raises(ValueError, match="there are no questions"):
        Layout.of(np.array([], int))
    with pytest.raises(ValueError, match="above 0, not 0"):
        claims(compare(np.zeros(30), layout), 0)


def test_p_values_are_adjusted_around_what_is_missing() -> None:
    """Holm (1979) by hand: 3 x .01, then 2 x .02; Benjamini and Hochberg (1995): 3 x .01 / 1."""
    assert adjust([0.02, None, 0.01, 0.9], "holm") == pytest.approx([0.04, None, 0.03, 0.9])
    assert adjust([0.02, None, 0.01, 0.9], "fdr_bh") == pytest.approx([0.03, None, 0.03, 0.9])
    assert adjust([None, None], "holm") == [None, None]
    assert adjust([], "holm") == []


def test_five_questions_of_an_image_are_one_observation() -> None:
    """Where they agree, the interval and p are those of one question per image."""
    once = np.random.default_rng(1).integers(0, 2, 60).astype(float)
    found = compare(once.repeat(5), Layout.of(np.arange(300) // 5))
    alone = compare(once, Layout.of(np.arange(60)))
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert equal_accuracy([found]) == equal_accuracy([alone])
    assert found.design_effect == pytest.approx(5 * alone.design_effect, rel=0.02)
