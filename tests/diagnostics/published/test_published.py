"""Horizon, mirage and gain by token, of models whose use of the image is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.special import log_softmax

from solvent.core.paths import CONF
from solvent.core.types import CandidateScore, Prediction
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen
from tests.diagnostics.scripted import scripted
from tests.diagnostics.seeing import seen

TESTS = {
    name: instantiate(OmegaConf.load(CONF / "diagnostic" / f"{name}.yaml"))
    for name in ("horizon", "mirage", "token_gain")
}
REPEATS = 40
BLIND = 0.18872  # bits between (3/4, 1/12, 1/12, 1/12) and (1/4, 1/4, 1/4, 1/4)


def horizon(model: str, strengths: list[float | None], moving: float = 1.0) -> Finding:
    """A model that has so much of the image's evidence when the flow is cut from layer 0, 1, ...

    Only a share `moving` of the samples is cut off at layer 3; the others lose nothing there.
    """
    answers = scripted(model, REPEATS)
    scores = dict(answers.scores)
    for layer, strength in enumerate(strengths):
        some = answers if strength is None else scripted(model, REPEATS, (strength, 1))
        cut = some.scores["text" if strength is None else "real"].copy()
        if layer == 3:
            spared = np.arange(len(answers)) % REPEATS >= moving * REPEATS
            cut[spared] = answers.scores["real"][spared]
        scores[f"cut_from_{layer}_of_6"] = cut
    return TESTS["horizon"].judge(seen(with_scores(answers, scores)))


def with_scores(answers: Answers, scores: dict[str, np.ndarray]) -> Answers:
    """With more conditions, which did nothing to say."""
    told = {name: answers.shown.get(name, ({},) * len(answers)) for name in scores}
    return replace(answers, scores=scores, shown=told)


def test_the_layer_from_which_on_the_image_no_longer_matters() -> None:
    found = horizon("M2", [None, None, 0.5, 0.9, 1, 1])
    reading = found.metrics["horizon"]
    assert (reading.low, reading.value, reading.high) == (3 / 6, 3 / 6, 3 / 6)
    assert found.verdict == "PASS"
    assert found.metrics["moved_bits_from_0"].value == pytest.approx(BLIND, abs=1e-5)
    assert found.metrics["loss_bits_from_0"].value == pytest.approx(np.log2(3))
    assert found.metrics["accuracy_from_0"].value == pytest.approx(1 / 4)
    assert found.metrics["accuracy_from_3"].value == 1
    # A gap in the curve does not end it: what is later must stay within the margin, too.
    late = horizon("M2", [None, 1, 1, 1, 1, None]).metrics["horizon"]
    assert (late.low, late.value, late.high) == (1, 1, 1)


def test_the_horizon_has_an_interval() -> None:
    """At layer 3 a mean of 1/20 of .18872 = .0094 bit is below the margin of .01, not surely."""
    found = horizon("M2", [None, None, 0.5, None, 1, 1], moving=1 / 20)
    reading = found.metrics["horizon"]
    assert found.metrics["moved_bits_from_3"].value == pytest.approx(BLIND / 20, abs=1e-5)
    assert (reading.low, reading.value, reading.high) == (3 / 6, 3 / 6, 4 / 6)


@pytest.mark.parametrize(
    ("model", "verdict", "value"),
    # Presence alone moves M5 and M6, which another image does not: the cut is not about the image.
    [("M0", "FAIL", 0), ("M1", "FAIL", 0), ("M5", "VACUOUS", 2 / 6), ("M6", "VACUOUS", 2 / 6)],
)
def test_a_horizon_of_who_does_not_look(model: str, verdict: str, value: float) -> None:
    found = horizon(model, [None, None, 1, 1, 1, 1])
    assert (found.verdict, found.metrics["horizon"].value) == (verdict, value)


def test_answers_that_anything_moves_have_no_horizon() -> None:
    """Noise from run to run moves answers under cuts and other images, and under a JPEG as well."""
    generator = np.random.default_rng(0)
    answers = scripted("M0", 20)
    names = {*answers.scores, *TESTS["horizon"].conditions}
    noise = {
        name: log_softmax(generator.normal(size=(len(answers), 4)), axis=1)
        for name in sorted(names)
    }
    found = TESTS["horizon"].judge(seen(with_scores(answers, noise)))
    assert found.metrics["swap_bits"].low > 0.01
    assert found.metrics["horizon"].lower == 1
    assert found.verdict == "INCONCLUSIVE"
    assert "beyond a placebo" in found.reason


def test_few_images_give_no_horizon() -> None:
    answers = scripted("M2", 1)  # 16; 20 are needed, as everything is bounded
    cuts = {f"cut_from_{layer}_of_6": answers.scores["text"] for layer in range(6)}
    found = TESTS["horizon"].judge(seen(with_scores(answers, answers.scores | cuts)))
    assert (found.verdict, found.metrics["horizon"].lower) == ("INCONCLUSIVE", None)


def test_cuts_are_the_knockout_of_later_layers_for_some_samples() -> None:
    known = {"knock": instantiate(OmegaConf.load(CONF / "conditions.yaml")["knock"])}
    made = TESTS["horizon"].composed(known)
    assert [each.intervention.layers for each in made.values()] == [f"{k}-/6" for k in range(6)]
    assert {each.intervention.mass for each in made.values()} == {known["knock"].intervention.mass}
    assert set(made) < set(TESTS["horizon"].conditions)
    with pytest.raises(ValueError, match="layers must rise from 0 and stay below of=6"):
        replace(TESTS["horizon"], layers=[0, 6])


def mirage(model: str, told: str = "text") -> Finding:
    answers = scripted(model, REPEATS)
    return TESTS["mirage"].judge(
        seen(replace(answers, scores=answers.scores | {"guess": answers.scores[told]}))
    )


@pytest.mark.parametrize(
    ("model", "verdict", "real", "kept", "beyond"),
    [
        ("M2", "PASS", 1, 1 / 4, 0),
        ("M3", "PASS", 1, 1 / 4, 0),
        ("M4", "PASS", 1, 1 / 4, 0),
        ("M3e", "PASS", 5 / 8, 2 / 5, 0),
        ("M1", "FAIL", 1 / 4, 1, None),  # all of nothing beyond luck
        ("M5", "FAIL", 1 / 4, 1, None),
        ("M6", "FAIL", 1 / 4, 1, None),
    ],
)
def test_what_is_kept_without_the_image(
    model: str, verdict: str, real: float, kept: float, beyond: float | None
) -> None:
    found = mirage(model)
    assert found.verdict == verdict, found.reason
    assert found.metrics["accuracy_real"].value == pytest.approx(real)
    for name in ("in_silence", "told"):
        assert found.metrics[f"kept_{name}"].value == pytest.approx(kept)
        assert found.metrics[f"lost_{name}"].value == pytest.approx(1 - kept)
        if beyond is not None:
            assert found.metrics[f"kept_beyond_luck_{name}"].value == pytest.approx(beyond)


def test_clean_questions_and_a_model_that_only_guesses_when_told() -> None:
    # M1 knows b without a picture: 4 of 16 cells have a = b, and the 12 others are clean.
    found = mirage("M1")
    assert found.metrics["clean"].value == pytest.approx(3 / 4)
    assert len(found.series["clean"]) == 12 * REPEATS
    assert found.metrics["right_with_image_of_clean"].value == 0
    told = mirage("M2", told="real")  # as if the instruction itself gave the answers away
    assert told.verdict == "INCONCLUSIVE"
    assert told.metrics["lost_told"].value == 0
    assert told.metrics["silent_minus_told"].value == pytest.approx(1 / 4 - 1)
    assert told.metrics["clean"].value == 0


def gain(model: str, lengths: tuple[int, ...], blur: str = "blank", spread: float = 0.0) -> Finding:
    answers: Answers = scripted(model, REPEATS, spread=spread)
    answers = replace(answers, scores=answers.scores | {"blur": answers.scores[blur]})
    rows = [
        Prediction(
            uid=uid,
            condition="real",
            raw=None,
            scores=tuple(
                CandidateScore(
                    log_probability=0.0, tokens=lengths[row % len(lengths)] + int(each != gold)
                )
                for each in range(4)
            ),
            parsed=None,
            gold=int(gold),
            status="ok",
            credit=0.0,
            visual_mass=None,
            cells_edited=0,
            groups={},
            tags={},
        )
        for row, (uid, gold) in enumerate(zip(answers.uids, answers.gold, strict=True))
    ]
    parts = {"answers": lambda: answers, "predictions": lambda: {"real": rows}}
    return TESTS["token_gain"].judge(Seen(parts=parts))


@pytest.mark.parametrize(
    ("model", "blur", "verdict", "bits", "own"),
    [
        ("M2", "blank", "PASS", np.log2(3), np.log2(9)),
        ("M3", "blank", "PASS", 2.4183, np.log2(27)),
        ("M1", "blank", "FAIL", 0, 0),
        ("M5", "blank", "FAIL", 0, 0),
        ("M5", "text", "VACUOUS", 0.6038, 0),  # any image helps, whichever it is
        ("M6", "text", "FAIL", -2.0149, 0),
    ],
)
def test_what_a_sharp_image_adds(
    model: str, blur: str, verdict: str, bits: float, own: float
) -> None:
    metrics = gain(model, (2,), blur).metrics
    assert metrics["gain_bits"].value == pytest.approx(bits, abs=1e-4)
    assert metrics["gain_bits_per_token"].value == pytest.approx(bits / 2, abs=1e-4)
    if model != "M3":  # where the text has a say in what another image does
        assert metrics["own_minus_swap_bits"].value == pytest.approx(own)
    found = gain(model, (2,), blur, spread=0.2)  # where no two samples differ, there is no verdict
    assert found.verdict == verdict, found.reason


def test_tokens_of_the_right_answer_are_counted() -> None:
    metrics = gain("M2", (1, 3)).metrics
    assert metrics["tokens"].value == 2
    assert metrics["gain_bits_per_token"].value == pytest.approx(np.log2(3) * (1 + 1 / 3) / 2)
    assert metrics["gain_bits_of_all_tokens"].value == pytest.approx(np.log2(3) / 2)
    assert metrics["wrong_gain_bits"].value == pytest.approx(-np.log2(3))
