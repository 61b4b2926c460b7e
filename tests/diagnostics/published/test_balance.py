"""Whom the answer follows, of models that weigh image and text in a known way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from solvent.core.paths import CONF
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.published.balance import Balance, curve
from tests.diagnostics.scripted import conflict
from tests.diagnostics.seeing import seen

SETTINGS = OmegaConf.to_container(OmegaConf.load(CONF / "diagnostic" / "balance.yaml"))
TEST = Balance(**{name: value for name, value in SETTINGS.items() if name[0] != "_"})


def weighing(image: float, count: int = 400, seed: int = 0) -> Answers:
    """Two options; the image says the first, the text and another question's image the second,
    each with evidence of its own. Beside the text the answer weighs the image so many times as
    much, with some noise.
    """
    generator = np.random.default_rng(seed)
    seen_evidence, read_evidence = generator.uniform(0, 3, size=(2, count))
    zeros = np.zeros(count)

    def told(evidence: np.ndarray) -> np.ndarray:
        return log_softmax(np.stack([evidence, zeros], axis=1), axis=1)

    real = told(seen_evidence)
    both = told(image * seen_evidence - read_evidence + 0.5 * generator.normal(size=count))
    return Answers(
        uids=tuple(map(str, range(count))),
        options=(("yes", "no"),) * count,
        gold=np.zeros(count, dtype=int),
        clusters=np.arange(count),
        tags=({},) * count,
        scores=dict.fromkeys(("real", "rerun_1", "rerun_2", "rerun_3"), real)
        | {"mislead_text": told(-read_evidence), "mislead": both, "swap": told(-seen_evidence)},
        shown={"mislead": ({"asserted": "1"},) * count},
        image_tokens={},
    )


@pytest.mark.parametrize(
    ("weight", "verdict"), [(2.0, "PASS"), (0.5, "FAIL"), (1.0, "INCONCLUSIVE")]
)
def test_the_favoured_modality_is_found(weight: float, verdict: str) -> None:
    found = TEST.judge(seen(weighing(weight, seed=3)))
    assert found.verdict == verdict, found.reason
    assert found.metrics["text_log_odds_per_bit"].low > 0  # the less sure, the less followed
    balance = found.metrics["balance_bits"]
    assert np.sign(balance.value) == np.sign(weight - 1) or weight == 1
    if weight == 1:
        assert balance.low < 0 < balance.high


def test_no_image_is_followed_where_any_other_does_the_same() -> None:
    answers = weighing(2.0, seed=3)
    blind = {**answers.scores, "swap": answers.scores["real"]}
    found = TEST.judge(seen(replace(answers, scores=blind)))
    assert (found.verdict, found.metrics["own_image_contrast"].value) == ("VACUOUS", 0)
    assert "instead of another one the right option is likelier by 0.000" in found.reason
    del blind["swap"]
    assert TEST.judge(seen(replace(answers, scores=blind))).verdict == "INCONCLUSIVE"


def test_the_curve_is_the_likeliest_one() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=300)
    followed = (generator.random(300) < expit(0.7 + 1.5 * x)).astype(float)

    def surprise(parameters: np.ndarray) -> float:
        p = expit(parameters[0] + parameters[1] * x)
        return -float((followed * np.log(p) + (1 - followed) * np.log(1 - p)).sum())

    best = minimize(surprise, [0.0, 0.0]).x
    found = curve(x, followed, np.arange(300))
    assert (found.level.value, found.slope.value) == pytest.approx(tuple(best), abs=1e-3)
    assert found.balance.value == pytest.approx(-best[0] / best[1], abs=1e-3)
    assert found.balance.low < -0.7 / 1.5 < found.balance.high


def test_what_has_no_curve_says_why() -> None:
    image_only = TEST.judge(seen(conflict("M2", repeats=10)))
    assert image_only.verdict == "NOT APPLICABLE"
    assert image_only.reason == "the image is followed in every conflict"
    assert "too few" in curve(np.zeros(9), np.arange(9) % 2 * 1.0, np.arange(9))
    surer = curve(np.arange(-5.0, 5.0), (np.arange(-5, 5) >= 0) * 1.0, np.arange(10))
    assert "no finite curve" in surer
    assert "no sample" in curve(np.empty(0), np.empty(0), np.empty(0, dtype=int))


def test_one_image_with_half_of_the_conflicts_makes_no_verdict() -> None:
    answers = weighing(2.0, seed=3)
    assert TEST.judge(seen(answers)).verdict == "PASS"
    one = replace(answers, clusters=np.maximum(np.arange(400), 200))
    found = TEST.judge(seen(one))
    assert found.verdict == "INCONCLUSIVE"
    assert "(no verdict: 4 independent images have a say" in found.reason


def test_failed_conflicts_are_counted() -> None:
    answers = weighing(2.0)
    answers.scores["mislead"][:40] = np.nan
    found = TEST.judge(seen(answers))
    assert (found.verdict, found.metrics["invalid"]) == ("ERROR", 40)
