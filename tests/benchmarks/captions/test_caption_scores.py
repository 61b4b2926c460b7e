"""Twenty captions, scored by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from solvent.benchmarks.captions.hallucination import Hallucination
from solvent.benchmarks.captions.naming import NothingAbsent
from solvent.benchmarks.captions.vocabulary import Mentions
from solvent.core.types import Accepted, Prediction
from tests.benchmarks.captions.conftest import CASES, Case

MEASURES = {
    "chair_s": "with_absent",
    "chair_i": "absent",
    "recall": "recall",
    "precision": "precision",
    "f1": "f1",
    "words": "words",
}
REDUCE = Hallucination(measures=MEASURES, safe=[], max_new_tokens=512)

# fmt: off
# caption              1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20    sum
ABSENT = sum([         0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 4, 0, 0, 0, 0, 2, 0, 0])  # 10
MENTIONS = sum([       2, 3, 2, 0, 2, 2, 2, 1, 1, 3, 2, 3, 4, 0, 2, 1, 2, 3, 1, 0])  # 36
THERE = sum([          2, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 2, 1, 3, 1, 1, 0])  # 27
THERE_AND_NAMED = sum([2, 2, 1, 0, 1, 2, 1, 1, 1, 2, 1, 1, 0, 0, 2, 1, 2, 1, 1, 0])  # 22
DIFFERENT = sum([      2, 2, 2, 0, 2, 2, 1, 1, 1, 3, 2, 1, 2, 0, 2, 1, 2, 2, 1, 0])  # 29
WORDS = sum([          5, 8, 5, 5, 6, 4, 7, 7, 6, 8, 4, 3, 8, 0, 4, 6, 3, 7, 4, 4])  # 104
BY_HAND = {
    "chair_s": 6 / 20,  # captions 3, 5, 10, 11, 13 and 18
    "chair_i": 10 / 36,
    "recall": 22 / 27,
    "precision": 22 / 29,
    "f1": 2 * 22 / (27 + 29),
    "words": 104 / 20,
}
# fmt: on


def answered(objects: Mentions, cases: Sequence[Case]) -> list[Prediction]:
    """As a cell stores them."""
    rows, match = [], NothingAbsent(safe=[])
    for number, case in enumerate(cases):
        gold = Accepted(answers=case.there)
        reading = objects(case.caption, gold, "Describe it.")
        row = Prediction(
            uid=f"made/{number:02d}",
            condition="real",
            raw=case.caption,
            scores=None,
            parsed=reading.value,
            gold=gold,
            status=reading.status,
            credit=match(reading.value, gold) if reading.status == "ok" else 0.0,
            visual_mass=None,
            cells_edited=0,
            groups={},
            tags={},
            options=(),
            question="Describe it.",
        )
        rows.append(row)
    return rows


def by_loops(cases: Sequence[Case]) -> dict[str, float]:
    """The same from what was counted by hand, one caption after the other."""
    bad = wrong = said = there = right = different = words = 0
    for case in cases:
        mistakes = 0
        for name in case.named:
            if name not in case.there:
                mistakes += 1
        bad += mistakes > 0
        wrong += mistakes
        said += len(case.named)
        for name in case.there:
            there += 1
            right += name in case.named
        different += len(set(case.named))
        words += case.words
    return {
        "chair_s": bad / len(cases),
        "chair_i": wrong / said,
        "recall": right / there,
        "precision": right / different,
        "f1": 2 / (there / right + different / right),
        "words": words / len(cases),
    }


def test_scores_are_those_of_a_hand_computation_and_of_plain_loops(objects: Mentions) -> None:
    assert (ABSENT, MENTIONS, THERE, THERE_AND_NAMED, DIFFERENT, WORDS) == (10, 36, 27, 22, 29, 104)
    found = REDUCE(answered(objects, CASES))
    values = {name: measure["value"] for name, measure in found["measures"].items()}
    assert values == pytest.approx(BY_HAND)
    assert values == pytest.approx(by_loops(CASES))
    assert found["value"] == pytest.approx(13 / 20)  # without those six and the empty one
    assert (found["rows"], found["none"], found["interval"]) == (20, 1, "clustered")
    assert all(measure["n"] == 20 for measure in found["measures"].values())
    assert found["asked"] == {"question": "Describe it.", "max_new_tokens": 512}
    better = [measure.get("better") for measure in found["measures"].values()]
    assert better == ["lower", "lower", "higher", "higher", "higher", None]


def test_intervals_are_those_of_a_bootstrap_over_pictures(objects: Mentions) -> None:
    found = REDUCE(answered(objects, CASES))["measures"]
    generator = np.random.default_rng(7)
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(4000):
        some = [CASES[index] for index in generator.integers(len(CASES), size=len(CASES))]
        for name, value in by_loops(some).items():
            drawn[name].append(value)
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        # A percentile interval of 20 pictures is too narrow, more so on the side of the tail.
        assert low - 1.5 * np.std(values) <= found[name]["low"] <= low + 0.1 * np.std(values), name
        assert high - 0.1 * np.std(values) <= found[name]["high"] <= high + 1.5 * np.std(values)


def test_nothing_named_at_all_is_undefined_and_not_an_error(objects: Mentions) -> None:
    silent = replace(CASES[3], caption="Blue.", words=1)
    found = REDUCE(answered(objects, [silent, silent, silent]))
    measures = found["measures"]
    assert found["value"] == 1.0
    assert measures["chair_i"]["value"] is measures["precision"]["value"] is None
    assert (measures["chair_s"]["value"], measures["recall"]["value"]) == (0.0, 0.0)
    assert (measures["chair_s"]["low"], measures["chair_s"]["high"]) == (0.0, 1.0)  # of three
    (alone,) = answered(objects, CASES[:1])
    lone = REDUCE([alone])["measures"]
    assert (lone["chair_i"]["low"], lone["chair_i"]["high"]) == (0.0, 1.0)
    assert (lone["words"]["value"], lone["words"]["low"]) == (5, None)


def test_a_failed_sample_is_no_caption(objects: Mentions) -> None:
    rows = answered(objects, CASES)
    failed = replace(rows[0], uid="made/x", status="error", raw=None, parsed=None, credit=0.0)
    found = REDUCE([*rows, failed])
    values = {name: measure["value"] for name, measure in found["measures"].items()}
    assert values == pytest.approx(BY_HAND)
    assert (found["rows"], found["errors"], found["value"]) == (21, 1, pytest.approx(13 / 21))
    nothing = REDUCE([failed])["measures"]
    assert {measure["value"] for measure in nothing.values()} == {None}
