"""What a model's tests say together, of models whose use of image and text is known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.special import log_softmax

from solvent.core.paths import CONF
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, UsageTest
from solvent.diagnostics.dependency import Dependency
from solvent.diagnostics.exchange import Exchange
from solvent.diagnostics.information import Information
from solvent.diagnostics.judging import plain
from solvent.diagnostics.measures import Measures
from solvent.diagnostics.uncertainty import Uncertainty
from solvent.reports.overall_reading import overall_of, overall_reading
from tests.diagnostics import scripted as world
from tests.diagnostics.scripted import MODELS, N9, Logits, Strength, one, scripted
from tests.diagnostics.seeing import seen

SPREAD = 0.02  # of the strengths, so that images differ; verdicts on unbounded values need it


def built(kind: type[UsageTest], name: str) -> UsageTest:
    settings = OmegaConf.to_container(OmegaConf.load(CONF / "diagnostic" / f"{name}.yaml"))
    return kind(**{key: value for key, value in settings.items() if key[0] != "_"})


TESTS = {
    name: built(kind, name)
    for name, kind in {
        "dependency": Dependency,
        "measures": Measures,
        "exchange": Exchange,
        "information": Information,
        "uncertainty": Uncertainty,
    }.items()
}
READ = ("dependency", "measures", "exchange")


def sharpening(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    """Surer of its prior whenever there is an image; which one moves it a little, to no avail."""
    return one(b, N9 if image is None else 1.5 * N9, text) + one((a + 2) % 4, 1.2, image)


def following(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    """Follows its prior; the image makes what is right a little likelier, never the likeliest."""
    return one(b, N9, text) + one(a, 0.9, image)


def misled(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    """Sees the image, and always says the next option."""
    return one((a + 1) % 4, N9, image)


def weak(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    """Sees one class of images in four cells of 16 only."""
    return np.where(((a == 0) & (b == 1))[:, None], one(a, N9, image), one(b, 0.1, text))


OTHERS = {"sharpening": sharpening, "following": following, "misled": misled, "weak": weak}
OVERALL = {
    **dict.fromkeys(("M0", "M1", "M5", "M6"), "BLIND"),
    **dict.fromkeys(("M2", "M3", "M4"), "USES IT"),
    **dict.fromkeys(("sharpening", "misled"), "MOVED BUT MISLED"),
    **dict.fromkeys(("following", "weak"), "USES IT WEAKLY"),
}


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rule in OTHERS.items():
        monkeypatch.setitem(world.MODELS, name, rule)


def judged(answers: Answers, names: tuple[str, ...] = READ) -> dict[str, Any]:
    """Findings as they are stored."""
    found = {name: asdict(TESTS[name].judge(seen(answers))) for name in names}
    return json.loads(json.dumps(plain(found)))


def finding(name: str, model: str, spread: float = 0.0) -> Finding:
    return TESTS[name].judge(seen(scripted(model, spread=spread)))


@pytest.mark.parametrize(("model", "reading"), OVERALL.items())
def test_the_reading_of_models_that_are_known(model: str, reading: str) -> None:
    found = overall_reading(judged(scripted(model, spread=SPREAD)))
    assert found is not None
    assert found.overall == reading, found.reason
    assert all(f"({name} " in found.reason for name in READ)


def test_what_is_missing_is_said() -> None:
    found = judged(scripted("M2", spread=SPREAD))
    assert overall_reading({}) is None
    assert overall_of({"exchange": found["exchange"]}) == {}
    for name in READ:
        rest = {key: value for key, value in found.items() if key != name}
        reading = overall_of(rest)["overall"]
        assert reading["reading"] == "NOT SETTLED"
        assert any(f"not tested, add {name}" in clause for clause in reading["evidence"])
    few = overall_reading(judged(scripted("M2", 1, spread=SPREAD)))  # 16 images
    assert few is not None
    assert few.overall == "NOT SETTLED"
    blind = judged(scripted("M1", spread=SPREAD), ("dependency",))
    assert overall_of(blind)["overall"]["reading"] == "BLIND"  # nothing else could change that


@pytest.mark.parametrize("model", ["M5", "M6", "sharpening"])
def test_what_any_picture_does_is_no_use_of_its_own(model: str) -> None:
    assert finding("exchange", model, SPREAD).verdict == "FAIL"
    assert finding("information", model).verdict in ("FAIL", "INCONCLUSIVE")
    assert finding("uncertainty", model).verdict in ("FAIL", "VACUOUS", "INCONCLUSIVE")
    for name in ("information", "uncertainty"):
        assert finding(name, model).metrics["p_value"] > 0.05


def test_own_minus_other_pictures() -> None:
    """M2: 3/4 with its own picture, 1/12 with others, whose answers are as sure."""
    for name in ("information", "uncertainty", "exchange"):
        metrics = finding(name, "M2").metrics
        assert metrics["right_contrast"].value == pytest.approx(3 / 4 - 1 / 12)
        assert finding(name, "M5").metrics["right_contrast"].value == pytest.approx(0)
    assert metrics["own_image_bits"].value == pytest.approx(np.log2(9))
    assert finding("exchange", "M5").metrics["image_bits"].value == pytest.approx(0.302, abs=1e-3)
    assert finding("information", "M2").metrics["entropy_contrast_bits"].value == pytest.approx(0)
    # Pictures of other questions leave the answer undecided: 2 bits against 1.2075.
    answers = scripted("M2")
    unsure = dict.fromkeys(("swap", "swap_2", "swap_3"), answers.scores["text"])
    answers = replace(answers, scores={**answers.scores, **unsure})
    contrast = TESTS["information"].judge(seen(answers)).metrics["entropy_contrast_bits"]
    assert contrast.value == pytest.approx(2 - 1.2075, abs=1e-4)
    contrast = TESTS["uncertainty"].judge(seen(answers)).metrics["confidence_contrast"]
    assert contrast.value == pytest.approx(3 / 4 - 1 / 4)


def test_ways_to_have_no_image_that_disagree_settle_nothing() -> None:
    answers = scripted("M4", spread=SPREAD)
    surer = log_softmax(3 * answers.scores["real"], axis=1)  # as if a blank picture told more
    answers = replace(answers, scores={**answers.scores, "blank": surer})
    for name in ("information", "uncertainty", "exchange"):
        found = TESTS[name].judge(seen(answers))
        assert found.verdict == "INCONCLUSIVE"
        assert "(text PASS, blank FAIL, knock PASS)" in found.reason


def test_a_picture_that_misleads_is_said_to() -> None:
    assert "misled: the right option changes by -2.01" in finding("information", "M6").reason
    assert "misled" in finding("exchange", "M6", SPREAD).reason
    assert "misled" not in finding("information", "M2").reason


def test_without_other_pictures_exchange_does_not_pass() -> None:
    answers = scripted("M2", spread=SPREAD)
    kept = {name: each for name, each in answers.scores.items() if not name.startswith("swap")}
    found = TESTS["exchange"].judge(seen(replace(answers, scores=kept)))
    assert (found.verdict, found.metrics["right_contrast"]) == ("INCONCLUSIVE", None)
    assert "no picture of another question" in found.reason


def test_a_picture_that_is_recognised_is_not_read() -> None:
    """Right with its own picture and undecided with any other: it may know its picture by heart.

    What tells the two apart are pictures with the same right answer, where a set has them.
    """
    answers = scripted("M2", spread=SPREAD)
    others = ("swap", "swap_2", "swap_3", "swap_diff", "swap_same")
    lost = answers.scores | dict.fromkeys(others, answers.scores["text"])
    shown = {**answers.shown, "swap_same": ({},) * len(answers)}
    asked = "a picture with another right answer moves it further than one with the same"
    for alike, few, reading, said in (
        (lost["text"], 0, "USES IT WEAKLY", f"{asked}: not sure (dependency 0.000"),
        (lost["real"], 0, "USES IT", f"{asked}: yes (dependency 0.189"),
        (lost["text"], 19, "USES IT", f"{asked}: too few such pictures to say (dep"),
    ):
        same = alike.copy()
        same[few or len(answers) :] = np.nan
        read = overall_reading(
            judged(replace(answers, scores={**lost, "swap_same": same}, shown=shown))
        )
        assert read is not None
        assert (read.overall, said in read.reason) == (reading, True), read.reason


def test_a_test_without_a_verdict_is_named() -> None:
    found = judged(scripted("M2", spread=SPREAD))
    found["measures"]["verdict"] = "ERROR"
    read = overall_reading(found)
    assert read is not None
    assert read.overall == "NOT SETTLED"
    assert "right more often with its own image: no verdict, error (measures" in read.reason


def test_every_model_of_the_world_has_a_reading() -> None:
    assert {*OVERALL, "M3e"} == {*MODELS}


def test_two_tests_give_one_interval_of_what_an_answer_tells_of_its_image() -> None:
    name = "mutual_information_bits"
    for model in ("M2", "M5"):
        found = judged(scripted(model, spread=SPREAD), ("dependency", "information"))
        one, other = (found[test]["metrics"][name] for test in ("dependency", "information"))
        assert one == other
        assert one["low"] >= 0
