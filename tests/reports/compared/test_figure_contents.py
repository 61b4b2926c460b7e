"""What figures say is what the frames say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from solvent.core.plotting import PAPER
from solvent.reports.compared.figures import curve_ticks
from solvent.reports.compared.figures.every_figure import chosen_plans
from solvent.reports.compared.figures.lettering import SMALL, width_of, wrapped
from solvent.reports.compared.figures.mass_scatter import beside_each_other, styles_of
from solvent.reports.compared.frames import Comparison
from tests.reports.compared.laid_out import faults
from tests.reports.compared.made_up import made_up


def drawn(comparison: Comparison, *stems: str) -> dict[str, Figure]:
    """Figures by stem: all, or some."""
    with matplotlib.rc_context(PAPER):
        plans = {plan.stem: plan for plan in chosen_plans(comparison)}
        return {stem: plans[stem].draw() for stem in stems or plans}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return made_up(2, 1)


@pytest.fixture(scope="module")
def figures(comparison: Comparison) -> dict[str, Figure]:
    return drawn(comparison)


def points(axes: Axes) -> list[tuple[float, float]]:
    """Where points and arrows lie, from top to bottom."""
    found = [
        tuple(float(each) for each in point)
        for collection in axes.collections
        if isinstance(collection, PathCollection)
        for point in collection.get_offsets()
    ]
    return sorted(found, key=lambda point: point[1])


def arm(comparison: Comparison, family: str, name: str) -> pd.Series:
    arms = comparison.arms
    return arms[(arms["family"] == family) & (arms["name"] == name)].iloc[0]


def test_a_forest_shows_each_difference_in_points(
    comparison: Comparison, figures: Mapping[str, Figure]
) -> None:
    figure = figures["forest-tiny-shapes"]
    axes = figure.axes[0]
    edges = axes.get_xlim()
    pai, knockout = (arm(comparison, "tiny-shapes", name) for name in ("pai", "knockout"))
    found = points(axes)
    assert found[0][0] == pytest.approx(100 * pai["difference_value"])  # the registered one first
    assert [x for x, _ in found[-2:]] == pytest.approx(
        [100 * knockout["difference_value"], edges[0]]
    )  # beyond the axis: an arrow at its edge
    assert edges[0] > 100 * knockout["difference_high"]
    ends = [segment[:, 0] for segment in axes.collections[1].get_segments()]
    expected = [100 * pai["difference_low"], 100 * pai["difference_high"]]
    assert any(np.allclose(each, expected) for each in ends)
    band = next(patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert (band.get_x(), band.get_width()) == pytest.approx((-2.0, 4.0))
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("EQUIVALENT") == 1
    assert "learned: score 86.0 % [84.5, 87.5], chance 50.0 %" in texts[1]


def test_a_heat_map_has_a_number_and_a_verdict_in_every_cell(comparison: Comparison) -> None:
    arms = comparison.arms
    unrun = (arms["family"] == "tiny-shapes") & (arms["name"] == "vaf")
    axes = drawn(replace(comparison, arms=arms[~unrun]), "heat-map")["heat-map"].axes[0]
    mesh = next(each for each in axes.collections if isinstance(each, QuadMesh))
    low, high = mesh.get_clim()
    assert low == -high  # no change is white
    cells = {text.get_text() for text in axes.texts}
    knockout = arm(comparison, "tiny-shapes", "knockout")["difference_value"]
    assert f"{100 * knockout:+.1f} ▼".replace("-", "−") in cells
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    names = list(dict.fromkeys(arms.loc[(arms["role"] != "control") & ~unrun, "name"]))
    assert len(hatched) == 1
    assert len(axes.texts) == 2 * len(names) - 1


def test_curves_show_band_and_the_peak_that_was_measured_again(
    comparison: Comparison, figures: Mapping[str, Figure]
) -> None:
    axes = figures["layers-tiny-shapes"].axes[0]
    rows = comparison.curves[comparison.curves["curve"] == "tiny-shapes-uniform-layers"]
    peak = comparison.peaks[comparison.peaks["family"] == "tiny-shapes"].iloc[0]
    curve, star = (line for line in axes.lines if line.get_marker() in ("o", "*"))
    assert curve.get_ydata() == pytest.approx(100 * rows["difference_value"])
    assert star.get_ydata() == pytest.approx([100 * peak["value"]])  # not what chose it
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    ends = 100 * rows[["band_low", "band_high"]].to_numpy()
    assert (heights.min(), heights.max()) == pytest.approx((ends.min(), ends.max()))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["early", "middle", "late"]


@pytest.mark.parametrize(
    ("doses", "scale"),
    [
        ((0.5, 1, 2, 4), "log"),
        ((1, 2, 3, 4), "linear"),
        ((0, 0.1, 1, 10), "symlog"),
        ((-1, 0, 1, 100), "linear"),
    ],
)
def test_doses_that_span_a_logarithmic_axis_get_one(
    comparison: Comparison, doses: tuple[float, ...], scale: str
) -> None:
    curves = comparison.curves[comparison.curves["kind"] == "dose"].iloc[:4]
    given = replace(comparison, curves=curves.assign(x=doses))
    stem = "dose-tiny-shapes-mass-factor"
    axes = drawn(given, stem)[stem].axes[0]
    assert axes.get_xscale() == scale
    low, high = axes.get_xlim()
    assert low < min(doses)
    assert high > max(doses)


def test_long_names_of_layers_are_slanted_and_thinned(comparison: Comparison) -> None:
    one = comparison.curves.iloc[[0] * 30]
    windows = [f"{layer}-{layer + 2},{layer + 9}" for layer in range(30)]
    many = one.assign(x=np.arange(30.0), label=windows, curve="many")
    stem = "layers-tiny-shapes"
    figure = drawn(replace(comparison, curves=many), stem)[stem]
    names = figure.axes[0].get_xticklabels()
    assert {name.get_rotation() for name in names} == {curve_ticks.SLANT}
    places = figure.axes[0].transData.transform([(tick, 0) for tick in figure.axes[0].get_xticks()])
    apart = np.diff(places[:, 0]).min() / figure.dpi * np.sin(np.radians(curve_ticks.SLANT))
    assert apart > SMALL / 72  # from one line of letters to the next
    assert 3 < len(names) < 30
    assert faults(figure) == []


def test_an_arm_that_edits_nothing_or_was_not_measured(comparison: Comparison) -> None:
    """Greedy beside sampled decoding has no layers, and no visual mass where none was looked at."""
    arms = comparison.arms.copy()
    sampled = (arms["family"] == "tiny-shapes") & (arms["name"] == "vaf")
    arms.loc[sampled, ["layers", "visual_mass_before", "visual_mass_after"]] = None
    changed = replace(comparison, arms=arms)
    figures = drawn(changed, "forest-tiny-shapes", "trade-off-tiny-shapes")
    plans = {plan.stem: plan for plan in chosen_plans(changed)}
    shown = [x for x, _ in points(figures["forest-tiny-shapes"].axes[0])]
    value = 100 * arm(comparison, "tiny-shapes", "vaf")["difference_value"]
    assert any(x == pytest.approx(value) for x in shown)
    of_family = (arms["family"] == "tiny-shapes") & (arms["role"] != "control")
    scatter = points(figures["trade-off-tiny-shapes"].axes[0])
    assert len(scatter) == of_family.sum() - 1
    assert "whose visual mass was not measured: 1" in plans["trade-off-tiny-shapes"].caption


@pytest.mark.parametrize("high", [1.0, 0.9999999999999998])  # as rounding leaves it
def test_an_arm_that_is_always_right_is_drawn(comparison: Comparison, high: float) -> None:
    arms = comparison.arms.assign(score_value=1.0, score_low=0.98, score_high=high)
    stem = "trade-off-tiny-shapes"
    axes = drawn(replace(comparison, arms=arms), stem)[stem].axes[0]
    assert {y for _, y in points(axes)} == {100.0}


def test_points_that_would_hide_each_other_stand_side_by_side() -> None:
    kept = pd.Series([1.0, 1.0, 0.5, 1.0, 0.0, 0.7, 0.7])
    moved = beside_each_other(kept)
    assert moved[2] == 0.5
    assert moved[4] == 0.0
    assert np.diff(np.sort(moved)).min() > 0.01
    assert moved[[0, 1, 3]].mean() == pytest.approx(1.0)
    assert (moved - kept).abs().max() < 0.03


def test_arms_are_told_apart_by_more_than_colour() -> None:
    names = [f"arm {number}" for number in range(56)]
    for groups in (names, [f"group {number % 4}" for number in range(56)]):
        looks = [(each.colour, each.shape, each.full) for each in styles_of(names, groups).values()]
        assert len(set(looks)) == len(names)


def test_names_of_ticks_never_touch() -> None:
    places = np.sort(np.random.default_rng(0).uniform(0, 3, 40))
    widths = np.full(40, 0.3)
    kept = curve_ticks.thinned(places, widths)
    assert np.diff(places[kept]).min() >= 0.3
    assert len(kept) > 5


@pytest.mark.parametrize("text", ["uniform_row (heads=random:2:1), layers 0-3", "x" * 90, "a b"])
def test_wrapped_names_keep_their_letters_and_their_width(text: str) -> None:
    lines = wrapped(text, 1.0, lines=20).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(width_of, lines)) <= 1.0
    short = wrapped(text, 1.0, lines=2).split("\n")
    assert len(short) == min(2, len(lines))
    assert max(map(width_of, short)) <= 1.0
    assert len(short) == len(lines) or short[-1][-5:] == text[-5:]  # the end tells arms apart
    assert width_of(text, 2 * SMALL) == pytest.approx(2 * width_of(text))
