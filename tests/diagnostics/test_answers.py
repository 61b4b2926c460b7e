"""Pairing the answers of several conditions, and what counts as an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from solvent.core.types import CandidateScore, Facts, Prediction
from solvent.diagnostics.answers import collect
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.judging import few_blocks, judge_all
from solvent.diagnostics.statistics.estimates import Estimate, estimate

OPTIONS = ("red", "blue", "green")


def predicted(
    uid: str,
    scores: tuple[float, ...] | None,
    condition: str = "real",
    options: tuple[str, ...] | None = OPTIONS,
    image: str = "",
    shown: dict[str, str] | None = None,
) -> Prediction:
    failed = scores is None
    return Prediction(
        uid=uid,
        condition=condition,
        raw=None,
        scores=None
        if failed
        else tuple(CandidateScore(log_probability=s, tokens=1) for s in scores),
        parsed=None if failed else int(np.argmax(scores)),
        gold=0,
        status="error" if failed else "ok",
        credit=0.0,
        visual_mass=None,
        cells_edited=0,
        groups={"image": image} if image else {},
        tags={"kind": "colour"},
        options=options,
        n_image_tokens=None if failed else 16,
        shown=shown,
    )


def test_conditions_are_paired_by_sample() -> None:
    real = [
        predicted("a", (-1.0, -2.0, -3.0), image="x"),
        predicted("b", (-1.0, -1.0), options=("yes", "no"), image="x"),
        predicted("c", (-2.0, -1.0, -1.0)),
    ]
    swap = [
        predicted("c", (-0.5, -1.5, -2.5), "swap", shown={"donor": "a"}),
        predicted("a", None, "swap"),
    ]
    answers = collect({"real": real, "swap": swap})
    assert answers.uids == ("a", "b", "c")
    assert answers.sizes.tolist() == [3, 2, 3]
    assert answers.clusters.tolist() == [0, 0, 1]
    assert answers.scores["real"][1].tolist() == [-1.0, -1.0, -np.inf]
    assert np.isnan(answers.scores["swap"][:2]).all()
    assert answers.scores["swap"][2].tolist() == [-0.5, -1.5, -2.5]
    assert answers.valid("real").all()
    assert answers.valid("real", "swap").tolist() == [False, False, True]
    assert answers.shown["swap"][2] == {"donor": "a"}
    assert answers.image_tokens["swap"].tolist() == [-1, -1, 16]
    assert answers.probabilities("real")[1] == pytest.approx([0.5, 0.5, 0.0])
    assert answers.validity_mass("real")[1] == pytest.approx(2 * np.exp(-1))
    assert answers.take(np.array([False, True, False])).uids == ("b",)


def test_blocks_that_exchange_pictures_are_clusters() -> None:
    """a and b share a picture, b to d a block; cells of before know of no blocks."""
    scores = (-1.0, -2.0, -3.0)
    images = {"a": "x", "b": "x", "c": "", "d": "", "e": ""}
    real = [predicted(uid, scores, image=image) for uid, image in images.items()]
    blocks = {"b": "1", "c": "1", "d": "1", "e": "2"}
    swap = [
        predicted(uid, (-3.0, -2.0, -1.0), "swap", shown={"donor": "c", "block": block})
        for uid, block in blocks.items()
    ]
    answers = collect({"real": real, "swap": swap, "text": []})
    assert answers.clusters.tolist() == [0, 0, 1, 2, 3]
    blocked = answers.in_blocks(["real", "swap", "not run"])
    assert blocked.clusters.tolist() == [0, 0, 0, 0, 1]
    assert answers.in_blocks(["real", "text"]) is answers
    old = collect({"real": real, "swap": [replace(row, shown={"donor": "c"}) for row in swap]})
    assert old.in_blocks(["swap"]) is old
    deaf = [replace(row, scores=real[0].scores) for row in swap]  # no answer differs
    assert collect({"real": real, "swap": deaf}).in_blocks(["swap"]).clusters.max() == 3
    assert few_blocks(answers, answers) == ""
    assert "4 independent images make 2 blocks that exchange" in few_blocks(answers, blocked)


def test_only_tests_that_read_swaps_count_in_blocks(tmp_path: Path) -> None:
    """40 images are 8 blocks: too few for what is averaged over swaps, enough for all else."""
    real = [predicted(f"{k:02}", (0.0, -3.0, -3.0)) for k in range(40)]
    swap = [
        predicted(row.uid, (-9.0, 0.0, 0.0), "swap", shown={"donor": "00", "block": str(k % 8)})
        for k, row in enumerate(real)
    ]
    found = judge_all(
        {"some": Counting(conditions=("real", "swap")), "other": Counting(conditions=("real",))},
        {"real": real, "swap": swap},
        tmp_path,
    )
    assert [found[name]["metrics"]["clusters"] for name in ("some", "other")] == [8, 40]
    assert found["some"]["reason"].startswith("So. 40 independent images make 8 blocks")
    assert found["other"]["reason"] == "So."


def test_the_mean_of_what_is_not_finite_is_no_number(tmp_path: Path) -> None:
    """An option that is impossible has infinitely many bits, which no table can show."""
    with np.errstate(invalid="ignore"):
        loss = estimate(np.array([-np.inf, *np.ones(20)]), np.arange(21))
    test = Counting(conditions=("real",), loss=loss)
    real = {"real": [predicted("a", (0.0, -1.0, -2.0))]}
    assert judge_all({"some": test}, real, tmp_path)["some"]["metrics"]["loss_bits"] is None
    finite = Counting(conditions=("real",), loss=estimate(np.ones(22), np.arange(22)))
    found = judge_all({"some": finite}, real, tmp_path)["some"]["metrics"]["loss_bits"]
    assert found["value"] == 1.0


@dataclass(frozen=True, kw_only=True)
class Counting(UsageTest):
    """Tells how many clusters it is given."""

    conditions: tuple[str, ...]
    loss: Estimate | None = None
    name: ClassVar[str] = "counting"
    facts: ClassVar[Facts] = Facts(asks="?", number="clusters", unit="", neutral=0.0, place=1)

    def judge(self, seen: Seen) -> Finding:
        return Finding(
            test=self.name,
            verdict="INCONCLUSIVE",
            strict="FAIL",
            reason="So.",
            metrics={
                "clusters": len(set(seen.answers.clusters.tolist())),
                "loss_bits": self.loss,
            },
            series={},
        )


@pytest.mark.parametrize(
    ("predictions", "sentence"),
    [
        ({}, "expected predictions under 'real'"),
        ({"swap": []}, "found swap"),
        ({"real": [predicted("a", (-1.0,), options=None)]}, "need questions with options"),
        (
            {"real": [predicted("a", (-1.0, 0.0, 0.0))], "text": [predicted("z", (-1.0,))]},
            "text shows z, which real does not have",
        ),
    ],
)
def test_answers_that_cannot_be_paired(predictions: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        collect(predictions)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_no_answer(bad: float) -> None:
    answers = collect(
        {"real": [predicted("a", (-1.0, bad, -1.0)), predicted("b", (-1.0, -np.inf, -1.0))]}
    )
    assert answers.valid("real").tolist() == [False, True]  # an impossible option is possible


def test_prefix_of_another_answer_is_an_answer_of_its_own() -> None:
    """The end of the turn is scored too, so that "cat" does not hold the mass of "cat fish"."""
    scores = tuple(np.log([0.3 * 0.5, 0.3 * 0.4]))  # "cat" then stop, "cat" then "fish"
    answers = collect({"real": [predicted("a", scores, options=("cat", "cat fish"))]})
    assert answers.probabilities("real")[0] == pytest.approx([5 / 9, 4 / 9])


def test_conditions_must_show_equally_many_image_tokens() -> None:
    real = [predicted("a", (-1.0, -2.0, -3.0)), predicted("b", (-1.0, -2.0, -3.0))]
    without = [replace(row, condition="text", n_image_tokens=0) for row in real]
    larger = [real[0], replace(real[1], n_image_tokens=20)]
    collect({"real": real, "text": without})  # nothing is shown, nothing moves
    again = [replace(row, n_image_tokens=32, shown={"repeated": "2"}) for row in real]
    collect({"real": real, "again": again})
    with pytest.raises(ValueError, match="swap shows b in 20 image tokens and real in 16"):
        collect({"real": real, "swap": larger})
