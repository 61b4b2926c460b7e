"""Scores of a part, of what passed, and of agreement with the prior, on tables done by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from solvent.benchmarks.matchers import Equal
from solvent.benchmarks.reducers import (
    AllOf,
    Detection,
    Given,
    Macro,
    Mean,
    MeanOf,
    PriorShare,
    Where,
)
from solvent.benchmarks.reducers.leaves import chance
from solvent.core.types import Accepted, Prediction

Predict = Callable[..., Prediction]
Stages = Mapping[str, Sequence[tuple[int, ...]]]  # stage -> the credits of each of its pictures
CONTEXTS: Mapping[str, Stages] = {
    "a": {"know": [(1, 1)], "see": [(1, 1)], "read": [(1, 1)], "rely": [(1, 1), (1, 0)]},
    "b": {"know": [(1, 1)], "see": [(1, 1)], "read": [(0, 1)], "rely": [(0, 0)]},
    "c": {"know": [(0, 1)], "see": [(1, 1)], "read": [(1, 1)], "rely": [(1, 1)]},
    "d": {"know": [(1, 1)], "see": [(1, 1)], "read": [(1, 1)], "rely": [(1, 1)] * 3},
}


def rows(predict: Predict, contexts: Mapping[str, Stages]) -> list[Prediction]:
    return [
        predict(
            f"t/{context}/{stage}/{picture}/{statement}",
            float(credit),
            groups={"context": context, "picture": f"{context}/{stage}/{picture}"},
            tags={"stage": stage, "half": "ab"[context > "b"]},
            options=("true", "false"),
        )
        for context, stages in contexts.items()
        for stage, pictures in stages.items()
        for picture, credits in enumerate(pictures)
        for statement, credit in enumerate(credits)
    ]


def stage(name: str) -> Where:
    return Where(tags={"stage": name}, reducer=AllOf(group="picture"))


def given(name: str, *passed: str) -> Given:
    return Given(group="context", reducer=stage(name), passed=[stage(each) for each in passed])


def test_the_stages_of_vlind_bench_by_hand(predict: Predict) -> None:
    """Both statements of a picture; a stage counts where the earlier ones are passed."""
    table = rows(predict, CONTEXTS)
    assert stage("know")(table)["value"] == 3 / 4
    assert stage("see")(table)["value"] == 1
    assert stage("rely")(table)["value"] == 5 / 7  # of pictures
    plain = given("rely")(table)
    assert plain["value"] == (1 / 2 + 0 + 1 + 1) / 4  # of contexts
    assert (plain["n"], plain["rows"], plain["clusters"]) == (4, 14, 4)
    believed = given("read", "know")(table)
    assert believed["value"] == 2 / 3  # a and d, of a, b and d
    assert (believed["n"], believed["rows"], believed["interval"]) == (3, 6, "unknown")  # of three
    relied = given("rely", "know", "see", "read")(table)
    assert relied["value"] == (1 / 2 + 1) / 2  # a and d
    assert (relied["n"], relied["clusters"], relied["interval"]) == (2, 2, "unknown")
    assert relied["by_tag"]["half"]["a"]["value"] == 1 / 2
    assert given("know", "rely")(table)["value"] == 1 / 2  # c and d: not every picture of a passed
    assert given("rely", "see", "read")(table)["value"] == (1 / 2 + 1 + 1) / 3  # c, too


def test_none_passed_is_not_zero(predict: Predict) -> None:
    table = rows(predict, {"b": CONTEXTS["b"]})
    found = given("rely", "read")(table)
    assert (found["value"], found["n"], found["rows"], found["clusters"]) == (None, 0, 0, 0)
    assert (found["low"], found["high"], found["interval"]) == (0.0, 1.0, "unknown")
    mean = MeanOf(reducers={"some": stage("see"), "none": given("rely", "read")})(table)
    assert mean["value"] is None


def test_guessing_is_right_about_parts_of_a_context(predict: Predict) -> None:
    table = rows(predict, CONTEXTS)
    assert chance(stage("rely").leaves(table)) == 1 / 4  # two statements of one picture
    assert chance(given("rely").leaves(table)) == 1 / 4


def test_the_interval_is_that_of_a_ratio_over_all_contexts(predict: Predict) -> None:
    """Contexts drawn from all of them, the number that passed drawn with them."""
    generator = random.Random(0)
    contexts: dict[str, Stages] = {
        f"{number:03d}": {
            "know": [(generator.randint(0, 3) > 0, 1)],
            "rely": [(generator.randint(0, 1), 1) for _ in range(generator.randint(1, 5))],
        }
        for number in range(200)
    }
    found = given("rely", "know")(rows(predict, contexts))
    passed = np.array([stages["know"][0][0] for stages in contexts.values()], dtype=float)
    credits = np.array(
        [np.mean([a and b for a, b in stages["rely"]]) for stages in contexts.values()]
    )
    assert found["value"] == pytest.approx((passed * credits).sum() / passed.sum())
    assert found["n"] == passed.sum() < 200
    drawn = np.random.default_rng(1).integers(200, size=(20_000, 200))
    ratios = (passed * credits)[drawn].sum(axis=1) / passed[drawn].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.006)


def test_what_cannot_be_counted_is_refused(predict: Predict) -> None:
    table = rows(predict, CONTEXTS)
    with pytest.raises(ValueError, match="no row has the tags"):
        stage("none")(table)
    with pytest.raises(ValueError, match=r"no single group 'contexts'; did you mean 'context'"):
        Given(group="contexts", reducer=Mean(), passed=[])(table)
    with pytest.raises(ValueError, match="no single group 'picture'"):
        Given(group="picture", reducer=AllOf(group="context"), passed=[])(table)
    with pytest.raises(ValueError, match="Where takes scores that are means; Detection is none"):
        Where(tags={}, reducer=Detection(positive="true"))
    with pytest.raises(ValueError, match="Given takes scores that are means; Detection is none"):
        Given(group="context", reducer=Mean(), passed=[Detection(positive="true")])


def test_a_score_without_a_value_is_no_first_one(composed: Callable[..., DictConfig]) -> None:
    benchmark = instantiate(composed("benchmark=shapes").benchmark)
    score = Given(group="context", reducer=Mean(), passed=[Mean()])
    with pytest.raises(ValueError, match="shapes: its score would have no value"):
        replace(benchmark, reducers={"score": score})
    replace(benchmark, reducers={"score": Mean(), "given": score})


def counted(predict: Predict, topic: str, said: str | None, gold: str, prior: str) -> Prediction:
    return predict(
        f"t/{topic}/{said}/{gold}/{prior}",
        float(said == gold),
        parsed=said,
        status="none" if said is None else "ok",
        gold=Accepted(answers=(gold,), prior=(prior,)),
        tags={"topic": topic},
    )


def test_the_share_of_the_prior_s_answers_by_hand(predict: Predict) -> None:
    table = [
        counted(predict, "logos", "3", "4", "3"),  # the prior's
        counted(predict, "logos", "4", "4", "3"),  # right
        counted(predict, "logos", "5", "4", "3"),  # neither
        counted(predict, "logos", None, "4", "3"),  # not read
        counted(predict, "flags", "Yes", "no", "yes"),  # the prior's, in another case
        counted(predict, "flags", "no", "no", "no"),  # both
    ]
    share = PriorShare(matcher=Equal(), over=Mean())(table)
    assert share["value"] == 3 / 6
    assert (share["n"], share["none"]) == (6, 1)
    macro = PriorShare(matcher=Equal(), over=Macro(tags=["topic"]))(table)
    assert macro["value"] == (1 / 4 + 2 / 2) / 2
    assert macro["by_tag"]["topic"]["logos"]["value"] == 1 / 4
    flags = PriorShare(matcher=Equal(), over=Where(tags={"topic": "flags"}, reducer=Mean()))
    assert flags(table)["value"] == 1
    assert chance(flags.leaves(table)) == 0
    with pytest.raises(ValueError, match=r"t/1 has no answer of the prior: .* gold\.prior"):
        PriorShare(matcher=Equal(), over=Mean())([predict("t/1", gold=0)])
