"""What guessing earns, against published and hand-computed values."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.benchmarks.benchmark import Expect
from solvent.benchmarks.reducers import AllOf, Macro, Mean, MeanOf, Points
from solvent.benchmarks.reducers.leaves import chance
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.core.types import Prediction

Predict = Callable[..., Prediction]
TWO, FOUR = ("yes", "no"), ("a", "b", "c", "d")


def test_rows_with_two_four_and_no_options(predict: Predict) -> None:
    rows = [
        predict("t/1", options=TWO, groups={"pair": "1"}, tags={"kind": "x"}),
        predict("t/2", options=FOUR, groups={"pair": "1"}, tags={"kind": "y"}),
        predict("t/3", options=TWO, groups={"pair": "2"}, tags={"kind": "y"}),
        predict("t/4", options=(), groups={"pair": "3"}, tags={"kind": "y"}),
    ]
    assert chance(Mean().leaves(rows)) == pytest.approx((1 / 2 + 1 / 4 + 1 / 2 + 0) / 4)
    assert chance(AllOf(group="pair").leaves(rows)) == pytest.approx((1 / 8 + 1 / 2 + 0) / 3)
    assert chance(Macro(tags=["kind"]).leaves(rows)) == pytest.approx((1 / 2 + 0.75 / 3) / 2)


def test_mme_is_750_and_300_points(predict: Predict) -> None:
    """Published: of 2,000 and of 800 points."""
    for categories, expected in ((10, 750), (4, 300)):
        rows = [
            predict(
                f"t/{category}/{image}/{place}",
                options=TWO,
                groups={"image": f"{category}/{image}"},
                tags={"category": str(category)},
            )
            for category in range(categories)
            for image in range(3)
            for place in range(2)
        ]
        share = chance(Points(tag="category", group="image").leaves(rows))
        assert 200 * categories * share == pytest.approx(expected)


def test_hallusionbench_is_50_and_24_6_and_18_4(published: Path, predict: Predict) -> None:
    keys = ("category", "subcategory", "set_id")
    rows = [
        predict(
            f"t/{number}",
            options=TWO,
            groups={
                "question": "/".join([*(row[key] for key in keys), row["question_id"]]),
                "figure": "/".join([*(row[key] for key in keys), row["figure_id"]]),
            },
        )
        for number, row in enumerate(
            json.loads((published / "hallusionbench" / "HallusionBench.json").read_text())
        )
        if row["filename"]
    ]
    reducers = {"a": Mean(), "q": AllOf(group="question"), "f": AllOf(group="figure")}
    found = [100 * chance(reduce.leaves(rows)) for reduce in reducers.values()]
    assert [round(each, 1) for each in found] == [50.0, 24.6, 18.4]
    assert 100 * chance(MeanOf(reducers=reducers).leaves(rows)) == pytest.approx(sum(found) / 3)


def answered(config: DictConfig, predict: Predict) -> tuple[float, list[Prediction]]:
    benchmark, samples = load_benchmark(parse(config).benchmark)
    rows = [
        predict(each.uid, gold=each.gold, options=each.options, groups=each.groups, tags=each.tags)
        for each in samples
    ]
    return benchmark.guessed(rows), rows


def test_a_part_of_the_questions_has_a_chance_of_its_own(
    composed: Callable[..., DictConfig], predict: Predict
) -> None:
    whole, _ = answered(composed("limit=90"), predict)
    colours, _ = answered(composed("benchmark.source.kinds=[colour]", "limit=24"), predict)
    assert whole == pytest.approx((6 / 2 + 2 / 8 + 1 / 4) / 9)
    assert colours == pytest.approx(1 / 8)


def test_a_set_that_is_guessed_more_easily_than_published_says_so(
    composed: Callable[..., DictConfig], predict: Predict, caplog: pytest.LogCaptureFixture
) -> None:
    config = composed("benchmark=shapes", "limit=90")
    benchmark, _ = load_benchmark(parse(config).benchmark)
    _, rows = answered(config, predict)
    whole = replace(benchmark, limit=None, expect=Expect(rows=90, groups={}, gold=None))
    with caplog.at_level(logging.WARNING, "solvent"):
        whole.guessed(rows)
        assert not caplog.messages
        replace(whole, chance=0.25).guessed(rows)
    (said,) = caplog.messages
    assert said.startswith("guessing is right in 38.9 % of shapes, where its YAML says 25.0 %")
    caplog.clear()
    replace(whole, chance=None).guessed(rows)
    replace(whole, limit=90, chance=0.25).guessed(rows)  # a part of all
    assert not caplog.messages
