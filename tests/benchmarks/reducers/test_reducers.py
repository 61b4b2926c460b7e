"""Scores against hand-computed tables, and intervals against formulas written out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from scipy.stats import t as student

from solvent.benchmarks.reducers import AllOf, Macro, Mean
from solvent.core.types import Prediction

Predict = Callable[..., Prediction]


def test_mean_of_single_rows(predict: Predict) -> None:
    """Eight of ten, with one row more that is right and one that is wrong: t on 9 degrees."""
    rows = [predict(f"t/{i}", float(i < 8)) for i in range(10)]
    score = Mean()(rows)
    middle = 9 / 12
    spread = (8 * 0.25**2 + 2 * 0.75**2) / 0.9 + 0.25**2 + 0.75**2
    half = student.ppf(0.975, 9) * math.sqrt(spread) / 12
    assert score["value"] == 0.8
    assert score["low"] == pytest.approx(middle - half)
    assert score["high"] == 1.0
    assert score["interval"] == "clustered"
    assert (score["n"], score["rows"], score["clusters"]) == (10, 10, 10)


def test_all_of_by_hand(predict: Predict) -> None:
    table = {"a": (1, 1), "b": (1, 0), "c": (0, 0)}
    rows = [
        predict(f"t/{key}{i}", credit, groups={"pair": key})
        for key, credits in table.items()
        for i, credit in enumerate(credits)
    ]
    score = AllOf(group="pair")(rows)
    assert score["value"] == pytest.approx(1 / 3)
    assert (score["interval"], score["n"], score["rows"], score["clusters"]) == ("unknown", 3, 6, 3)
    assert Mean()(rows)["value"] == 0.5


def test_macro_by_hand(predict: Predict) -> None:
    table = {"x": (1, 0), "y": (1, 1, 1, 0)}
    rows = [
        predict(f"t/{key}{i}", credit, tags={"kind": key})
        for key, credits in table.items()
        for i, credit in enumerate(credits)
    ]
    score = Macro(tags=["kind"])(rows)
    assert score["value"] == pytest.approx((0.5 + 0.75) / 2)
    assert score["by_tag"]["kind"]["x"]["value"] == 0.5
    assert score["by_tag"]["kind"]["y"]["value"] == 0.75
    assert Mean()(rows)["value"] == pytest.approx(4 / 6)


def test_the_interval_has_the_cluster_robust_error(predict: Predict) -> None:
    generator = random.Random(0)
    rows = []
    for cluster in range(300):
        chance = generator.choice([0.2, 0.9])
        for i in range(generator.randint(1, 8)):
            credit = float(generator.random() < chance)
            rows.append(predict(f"t/{cluster}-{i}", credit, groups={"image": str(cluster)}))
    score = Mean()(rows)
    residuals: dict[str, float] = {}
    for row in rows:
        key = row.groups["image"]
        residuals[key] = residuals.get(key, 0.0) + row.credit - score["value"]
    error = math.sqrt(sum(value**2 for value in residuals.values())) / len(rows)
    naive = math.sqrt(score["value"] * (1 - score["value"]) / len(rows))
    half = (score["high"] - score["low"]) / 2
    assert half == pytest.approx(1.96 * error, rel=0.04)
    assert half > 1.5 * 1.96 * naive  # rows of a cluster are alike: pretending otherwise is bold


def test_brute_force_on_random_tables(predict: Predict) -> None:
    generator = random.Random(1)
    for _ in range(5):
        rows = [
            predict(
                f"t/{i}",
                float(generator.random() < 0.7),
                groups={"item": str(generator.randrange(12)), "half": str(i % 2)},
                tags={"kind": generator.choice("abc")},
            )
            for i in range(60)
        ]
        items = {row.groups["item"] for row in rows}
        full = sum(
            all(row.credit == 1 for row in rows if row.groups["item"] == item) for item in items
        )
        by_kind = {kind: [row.credit for row in rows if row.tags["kind"] == kind] for kind in "abc"}
        macro = sum(sum(credits) / len(credits) for credits in by_kind.values()) / 3
        assert AllOf(group="item")(rows)["value"] == pytest.approx(full / len(items))
        assert Macro(tags=["kind"])(rows)["value"] == pytest.approx(macro)
        assert Mean()(rows)["value"] == pytest.approx(sum(row.credit for row in rows) / 60)


def test_the_order_of_the_predictions_does_not_matter(predict: Predict) -> None:
    generator = random.Random(2)
    rows = [
        predict(
            f"t/{i}", generator.random(), groups={"image": str(i % 7)}, tags={"kind": "ab"[i % 2]}
        )
        for i in range(30)
    ]
    for reduce in (Mean(), AllOf(group="image"), Macro(tags=["kind"])):
        assert reduce(rows) == reduce(generator.sample(rows, len(rows)))


def test_only_answers_that_were_read_earn_credit(predict: Predict) -> None:
    rows = [
        predict("t/1", 1.0),
        predict("t/2", 1.0, status="error", parsed=None),
        predict("t/3", 1.0, status="ambiguous", parsed=None),
        *(predict(f"t/{i}", 1.0, status="ambiguous", parsed=None) for i in (4, 5)),
        *(predict(f"t/{i}", 1.0, status="none", parsed=None) for i in (6, 7, 8, 9)),
    ]
    score = Mean()(rows)
    assert score["value"] == 1 / 9
    assert (score["errors"], score["ambiguous"], score["none"], score["n"]) == (1, 3, 4, 9)


def test_equal_credits_do_not_pretend_certainty(predict: Predict) -> None:
    """Ten images, all right: with two pseudo samples, as many rows as an image has each."""
    rows = [predict(f"t/{i}", 1.0, groups={"image": str(i // 2)}) for i in range(20)]
    score = Mean()(rows)
    middle = 22 / 24
    spread = 10 * (2 * (1 - middle)) ** 2 / 0.9 + 4 * (middle**2 + (1 - middle) ** 2)
    low = middle - student.ppf(0.975, 9) * math.sqrt(spread) / 24
    assert (score["low"], score["high"]) == pytest.approx((low, 1.0))
    alone = Mean()(rows[:2])
    assert (alone["low"], alone["high"], alone["interval"]) == (0.0, 1.0, "unknown")


def test_a_group_counts_towards_a_tag_that_all_its_rows_share(predict: Predict) -> None:
    rows = [
        predict("t/1", 1.0, groups={"pair": "a"}, tags={"label": "yes", "kind": "k"}),
        predict("t/2", 1.0, groups={"pair": "a"}, tags={"label": "no", "kind": "k"}),
        predict("t/3", 0.0, groups={"pair": "b"}, tags={"label": "no", "kind": "k"}),
    ]
    tables = AllOf(group="pair")(rows)["by_tag"]
    assert tables["kind"]["k"]["n"] == 2
    assert list(tables["label"]) == ["no"]
    assert tables["label"]["no"]["value"] == 0.0


def test_wrong_tables_are_refused(predict: Predict) -> None:
    with pytest.raises(ValueError, match="no predictions"):
        Mean()([])
    with pytest.raises(ValueError, match="credit nan"):
        Mean()([predict("t/1", math.nan)])
    with pytest.raises(ValueError, match=r"no group 'pairs'; did you mean 'pair'"):
        AllOf(group="pairs")([predict("t/1", groups={"pair": "a"})])
    with pytest.raises(ValueError, match="no tag 'kind'"):
        Macro(tags=["kind"])([predict("t/1")])
