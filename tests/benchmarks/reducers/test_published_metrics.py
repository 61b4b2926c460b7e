"""The metrics of published benchmarks, on tables small enough to do by hand and on real gold."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from solvent.benchmarks.reducers import (
    AllOf,
    BothOf,
    Detection,
    Macro,
    Matched,
    Mean,
    MeanF1,
    MeanOf,
    Points,
)
from solvent.core.types import Prediction

Predict = Callable[..., Prediction]
YES_NO = ("yes", "no")


def grouped(predict: Predict, table: dict[str, tuple[int, ...]], group: str) -> list:
    """Rows with the given credits, in groups of one kind."""
    return [
        predict(f"t/{key}/{place}", float(credit), groups={group: key})
        for key, credits in table.items()
        for place, credit in enumerate(credits)
    ]


def test_mmbench_circular(predict: Predict) -> None:
    """A question is right when all its rotations are."""
    table = {"q1": (1, 1, 1, 1), "q2": (1, 1, 0, 1), "q3": (1, 1), "q4": (0, 0, 0)}
    rows = grouped(predict, table, "circular")
    assert AllOf(group="circular")(rows)["value"] == 2 / 4
    assert Mean()(rows)["value"] == pytest.approx(9 / 13)


def test_a_constant_letter_has_circular_zero(predict: Predict) -> None:
    rows = [
        predict(f"t/{q}-{roll}", float((gold + roll) % 4 == 0), groups={"circular": str(q)})
        for q, gold in enumerate([0, 1, 2, 3, 3])
        for roll in range(4)
    ]
    assert Mean()(rows)["value"] == 0.25
    assert AllOf(group="circular")(rows)["value"] == 0


def test_mmvp_pairs(predict: Predict) -> None:
    rows = grouped(predict, {"0": (1, 1), "1": (1, 0), "2": (0, 0), "3": (1, 1)}, "pair")
    assert AllOf(group="pair")(rows)["value"] == 0.5
    assert Mean()(rows)["value"] == 5 / 8


def test_naturalbench(predict: Predict) -> None:
    """Items are 2 questions x 2 images; Q: a question right on both images; I: an image right on
    both questions; G: all four.
    """
    credits = {"a": ((1, 1), (1, 1)), "b": ((1, 0), (1, 1)), "c": ((1, 0), (1, 0))}
    rows = [
        predict(
            f"t/{item}/{q}{i}",
            float(credits[item][q][i]),
            groups={"item": item, "question": f"{item}{q}", "image": f"{item}{i}"},
        )
        for item, q, i in itertools.product(credits, range(2), range(2))
    ]
    assert Mean()(rows)["value"] == pytest.approx(9 / 12)
    assert AllOf(group="question")(rows)["value"] == pytest.approx(3 / 6)
    assert AllOf(group="image")(rows)["value"] == pytest.approx(4 / 6)
    assert AllOf(group="item")(rows)["value"] == pytest.approx(1 / 3)
    assert AllOf(group="item")(rows)["clusters"] == 3


def test_3dsrbench_flip_and_circular(predict: Predict) -> None:
    """One question has rolls, a flip, and rolls of the flip; every kind groups them otherwise."""
    credits = {
        "ABCD0001": (1, 1, 1, 1),
        "ABCD0002": (1, 0, 1, 1),  # a roll is wrong
        "ABCD0003": (1, 1, 0, 1),  # the flip is wrong
    }
    names = ("", "-1", "-flip", "-flip-1")
    rows = [
        predict(
            f"t/{key}{name}",
            float(credit),
            groups={
                "flip": f"{key}{name}".replace("-flip", ""),
                "circular": f"{key}{name}"[: 13 if "-flip" in name else 8],
                "both": key,
            },
        )
        for key, values in credits.items()
        for name, credit in zip(names, values, strict=True)
    ]
    assert AllOf(group="flip")(rows)["value"] == pytest.approx(4 / 6)
    assert AllOf(group="circular")(rows)["value"] == pytest.approx(4 / 6)
    assert AllOf(group="both")(rows)["value"] == pytest.approx(1 / 3)
    assert AllOf(group="circular")(rows)["clusters"] == 3


def tagged(predict: Predict, table: dict[tuple[str, ...], tuple[int, ...]], *tags: str) -> list:
    return [
        predict(
            f"t/{'-'.join(names)}/{place}",
            float(credit),
            tags=dict(zip(tags, names, strict=True)),
        )
        for names, credits in table.items()
        for place, credit in enumerate(credits)
    ]


def test_blink_is_a_macro_mean_over_tasks(predict: Predict) -> None:
    table = {("counting",): (1, 0, 0, 0), ("depth",): (1, 1), ("jigsaw",): (1, 0)}
    rows = tagged(predict, table, "task")
    assert Macro(tags=["task"])(rows)["value"] == pytest.approx((0.25 + 1 + 0.5) / 3)


def test_cvbench_official(predict: Predict) -> None:
    """Mean of 2D and 3D, where 2D is the mean of its two sources."""
    table = {
        ("2D", "ADE20K"): (1, 0, 0, 0),
        ("2D", "COCO"): (1, 1, 1, 0),
        ("3D", "Omni3D"): (1, 0, 1, 0, 1),
    }
    rows = tagged(predict, table, "type", "source")
    score = Macro(tags=["type", "source"])(rows)
    assert score["value"] == pytest.approx(((0.25 + 0.75) / 2 + 0.6) / 2)
    assert score["by_tag"]["type"]["2D"]["value"] == pytest.approx(0.5)
    assert score["by_tag"]["source"]["COCO"]["value"] == pytest.approx(0.75)
    assert score["low"] < score["value"] < score["high"]
    assert score["interval"] == "nested"


def test_vstar_by_category(predict: Predict) -> None:
    table = {("direct",): (1, 1, 0), ("relative",): (0, 1)}
    found = Mean()(tagged(predict, table, "category"))["by_tag"]["category"]
    assert found["direct"]["value"] == pytest.approx(2 / 3)
    assert found["relative"]["value"] == 0.5


def winoground(
    predict: Predict, item: str, scores: tuple[tuple[float, float], tuple[float, float]]
) -> list[Prediction]:
    """Two rows: image 0 and image 1, both ranking the two captions."""
    rows = []
    for image, values in enumerate(scores):
        best = values.index(max(values))
        rows.append(
            predict(
                f"t/{item}/{image}",
                float(best == image),
                parsed=best,
                gold=image,
                options=("caption 0", "caption 1"),
                scores=values,
                groups={"item": item},
            )
        )
    return rows


def test_winoground_unrolled(predict: Predict) -> None:
    """s(caption, image) by hand: rows are images, columns captions."""
    rows = [
        *winoground(predict, "all", ((-1, -3), (-3, -1))),
        *winoground(predict, "text only", ((-1, -2), (-0.5, -0.2))),  # caption 0: image 1
        *winoground(predict, "image only", ((-1, -0.5), (-3, -0.2))),  # caption 1 always wins
        *winoground(predict, "none", ((-3, -1), (-1, -3))),
        *winoground(predict, "equal", ((-1, -2), (-1, -0.5))),  # caption 0 is as good on both
    ]
    text, image = AllOf(group="item"), Matched(group="item")
    assert text(rows)["value"] == pytest.approx(3 / 5)
    assert image(rows)["value"] == pytest.approx(2 / 5)
    both = BothOf(reducers=[text, image])(rows)
    assert (both["value"], both["n"], both["rows"]) == (pytest.approx(1 / 5), 5, 10)


def test_matched_follows_candidates_in_any_order(predict: Predict) -> None:
    first = predict("t/0", 1.0, gold=0, options=("a", "b"), scores=(-1, -3), groups={"item": "x"})
    other = predict("t/1", 1.0, gold=0, options=("b", "a"), scores=(-1, -3), groups={"item": "x"})
    assert Matched(group="item")([first, other])["value"] == 1.0


def test_matched_refuses_what_it_cannot_compare(predict: Predict) -> None:
    good = winoground(predict, "x", ((-1, -3), (-3, -1)))
    free = predict("t/x/1", 1.0, gold=1, groups={"item": "x"})
    with pytest.raises(ValueError, match="'x' has answers without scores"):
        Matched(group="item")([good[0], free])
    with pytest.raises(ValueError, match="two rows of the item 'x' have the same gold"):
        Matched(group="item")([good[0], *winoground(predict, "x", ((-1, -3), (-1, -3)))[:1]])
    other = predict("t/x/1", gold=1, options=("c", "d"), scores=(-1.0, -2.0), groups={"item": "x"})
    with pytest.raises(ValueError, match="rank different candidates"):
        Matched(group="item")([good[0], other])
    failed = predict("t/x/1", status="error", parsed=None, gold=1, groups={"item": "x"})
    assert Matched(group="item")([good[0], failed])["value"] == 0.0
    with pytest.raises(ValueError, match="BothOf needs scores of the same groups"):
        BothOf(reducers=[Mean(), Matched(group="item")])(good)


def yes_no(predict: Predict, uid: str, gold: str, said: str | None, **fields: object) -> Prediction:
    return predict(
        uid,
        float(gold == said),
        gold=YES_NO.index(gold),
        parsed=None if said is None else YES_NO.index(said),
        status="none" if said is None else "ok",
        options=YES_NO,
        **fields,
    )


def detected(predict: Predict, table: dict[tuple[str, str | None], int], tag: str) -> list:
    return [
        yes_no(predict, f"t/{tag}/{gold}{said}{place}", gold, said, tags={"category": tag})
        for (gold, said), count in table.items()
        for place in range(count)
    ]


def test_detection_by_hand(predict: Predict) -> None:
    table = {
        ("yes", "yes"): 6,
        ("yes", "no"): 2,
        ("yes", None): 2,
        ("no", "yes"): 3,
        ("no", "no"): 6,
        ("no", None): 1,
    }
    score = Detection(positive="Yes")(detected(predict, table, "a"))
    measures = score["measures"]
    assert measures["precision"]["value"] == pytest.approx(6 / 9)
    assert measures["recall"]["value"] == pytest.approx(6 / 10)
    assert score["value"] == pytest.approx(2 * (6 / 9) * 0.6 / (6 / 9 + 0.6))
    assert measures["accuracy"]["value"] == pytest.approx(12 / 20)
    assert measures["predicted_positive"]["value"] == pytest.approx(9 / 20)
    assert (score["n"], score["none"], score["clusters"]) == (20, 3, 20)
    assert score["low"] < score["value"] < score["high"]
    # accuracy: close to the normal interval of a proportion, which is too narrow
    half = 1.96 * math.sqrt(0.6 * 0.4 / 20)
    assert measures["accuracy"]["low"] == pytest.approx(0.6 - half, abs=0.05)
    assert measures["accuracy"]["low"] < 0.6 - half


def test_detection_where_nothing_is_detected(predict: Predict) -> None:
    rows = detected(predict, {("yes", "no"): 3, ("no", "no"): 2}, "a")
    score = Detection(positive="yes")(rows)
    assert (score["value"], score["measures"]["recall"]["value"]) == (0.0, 0.0)
    assert score["measures"]["precision"]["value"] is None
    assert score["measures"]["predicted_positive"]["value"] == 0.0
    json.dumps(score, allow_nan=False)
    with pytest.raises(ValueError, match=r"has the options \['a', 'b'\]; expected 'yes' once"):
        Detection(positive="yes")([predict("t/1", options=("a", "b"))])
    with pytest.raises(ValueError, match="older runs store no options"):
        Detection(positive="yes")([predict("t/1")])


def test_mean_f1_is_not_f1_of_the_union(predict: Predict) -> None:
    easy = detected(predict, {("yes", "yes"): 9, ("yes", "no"): 1, ("no", "no"): 10}, "random")
    hard = detected(
        predict, {("yes", "yes"): 5, ("yes", "no"): 5, ("no", "yes"): 5, ("no", "no"): 5}, "popular"
    )
    score = MeanF1(positive="yes", tag="category")(easy + hard)
    assert score["value"] == pytest.approx((18 / 19 + 10 / 20) / 2)
    union = Detection(positive="yes")(easy + hard)
    assert union["value"] == pytest.approx(28 / 39)
    assert union["by_tag"]["category"]["random"]["value"] == pytest.approx(18 / 19)
    assert score["by_tag"]["category"]["popular"]["value"] == pytest.approx(0.5)
    assert score["low"] < score["value"] < score["high"]
    perfect = [
        *detected(predict, {("yes", "yes"): 5, ("no", "no"): 5}, "a"),
        *detected(predict, {("yes", "yes"): 5, ("no", "no"): 5}, "b"),
    ]
    assert MeanF1(positive="yes", tag="category")(perfect)["interval"] == "nested"


def mme(predict: Predict, category: str, image: str, credits: tuple[int, int]) -> list[Prediction]:
    return [
        predict(
            f"t/{category}/{image}/{place}",
            float(credit),
            groups={"image": f"{category}/{image}"},
            tags={
                "category": category,
                "type": "cognition" if category == "code" else "perception",
            },
        )
        for place, credit in enumerate(credits)
    ]


def test_mme_points_by_hand(predict: Predict) -> None:
    rows = [
        *mme(predict, "count", "1", (1, 1)),
        *mme(predict, "count", "2", (1, 0)),
        *mme(predict, "color", "1", (0, 0)),
        *mme(predict, "color", "2", (1, 1)),
        *mme(predict, "color", "3", (1, 1)),
        *mme(predict, "color", "4", (1, 0)),
        *mme(predict, "code", "1", (1, 0)),
        *mme(predict, "code", "2", (1, 0)),
    ]
    score = Points(tag="category", group="image")(rows)
    assert score["value"] == pytest.approx((75 + 50) + (62.5 + 50) + (50 + 0))
    assert (score["highest"], score["n"], score["clusters"]) == (600, 16, 8)
    assert score["low"] < score["value"] < score["high"]
    by_type = score["by_tag"]["type"]
    assert by_type["perception"]["value"] == pytest.approx(237.5)
    assert (by_type["perception"]["highest"], by_type["cognition"]["highest"]) == (400, 200)
    mixed = [predict(f"t/{tag}", groups={"image": "1"}, tags={"category": tag}) for tag in "ab"]
    with pytest.raises(ValueError, match="'1' has rows with several values of the tag 'category'"):
        Points(tag="category", group="image")(mixed)


def test_mme_chance_is_750_and_300(predict: Predict) -> None:
    """A coin on every pair: each of its four outcomes once in every category; that is the mean."""
    outcomes = list(itertools.product((0, 1), repeat=2))
    for categories, expected in ((10, 750), (4, 300)):
        rows = [
            row
            for category in range(categories)
            for image, credits in enumerate(outcomes)
            for row in mme(predict, f"c{category}", str(image), credits)
        ]
        assert Points(tag="category", group="image")(rows)["value"] == pytest.approx(expected)


def test_mean_of(predict: Predict) -> None:
    rows = grouped(predict, {"a": (1, 1), "b": (1, 0), "c": (0, 0)}, "pair")
    score = MeanOf(reducers={"rows": Mean(), "pairs": AllOf(group="pair")})(rows)
    assert score["value"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert (score["n"], score["rows"], score["clusters"]) == (6, 6, 3)
    assert score["low"] < score["value"] < score["high"]
    with pytest.raises(ValueError, match=r"\['f1'\] cannot be averaged"):
        MeanOf(reducers={"rows": Mean(), "f1": Detection(positive="yes")})


def hallusionbench(published: Path, predict: Predict, answer: str | None) -> list[Prediction]:
    """All 951 questions with an image; None: each is answered rightly."""
    rows = json.loads((published / "hallusionbench" / "HallusionBench.json").read_text())
    keys = ("category", "subcategory", "set_id")
    return [
        predict(
            f"t/{number}",
            float(answer is None or row["gt_answer"] == answer),
            groups={
                "question": "/".join([*(row[key] for key in keys), row["question_id"]]),
                "figure": "/".join([*(row[key] for key in keys), row["figure_id"]]),
            },
            tags={"category": row["category"]},
        )
        for number, row in enumerate(rows)
        if row["filename"]
    ]


@pytest.mark.parametrize(
    ("answer", "expected"), [("0", (57.8, 20.0, 12.1)), ("1", (42.2, 4.6, 7.2))]
)
def test_hallusionbench_constant_answers(
    published: Path, predict: Predict, answer: str, expected: tuple[float, ...]
) -> None:
    rows = hallusionbench(published, predict, answer)
    reducers = {"a": Mean(), "q": AllOf(group="question"), "f": AllOf(group="figure")}
    scores = {name: reduce(rows) for name, reduce in reducers.items()}
    assert [round(100 * score["value"], 1) for score in scores.values()] == list(expected)
    assert [score["n"] for score in scores.values()] == [951, 455, 346]
    mean = MeanOf(reducers=reducers)(rows)
    assert mean["value"] == pytest.approx(sum(score["value"] for score in scores.values()) / 3)


def test_pope_of_a_constant_and_of_a_coin(published: Path, predict: Predict) -> None:
    """Always yes: precision 1/2, recall 1, F1 2/3, all answers yes; always right: 1 and half."""
    rows = {"yes": [], "right": []}
    for category in ("random", "popular", "adversarial"):
        text = (published / "pope" / f"coco_pope_{category}.json").read_text()
        for row in map(json.loads, text.splitlines()):
            for name, said in (("yes", "yes"), ("right", row["label"])):
                rows[name].append(
                    yes_no(
                        predict,
                        f"t/{category}/{row['question_id']}",
                        row["label"],
                        said,
                        groups={"image": row["image"]},
                        tags={"category": category},
                    )
                )
    always = Detection(positive="yes")(rows["yes"])
    assert (always["n"], always["clusters"]) == (9000, 500)
    for found in (always, *always["by_tag"]["category"].values()):
        assert found["value"] == pytest.approx(2 / 3)
        measures = {name: measure["value"] for name, measure in found["measures"].items()}
        assert measures == {
            "precision": 0.5,
            "recall": 1.0,
            "accuracy": 0.5,
            "predicted_positive": 1.0,
        }
    right = Detection(positive="yes")(rows["right"])
    assert (right["value"], right["measures"]["predicted_positive"]["value"]) == (1.0, 0.5)
    assert {found["n"] for found in right["by_tag"]["category"].values()} == {3000}


AMBER = {  # dimension -> right answers that are yes and no; counted from the repository at 534babf
    "attribute": (3814, 3814),
    "existence": (0, 4924),
    "relation": (975, 689),
}


def amber(predict: Predict, said: Callable[[int], int]) -> list[Prediction]:
    """All rows of AMBER, whose answers are what is said of a row's number; a picture has 14."""
    golds = [
        (dimension, gold)
        for dimension, sizes in AMBER.items()
        for gold, size in enumerate(sizes)
        for _ in range(size)
    ]
    return [
        predict(
            f"amber/{number}",
            float(said(number) == gold),
            parsed=said(number),
            gold=gold,
            options=YES_NO,
            groups={"image": str(number // 14)},
            tags={"dimension": dimension},
        )
        for number, (dimension, gold) in enumerate(golds)
    ]


def test_amber_s_constant_no(predict: Predict) -> None:
    """Accuracy 66.3 %, F1 79.7, existence all right; the mean of three accuracies by hand."""
    table = amber(predict, lambda _: 1)
    found = Detection(positive="no")(table)
    assert found["measures"]["accuracy"]["value"] == pytest.approx(9427 / 14216)
    assert round(100 * found["measures"]["accuracy"]["value"], 1) == 66.3
    assert round(100 * found["value"], 1) == 79.7
    assert found["measures"]["recall"]["value"] == 1
    parts = found["by_tag"]["dimension"]
    assert parts["existence"]["measures"]["accuracy"]["value"] == parts["existence"]["value"] == 1
    assert parts["relation"]["measures"]["precision"]["value"] == pytest.approx(689 / 1664)
    macro = Macro(tags=["dimension"])(table)
    assert macro["value"] == pytest.approx((1 / 2 + 1 + 689 / 1664) / 3)


def test_amber_s_precision_and_recall_of_no(predict: Predict) -> None:
    """Every third answer is yes: by hand from the counts of each block."""
    found = Detection(positive="no")(amber(predict, lambda number: int(number % 3 > 0)))
    sizes = [size for dimension in AMBER.values() for size in dimension]
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    nos = [
        sum(number % 3 > 0 for number in range(start, start + size))
        for start, size in zip(starts, sizes, strict=True)
    ]
    hits = sum(nos[1::2])
    measures = {name: each["value"] for name, each in found["measures"].items()}
    assert measures["precision"] == pytest.approx(hits / sum(nos))
    assert measures["recall"] == pytest.approx(hits / 9427)
    assert measures["predicted_positive"] == pytest.approx(sum(nos) / 14216)
