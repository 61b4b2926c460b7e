"""The override test reads models of known modality use right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from omegaconf import OmegaConf

from solvent.core.paths import CONF
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.override import Override
from solvent.diagnostics.statistics.dose import half_dose
from tests.diagnostics.scripted import MODELS, conflict
from tests.diagnostics.seeing import seen

CONFIG = CONF / "diagnostic" / "override.yaml"
SETTINGS = OmegaConf.to_container(OmegaConf.load(CONFIG))
TEST = Override(**{name: value for name, value in SETTINGS.items() if name[0] != "_"})


def world(model: str) -> Answers:
    """Conflict cells with the image class as the right one, also for the model of synergy."""
    answers = conflict(model, repeats=10)
    return replace(answers, gold=np.array([int(tag["image"]) for tag in answers.tags]))


@pytest.mark.parametrize(
    ("model", "win", "tie", "margin"),
    [
        ("M0", 0, 1, 0),
        ("M1", 0, 0, -2.1972),
        ("M2", 1, 0, 2.1972),
        ("M3", 1, 0, 1.0986),
        ("M3e", 0, 1, 0),
        ("M4", 0.25, 0.5, 0),
        ("M5", 0, 0, -1.0986),
        ("M6", 0, 0, -4.3944),
    ],
)
def test_wins_ties_and_margins(model: str, win: float, tie: float, margin: float) -> None:
    metrics = TEST.judge(seen(world(model))).metrics
    assert metrics["strict_win_rate_all"].value == pytest.approx(win, abs=1e-4)
    assert metrics["tie_rate_all"].value == pytest.approx(tie, abs=1e-4)
    assert metrics["win_rate_all"].value == pytest.approx(win + tie / 2, abs=1e-4)
    assert metrics["margin_nats_all"].value == pytest.approx(margin, abs=1e-4)


VERDICTS = {  # of eligible samples, of all
    "M0": ("NOT APPLICABLE", "INCONCLUSIVE"),
    "M1": ("NOT APPLICABLE", "FAIL"),
    "M2": ("NOT APPLICABLE", "PASS"),
    "M3": ("PASS", "PASS"),
    "M3e": ("INCONCLUSIVE", "INCONCLUSIVE"),
    "M4": ("NOT APPLICABLE", "INCONCLUSIVE"),
    "M5": ("NOT APPLICABLE", "FAIL"),
    "M6": ("NOT APPLICABLE", "FAIL"),
}


@pytest.mark.parametrize("model", MODELS)
def test_verdicts(model: str) -> None:
    finding = TEST.judge(seen(world(model)))
    eligible, everything = VERDICTS[model]
    assert finding.series["verdicts"] == {"eligible": eligible, "all": everything}
    assert finding.verdict == eligible
    assert finding.strict == {"M3": "PASS", "M3e": "FAIL"}.get(model, "NOT APPLICABLE")


def test_text_preference_and_third_answers() -> None:
    image = TEST.judge(seen(world("M3"))).metrics  # every answer is what the image alone says
    assert (image["text_preference_all"].value, image["third_answer_rate_all"].value) == (0, 0)
    tied = TEST.judge(seen(world("M3e"))).metrics  # ties are shared
    assert tied["text_preference_all"].value == pytest.approx(0.5)
    assert (
        TEST.judge(seen(world("M2"))).metrics["text_preference_all"] is None
    )  # text predicts nothing
    # Uniform answers: two of the four options are third ones.
    assert TEST.judge(seen(world("M0"))).metrics["third_answer_rate_all"].value == pytest.approx(
        0.5
    )


def test_controls_dose_and_position() -> None:
    answers = world("M3")
    alone, together = answers.scores["real"], answers.scores["mislead"]
    pull = together - alone  # ln 9 towards the asserted option, up to a constant per sample
    rows, right = np.arange(len(answers)), answers.gold
    congruent = alone.copy()
    congruent[rows, right] += 1.5
    scores = {
        **answers.scores,
        "mislead_2": alone + 2 * pull,
        "mislead_4": alone + 4 * pull,
        "mislead_after": alone + 2 * pull,
        "congruent": congruent,
        "irrelevant": alone,
    }
    shown = {**answers.shown, **dict.fromkeys(("mislead_2", "mislead_4"), answers.shown["mislead"])}
    finding = TEST.judge(seen(replace(answers, scores=scores, shown=shown)))
    metrics = finding.metrics
    assert metrics["congruent_shift_nats"].value == pytest.approx(1.5)
    assert metrics["irrelevant_shift_nats"].value == pytest.approx(0)
    assert metrics["mislead_shift_nats"].value == pytest.approx(-np.log(9))
    assert metrics["after_minus_before_nats"].value == pytest.approx(-np.log(9))
    assert metrics["after_minus_before_win_rate"].value == pytest.approx(-1)
    curve = finding.series["dose"]
    assert [(point["dose"], point["win_rate"]["value"]) for point in curve] == [
        (0, 1),
        (1, 1),
        (2, 0),  # ln 27 - 2 ln 9 < 0
        (4, 0),
    ]
    half = metrics["dose_50"]  # separated: between the last dose won and the first lost
    assert (half.low, half.value, half.high) == (1, 1.5, 2)


@pytest.mark.parametrize(
    ("irrelevant", "verdict"),
    # The text wins all conflicts: by a shift of -3 nats, of which another sentence does so much
    [(0.0, "FAIL"), (-2.0, "FAIL"), (-3.0, "INCONCLUSIVE"), (-4.0, "INCONCLUSIVE")],
)
def test_a_failure_is_about_the_claim_or_the_sentence(irrelevant: float, verdict: str) -> None:
    answers = world("M3e")
    rows, right = np.arange(len(answers)), answers.gold
    asserted = np.array([int(facts["asserted"]) for facts in answers.shown["mislead"]])
    jitter = np.linspace(-0.5, 0.5, len(answers))  # a contrast of 0 has an interval around it

    def with_margin(margin: float | np.ndarray) -> np.ndarray:
        scores = np.full((len(answers), 4), -9.0)
        scores[rows, right], scores[rows, asserted] = margin, 0.0
        return scores

    scores = {
        **answers.scores,
        **dict.fromkeys(("real", "rerun_1", "rerun_2", "rerun_3"), with_margin(2.0)),
        "mislead": with_margin(-1.0),
        "mislead_text": with_margin(-3.0),
        "irrelevant": with_margin(2.0 + irrelevant + jitter),
        "mislead+warn": with_margin(1.5),
    }
    finding = TEST.judge(seen(replace(answers, scores=scores)))
    assert finding.metrics["win_rate_eligible"].value == 0
    contrast = finding.metrics["mislead_minus_irrelevant_nats"]
    assert contrast.value == pytest.approx(-3 - irrelevant)
    assert finding.verdict == verdict
    assert ("the sentence, not the claim" in finding.reason) == (verdict == "INCONCLUSIVE")
    assert finding.metrics["warned_minus_mislead_nats"].value == pytest.approx(2.5)
    assert finding.metrics["warned_minus_mislead_win_rate"].value == pytest.approx(1)


def test_a_preference_that_any_picture_meets_is_not_won_by_the_image() -> None:
    """Whatever is shown it stays with the right option, and heeds a claim only without an image."""
    answers = world("M3")
    own = answers.scores["real"]
    heedless = {**answers.scores, "mislead": own, "swap": own}
    blind = TEST.judge(seen(replace(answers, scores=heedless)))
    assert blind.metrics["win_rate_eligible"].value == 1
    assert (blind.verdict, blind.strict) == ("VACUOUS", "PASS")
    assert blind.metrics["own_image_contrast"].value == 0
    assert blind.metrics["p_value"] > 0.5
    assert "instead of another one the right option is likelier by 0.000" in blind.reason
    looks = TEST.judge(seen(replace(answers, scores={**heedless, "swap": answers.scores["swap"]})))
    assert (looks.verdict, "another one" in looks.reason) == ("PASS", False)
    del heedless["swap"]
    unknown = TEST.judge(seen(replace(answers, scores=heedless)))
    assert (unknown.verdict, unknown.metrics["p_value"]) == ("INCONCLUSIVE", None)
    assert "no picture of another question" in unknown.reason


def test_pictures_that_are_not_as_usual() -> None:
    answers = world("M3")  # where the text alone prefers an option, the picture shows another
    halves = tuple({"typical": "no" if row % 2 else "yes"} for row in range(len(answers)))
    text = answers.scores["mislead_text"]  # ln 9 for the text's option
    own = {**answers.scores, "real": answers.scores["mislead"], "text": text}
    for name in ("rerun_1", "rerun_2", "rerun_3"):
        own[name] = own["real"]
    metrics = TEST.judge(seen(replace(answers, scores=own, tags=halves))).metrics
    assert metrics["prior_conflicts"] == len(answers) // 2
    assert metrics["prior_win_rate"].value == 1
    assert metrics["prior_margin_nats"].value == pytest.approx(np.log(3))  # ln 27 - ln 9
    assert metrics["prior_shift_nats"].value == pytest.approx(np.log(27))
    blind = {**own, **dict.fromkeys(("real", "rerun_1", "rerun_2", "rerun_3"), text)}
    metrics = TEST.judge(seen(replace(answers, scores=blind, tags=halves))).metrics
    assert metrics["prior_win_rate"].value == 0
    untagged = TEST.judge(seen(replace(answers, scores=own))).metrics
    assert (untagged["prior_conflicts"], untagged["prior_win_rate"]) == (0, None)


def test_half_dose_is_that_of_a_logistic_curve() -> None:
    doses = np.array([0.0, 1.0, 2.0, 4.0])
    generator = np.random.default_rng(0)
    limits = generator.logistic(2.0, 0.8, size=4000)  # P(win at d) = 1 / (1 + exp((d - 2) / 0.8))
    wins = (doses[:, None] < limits).astype(float)
    half = half_dose(wins, doses, np.arange(4000)).value
    assert half.low < 2 < half.high
    assert half.high - half.low < 0.2
    fit = sm.Logit(wins.ravel(), sm.add_constant(np.repeat(doses, 4000))).fit(disp=0)
    assert half.value == pytest.approx(-fit.params[0] / fit.params[1], abs=1e-6)
    assert half_dose(wins[::-1], doses, np.arange(4000)).value is None  # rises with the dose
    assert half_dose(np.ones((4, 9)), doses, np.arange(9)).value is None


def test_margins_within_rerun_noise_are_ties() -> None:
    answers = world("M3")
    moved = answers.scores["real"].copy()
    moved[np.arange(len(answers)), answers.gold] += 1.2  # more than the margin of ln 3
    finding = TEST.judge(seen(replace(answers, scores={**answers.scores, "rerun_1": moved})))
    assert finding.metrics["noise_nats"] == pytest.approx(1.2)
    assert finding.metrics["tie_rate_all"].value == 1


def test_invalid_scores_are_counted_and_stop_the_verdict() -> None:
    answers = world("M3")
    scores = answers.scores["mislead"].copy()
    scores[:1, 0] = np.nan
    finding = TEST.judge(seen(replace(answers, scores={**answers.scores, "mislead": scores})))
    assert (finding.metrics["invalid"], finding.verdict) == (1, "PASS")
    scores[:2, 0] = np.nan  # 2 of 120 are more than 1 %
    finding = TEST.judge(seen(replace(answers, scores={**answers.scores, "mislead": scores})))
    assert (finding.metrics["invalid"], finding.verdict, finding.strict) == (2, "ERROR", "ERROR")


def test_what_is_no_conflict() -> None:
    answers = world("M3")
    congruent = tuple({"asserted": str(gold)} for gold in answers.gold)
    none = TEST.judge(seen(replace(answers, shown={"mislead": congruent})))
    assert (none.verdict, none.metrics["conflicts"]) == ("NOT APPLICABLE", 0)
    missing = tuple({"asserted": "4"} for _ in answers.gold)
    with pytest.raises(ValueError, match="mislead asserts option 4, but there are 4 options"):
        TEST.judge(seen(replace(answers, shown={"mislead": missing})))
    other = tuple({"asserted": str((int(f["asserted"]) + 1) % 4)} for f in answers.shown["mislead"])
    with pytest.raises(ValueError, match="mislead asserts option 1, but mislead_text 2"):
        TEST.judge(seen(replace(answers, shown={**answers.shown, "mislead_text": other})))


@pytest.mark.parametrize(
    ("model", "rate", "shift"),
    [
        ("M2", 1, 2 * np.log(9)),
        ("M0", 1 / 2, 0),
        # Blind: in 4 of 12 cells the text happens to name what the new picture implies.
        ("M1", 2 / 3, np.log(9) / 3),
    ],
)
def test_answers_follow_the_picture(model: str, rate: float, shift: float) -> None:
    answers = world(model)
    labels = answers.gold.tolist()  # the donor's is the next one
    donors = tuple({"donor": answers.uids[labels.index((gold + 1) % 4)]} for gold in labels)
    metrics = TEST.judge(
        seen(replace(answers, shown={**answers.shown, "swap_diff": donors}))
    ).metrics
    assert metrics["follow_conflicts"] == len(answers)
    assert metrics["follow_rate"].value == pytest.approx(rate)
    assert metrics["follow_shift_nats"].value == pytest.approx(shift)
    same = tuple({"donor": uid} for uid in answers.uids)
    none = TEST.judge(seen(replace(answers, shown={**answers.shown, "swap_diff": same}))).metrics
    assert (none["follow_conflicts"], none["follow_rate"]) == (0, None)
    followed = metrics["follow_rate_when_right"]
    assert followed.value == 1 if model == "M2" else followed is None


@pytest.mark.parametrize(
    ("count", "verdict"), [(1, "INCONCLUSIVE"), (19, "INCONCLUSIVE"), (20, "PASS")]
)
def test_few_wins_are_no_proof(count: int, verdict: str) -> None:
    answers = world("M3")
    finding = TEST.judge(seen(answers.take(np.arange(len(answers)) < count)))
    assert finding.metrics["win_rate_eligible"].value == 1
    p_value = finding.metrics["p_value_eligible"]
    assert p_value is None if count == 1 else p_value < 0.01
    assert (finding.verdict, finding.strict) == (verdict, "PASS")
