"""Whom generated answers follow: a picture, or a text that says something else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from solvent.core.types import Prediction
from solvent.diagnostics.base import Finding, Seen
from solvent.diagnostics.contract import check_finding, check_tests
from solvent.diagnostics.generated.text_following import TextFollowing

N = 60


def following(margin: float | None = 0.05) -> TextFollowing:
    return TextFollowing(both="both", text_alone="text", margin=margin, most_invalid=0.1)


def answers(condition: str, said: Sequence[int | str | None]) -> list[Prediction]:
    """Right is "cat", or the option 0; every question has a picture of its own."""
    return [
        Prediction(
            uid=str(number),
            condition=condition,
            raw=None,
            scores=None,
            parsed=answer,
            gold=0,
            status="none" if answer is None else "error" if answer == "failed" else "ok",
            credit=float(answer in ("cat", 0)),
            visual_mass=None,
            cells_edited=0,
            groups={"picture": str(number)},
            tags={},
        )
        for number, answer in enumerate(said)
    ]


def judged(
    image: Sequence[int | str | None],
    both: Sequence[int | str | None],
    text: Sequence[int | str | None],
    margin: float | None = 0.05,
) -> Finding:
    rows = {"real": answers("real", image), "both": answers("both", both)}
    rows["text"] = list(reversed(answers("text", text)))  # any order will do
    test = following(margin)
    check_tests({"following": test})
    found = test.judge(Seen(parts={"predictions": lambda: rows}))
    check_finding("following", test, found)
    return found


@pytest.mark.parametrize(
    ("to_text", "margin", "verdict", "strict"),
    [
        (0, 0.05, "PASS", "PASS"),
        (10, 0.05, "PASS", "FAIL"),
        (10, 0.3, "INCONCLUSIVE", "FAIL"),  # 0.83 is not surely above 0.8
        (30, 0.0, "INCONCLUSIVE", "FAIL"),
        (30, 0.2, "FAIL", "FAIL"),  # one half is surely below 0.7
        (50, 0.05, "FAIL", "FAIL"),
    ],
)
def test_a_verdict_needs_a_sure_majority(
    to_text: int, margin: float, verdict: str, strict: str
) -> None:
    both = ["dog"] * to_text + ["cat"] * (N - to_text)
    found = judged(["cat"] * N, both, ["dog"] * N, margin)
    assert (found.verdict, found.strict) == (verdict, strict)
    assert found.metrics["text_preference_all"].value == pytest.approx(to_text / N)
    assert found.metrics["win_rate_eligible"].value == pytest.approx(1 - to_text / N)
    assert found.metrics["both_minus_image"].value == pytest.approx(-to_text / N)


def test_case_spaces_and_outer_marks_do_not_count_and_options_are_compared_by_index() -> None:
    words = judged(["A cat."] * N, ["a  CAT"] * 45 + ["(Dog)"] * 15, ["dog"] * N)
    options = judged([0] * N, [0] * 45 + [1] * 15, [1] * N)
    for found in (words, options):
        assert (found.metrics["image_all"], found.metrics["text_all"]) == (45, 15)
    assert judged(["it's"] * N, ["its"] * N, ["no"] * N).metrics["image_all"] == 0  # inner marks do


def test_only_conflicts_of_answers_that_were_read_count() -> None:
    image = ["cat"] * 40 + [None] * 10 + ["dog"] * 10
    text = ["dog"] * 30 + ["cat"] * 10 + ["dog"] * 10 + ["fish"] * 10
    both = ["cat"] * 10 + ["dog"] * 10 + [None] * 5 + ["bird"] * 5 + ["cat"] * 20 + ["fish"] * 10
    found = judged(image, both, text).metrics
    assert (found["conflicts"], found["eligible"]) == (40, 30)
    assert (found["image_all"], found["text_all"]) == (10, 20)
    assert (found["image_eligible"], found["text_eligible"]) == (10, 10)
    assert found["third_answer_rate_all"].value == pytest.approx(10 / 40)


def test_failed_answers_are_left_out_and_too_many_are_an_error() -> None:
    few = judged(["failed"] * 5 + ["cat"] * 55, ["cat"] * N, ["dog"] * N)
    assert (few.metrics["invalid"], few.metrics["conflicts"], few.verdict) == (5, 55, "PASS")
    assert few.metrics["accuracy_both"].n == 55
    assert judged(["failed"] * 7 + ["cat"] * 53, ["cat"] * N, ["dog"] * N).verdict == "ERROR"


def test_of_a_control_nothing_is_judged() -> None:
    found = judged(["cat"] * N, ["dog"] * N, ["dog"] * N, margin=None)
    assert (found.verdict, found.strict) == ("NOT APPLICABLE", "NOT APPLICABLE")
    assert found.metrics["text_preference_all"].value == 1
    assert "p_value" not in found.metrics  # it would weaken those of the others


def test_without_a_conflict_there_is_nothing_to_judge() -> None:
    found = judged(["cat"] * N, ["cat"] * N, ["cat"] * N)
    assert found.verdict == "NOT APPLICABLE"
    assert found.metrics["text_preference_all"] is None


def test_a_question_without_an_answer_is_refused() -> None:
    rows = {name: answers(name, ["cat"] * N) for name in ("real", "both", "text")}
    rows["text"].pop()
    with pytest.raises(ValueError, match="text has no answer to 59, which real has"):
        following().judge(Seen(parts={"predictions": lambda: rows}))
