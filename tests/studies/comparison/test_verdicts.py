"""Verdicts follow from p by rule; what a benchmark would not notice shows no equivalence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from solvent.core.types import Prediction
from solvent.reports.compared.arm_texts import margin_points
from solvent.studies.comparison.estimating import Estimated, Registered, estimated
from solvent.studies.comparison.verdict_rules import margin_of, sentence
from tests.reports.test_results import ROW
from tests.studies.comparison.stored_cells import Cells, paired

QUESTIONS = 2000
PLAN = Registered(
    baseline="learned",
    margin=0.02,
    margin_share=None,
    primary=("method",),
    positive_controls=("knockout",),
)


def answers(wrong: int, lucky: int = 0, n: int = QUESTIONS) -> list[Prediction]:
    """Of whom the first `wrong` questions are lost, and the last `lucky` won, of a control that is
    right but in the last 400.
    """
    credit = np.ones(n)
    credit[-400:] = 0
    credit[:wrong] = 0
    credit[n - lucky :] = 1
    return [
        replace(ROW, uid=f"{place:05}", credit=each, groups={}, tags={})
        for place, each in enumerate(credit.tolist())
    ]


def judged(
    place: Path, *arms: tuple[str, list[Prediction]], plan: Registered = PLAN
) -> dict[str, Estimated]:
    cells = Cells(place)
    made = [cells.add(answers(0))] + [cells.add(rows, {"name": name}) for name, rows in arms]
    found, _ = estimated(paired(made), plan)
    return {each.pair.arm.name: each for each in found.values()}


@pytest.mark.parametrize(
    ("wrong", "lucky", "verdict", "reason"),
    [
        (100, 0, "WORSE", "the loss is surely beyond the margin"),  # 5 points of 2
        (10, 10, "EQUIVALENT", "surely inside the margin"),
        (0, 8, "EQUIVALENT", "surely inside the margin (and surely above zero)"),
        (0, 60, "BETTER", "surely above zero"),
        (70, 110, "BETTER", "surely above zero"),
        (150, 170, "NOT INFERIOR", "surely above the lower margin"),
        (40, 10, "NOT SHOWN", "a loss is sure, but not that it is within the margin"),
        (45, 0, "NOT SHOWN", "a loss is sure, but not that it is beyond the margin"),
    ],
)  # fmt: skip
def test_each_verdict_has_its_rule(
    tmp_path: Path, wrong: int, lucky: int, verdict: str, reason: str
) -> None:
    found = judged(tmp_path, ("method", answers(wrong, lucky)), ("knockout", answers(900)))
    method = found["method"]
    assert (method.verdict, method.reason) == (verdict, reason)
    assert (method.role, method.correction) == ("primary", "Holm of 1")
    # by hand, of single questions: z of the paired mean
    d = np.array([-1.0] * wrong + [1.0] * lucky + [0.0] * (QUESTIONS - wrong - lucky))
    z = (d.mean() + 0.02) / (d.std() / np.sqrt(QUESTIONS))
    assert (z < -1.645) == (verdict == "WORSE")


@pytest.mark.parametrize(
    ("wrong", "lucky", "where"),
    [
        (62, 0, "beyond the margin"),
        (22, 0, "inside the margin"),
        (150, 161, "above the lower margin"),
    ],
)
def test_what_only_the_correction_denies_is_said(
    tmp_path: Path, wrong: int, lucky: int, where: str
) -> None:
    """A reader sees an interval that shows it, and must learn why the verdict does not."""
    others = [(f"m{n}", answers(150, 120)) for n in range(30)]
    plan = replace(PLAN, primary=())
    arms = [("method", answers(wrong, lucky)), *others, ("knockout", answers(900))]
    method = judged(tmp_path, *arms, plan=plan)["method"]
    assert method.verdict == "NOT SHOWN"
    assert method.reason == (
        f"the interval lies {where}, but that is not sure once corrected for all arms"
    )


def test_a_loss_is_sure_by_the_corrected_p(tmp_path: Path) -> None:
    others = [(f"m{n}", answers(150, 150)) for n in range(30)]
    arms = [("m", answers(200, 150)), *others, ("knockout", answers(900))]
    found = judged(tmp_path, *arms, plan=replace(PLAN, primary=()))["m"]
    assert (found.estimate.high or 0) < 0 < 0.05 < (found.p_adjusted or 0)
    assert found.reason == "a loss may or may not be there, and be beyond the margin"


def test_no_equivalence_where_nobody_would_notice(tmp_path: Path) -> None:
    alike = ("method", answers(10, 10))
    alone = judged(tmp_path / "alone", alike)["method"]
    assert alone.verdict == "NOT SHOWN"
    assert alone.reason.endswith("no positive control was run (knockout)")
    blind = judged(tmp_path / "blind", alike, ("knockout", answers(5)))["method"]
    assert blind.verdict == "NOT SHOWN"
    assert "it is not shown that it would notice" in blind.reason
    worse = judged(tmp_path / "worse", ("method", answers(100)))["method"]
    assert worse.verdict == "WORSE"  # a loss is one, whatever else was run


def test_a_positive_control_that_gains_costs_nothing(tmp_path: Path) -> None:
    cells = Cells(tmp_path)
    learned, knockout = cells.add(answers(0)), cells.add(answers(0, 300), {"name": "knockout"})
    _, assays = estimated(paired([learned, knockout]), PLAN)
    (found,) = assays.values()
    assert not found.assay.shown
    assert found.assay.sentence == (
        "knockout gains 15.0 points: it is not shown that it would notice that a model does not "
        "look"
    )


def test_a_small_margin_is_not_told_as_none() -> None:
    told = [margin_points(margin) for margin in (0.02, 0.0125, 0.005, 0.0035, 0.0001)]
    assert told == ["2.0", "1.2", "0.5", "0.35", "0.01"]


def test_what_was_registered_is_corrected_by_holm_and_the_rest_by_bh(tmp_path: Path) -> None:
    arms = [("method", answers(30, 10)), *((f"m{n}", answers(24, 10)) for n in range(3))]
    found = judged(tmp_path, *arms, ("knockout", answers(900)))
    assert found["method"].p_adjusted == found["method"].p
    others = [found[f"m{n}"] for n in range(3)]
    assert {each.correction for each in others} == {"BH of 3"}
    assert [each.p_adjusted for each in others] == [each.p for each in others]  # all are equal
    plan = replace(PLAN, primary=("method", "m0"))
    both = judged(tmp_path / "both", *arms, plan=plan)
    assert both["m0"].correction == "Holm of 2"
    first, second = sorted((both["method"].p or 1, both["m0"].p or 1))
    assert both["method"].p_adjusted == pytest.approx(min(1, 2 * first))
    assert both["m0"].p_adjusted == pytest.approx(max(2 * first, second))


def test_a_sentence_has_no_signed_zero() -> None:
    arm = {
        "benchmark": "yesno", "name": "x", "model": "scripted", "control": "learned", "seeds": 1,
        "n": 200, "clusters": 100, "margin": 0.02, "verdict": "EQUIVALENT", "reason": "",
        "difference_value": -0.0004, "difference_low": -0.0152, "difference_high": 0.0104,
    }  # fmt: skip
    assert sentence(arm) == (
        "On yesno, x changes the accuracy of scripted by 0.0 points (95 % interval −1.5 to +1.0; "
        "200 questions about 100 images): equivalent to learned within 2.0 points."
    )


def test_the_margin_is_the_smaller_of_both() -> None:
    assert margin_of(0.86, 0.5, 0.02, 0.1) == 0.02
    assert margin_of(0.60, 0.5, 0.02, 0.1) == pytest.approx(0.01)
    assert margin_of(0.60, 0.5, 0.02, None) == 0.02
    assert margin_of(0.45, 0.5, 0.02, 0.1) == 0.02  # nothing above chance to take a share of
