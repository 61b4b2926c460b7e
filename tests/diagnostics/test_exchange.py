"""Bits, gains and weights of models whose use of image and text is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.special import log_softmax
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

from solvent.core.paths import CONF
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.conditions.boxes import evidence_weight
from solvent.diagnostics.exchange import Exchange
from solvent.diagnostics.statistics.ratios import fieller, function_of_means
from solvent.diagnostics.statistics.usable import _fit, fitted_bits
from tests.diagnostics.scripted import MODELS, conflict, scripted
from tests.diagnostics.seeing import seen

CONFIG = CONF / "diagnostic" / "exchange.yaml"
SETTINGS = OmegaConf.to_container(OmegaConf.load(CONFIG))
TEST = Exchange(**{name: value for name, value in SETTINGS.items() if name[0] != "_"})


def mean_bits(congruent: float, conflict: float) -> float:
    """Of a probability of the right option in 4 cells, and another one in the 12 others."""
    return np.log2(congruent) / 4 + np.log2(conflict) * 3 / 4


PRIOR = mean_bits(3 / 4, 1 / 12)
V = {  # of nothing, image, text, both, from the probability of the right option in each cell
    "M0": (-2, -2, -2, -2),
    "M1": (-2, -2, PRIOR, PRIOR),
    "M2": (-2, np.log2(3 / 4), -2, np.log2(3 / 4)),
    "M3": (-2, np.log2(27 / 30), PRIOR, mean_bits(243 / 246, 27 / 38)),
    "M3e": (-2, np.log2(3 / 4), PRIOR, mean_bits(81 / 84, 9 / 20)),
    "M4": (-2, -2, -2, np.log2(3 / 4)),
    "M5": (-2, -2, PRIOR, mean_bits(1 / 2, 1 / 6)),
    "M6": (-2, -2, PRIOR, mean_bits(81 / 84, 1 / 84)),
}
CONTRIBUTIONS = {  # of image and text, synergy; to three decimals
    "M0": (0, 0, 0),
    "M1": (0, -0.792, 0),
    "M2": (1.585, 0, 0),
    "M3": (2.133, -0.507, 0.570),
    "M3e": (1.750, -0.627, 0.330),
    "M4": (0.792, 0.792, 1.585),
    "M5": (0.302, -0.491, 0.604),
    "M6": (-1.007, -1.800, -2.015),
}


@pytest.mark.parametrize("model", MODELS)
def test_bits(model: str) -> None:
    metrics = TEST.judge(seen(scripted(model, repeats=4))).metrics
    given = [metrics[f"v_{name}_bits"].value for name in ("nothing", "image", "text", "both")]
    assert given == pytest.approx(V[model], abs=1e-10)
    found = [metrics[f"{name}_bits"].value for name in ("image", "text", "synergy")]
    assert found == pytest.approx(CONTRIBUTIONS[model], abs=6e-4)
    nothing, alone, blind, both = V[model]
    assert found[0] == pytest.approx((alone - nothing + both - blind) / 2, abs=1e-10)
    assert found[0] + found[1] == pytest.approx(both - nothing, abs=1e-10)
    image, text, _ = CONTRIBUTIONS[model]
    if image or text:
        angle = np.degrees(np.arctan2(image, text))
        assert metrics["angle_degrees"].value == pytest.approx(angle, abs=0.05)
    else:
        assert metrics["angle_degrees"] is None


def test_shares_exist_where_both_contribute() -> None:
    for model in MODELS:  # of which that is the model of synergy
        share = TEST.judge(seen(scripted(model, 4, spread=0.02))).metrics["image_share"]
        assert share.value == pytest.approx(0.5) if model == "M4" else share is None


def test_label_free_bits_and_verdicts() -> None:
    image = TEST.judge(seen(scripted("M2", repeats=4)))
    assert image.metrics["label_free_image_bits"].value == pytest.approx(2 - 1.2075, abs=1e-4)
    assert image.metrics["label_free_text_bits"].value == pytest.approx(0)
    assert image.metrics["zero_shot_gain_bits_over_text"].value == pytest.approx(1.5850, abs=1e-4)
    assert (image.verdict, image.strict) == ("INCONCLUSIVE", "PASS")  # bits have no bounds, and
    image = TEST.judge(seen(scripted("M2", 4, spread=0.02)))  # where all samples are alike ...
    assert (image.verdict, image.strict) == ("PASS", "PASS")
    # Presence without content: sharpened with a blank picture, not with a severed one.
    presence = TEST.judge(seen(scripted("M6", repeats=4)))
    gains = [presence.metrics[f"zero_shot_gain_bits_over_{name}"] for name in ("blank", "knock")]
    assert [gain.value for gain in gains] == pytest.approx([0, V["M6"][3] - PRIOR], abs=1e-10)
    assert TEST.judge(seen(scripted("M0", repeats=4))).verdict == "INCONCLUSIVE"
    assert presence.verdict == "FAIL"
    verdicts = {"text": "FAIL", "blank": "INCONCLUSIVE", "knock": "FAIL"}  # blank: always 0
    assert presence.series["verdicts"] == verdicts


def weighed(model: str, image: float = 1.0) -> Answers:
    """All conflict cells at nine combinations of evidence; the image's discounted in conflict."""
    worlds = [conflict(model, 1, strengths) for strengths in product((0.5, 1, 1.5), repeat=2)]
    size = sum(map(len, worlds))
    scores = {
        name: np.concatenate([world.scores[name] for world in worlds]) for name in worlds[0].scores
    }
    scores["mislead"] = log_softmax(scores["mislead"] - (1 - image) * scores["image_only"], axis=1)
    return Answers(
        uids=tuple(map(str, range(size))),
        options=worlds[0].options[:1] * size,
        gold=np.concatenate([[int(tag["image"]) for tag in world.tags] for world in worlds]),
        clusters=np.arange(size),
        tags=({},) * size,
        scores=scores,
        shown={
            "mislead": tuple(facts for world in worlds for facts in world.shown["mislead"]),
        },
        image_tokens={},
    )


@pytest.mark.parametrize("model", ["M3", "M3e"])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_evidence_weight_of_a_product_of_experts(model: str, weight: float) -> None:
    metrics = TEST.judge(seen(weighed(model, weight))).metrics
    assert metrics["rho"].value == pytest.approx(weight, abs=1e-8)
    assert metrics["image_weight"].value == pytest.approx(weight, abs=1e-8)
    assert metrics["text_weight"].value == pytest.approx(1, abs=1e-8)
    assert metrics["offset_nats"].value == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("model", ["M0", "M1", "M2", "M4", "M5", "M6"])
def test_evidence_weight_needs_evidence_of_both(model: str) -> None:
    finding = TEST.judge(seen(weighed(model)))
    assert finding.metrics["rho"] is None
    assert "varies by" in finding.series["rho_reason"]


def test_evidence_weight_is_covered_by_its_interval() -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        image, text = generator.normal(2, 1, size=(2, 120))
        margin = 0.3 + 0.6 * image - 1.2 * text + generator.normal(0, 1, 120)
        weight = evidence_weight(margin, image, text, np.arange(120), 0.1)
        inside += weight.rho.low <= 0.5 <= weight.rho.high
    assert 180 <= inside <= 198  # 95 % of 200, give or take 2.6 standard errors
    ignored = 2 * image + generator.normal(0, 1, 120)
    weight = evidence_weight(ignored, image, text, np.arange(120), 0.1)
    assert (weight.rho, weight.reason) == (None, "the weight of the text may be 0")
    same = evidence_weight(margin, image, image, np.arange(120), 0.1)
    assert "of its own" in same.reason


def test_duplicates_in_a_cluster_add_no_certainty() -> None:
    generator = np.random.default_rng(3)
    image, text = generator.normal(2, 1, size=(2, 100))
    values = (image - text + generator.normal(0, 1, 100), image, text)
    once = evidence_weight(*values, np.arange(100), 0.1).rho
    copied = [np.repeat(each, 5) for each in (*values, np.arange(100))]
    again = evidence_weight(*copied, 0.1).rho
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.1)
    assert (again.n, again.clusters) == (500, 100)


def test_fieller_holds_the_ratios_that_a_t_test_keeps() -> None:
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = fieller(3.0, 2.0, covariance, 150, 61)
    for end, level in ((found.low, 0.975), (found.high, 0.975), (found.lower, 0.95)):
        contrast = np.array([1, -end])
        t = abs(contrast @ [3.0, 2.0]) / np.sqrt(contrast @ covariance @ contrast)
        assert t == pytest.approx(student.ppf(level, 60))
    assert fieller(3.0, 0.5, covariance, 150, 61) is None
    assert fieller(3.0, 2.0, covariance, 50, 21).lower is None  # too few for a verdict


def test_bootstrap_of_a_function_of_means_keeps_clusters_whole() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal([2, 4], 1, size=(300, 2))
    ratio = function_of_means(values, np.arange(300), lambda m: m[:, 0] / m[:, 1])
    assert ratio.value == pytest.approx(values[:, 0].mean() / values[:, 1].mean())
    spread = np.sqrt((1 + 0.25) / 300) / 4  # delta method
    assert (ratio.high - ratio.low) == pytest.approx(2 * 1.96 * spread, rel=0.1)
    twice = function_of_means(
        np.repeat(values, 5, axis=0), np.repeat(np.arange(300), 5), lambda m: m[:, 0] / m[:, 1]
    )
    assert (twice.low, twice.high) == pytest.approx((ratio.low, ratio.high))
    assert (ratio.lower, ratio.upper) == (ratio.low, ratio.high)
    one = np.r_[np.zeros(150, int), np.arange(1, 151)]  # one image holds half of the samples
    heavy = function_of_means(values, one, lambda m: m[:, 0] / m[:, 1])
    assert (heavy.lower, heavy.doubt[:20]) == (None, "4 independent images")


def test_temperature_and_bias_are_those_of_logistic_regression() -> None:
    generator = np.random.default_rng(1)
    z = log_softmax(generator.normal(0, 1, size=(4000, 2)), axis=1)
    gold = (generator.random(4000) < 1 / (1 + np.exp(z[:, 0] * 2 - z[:, 1] * 2 - 0.7))).astype(int)
    inverse, bias = _fit(z, gold, class_bias=True)
    reference = LogisticRegression(C=np.inf).fit((z[:, 1] - z[:, 0])[:, None], gold)
    assert inverse == pytest.approx(reference.coef_[0, 0], rel=0.01)  # priors weigh little
    assert bias[1] - bias[0] == pytest.approx(reference.intercept_[0], rel=0.02)
    assert not _fit(z, gold, class_bias=False)[1].any()


def test_usable_bits_undo_a_wrong_temperature() -> None:
    generator = np.random.default_rng(2)
    size = 4000
    gold = generator.integers(4, size=size)
    shown = np.where(generator.random(size) < 2 / 3, gold, generator.integers(4, size=size))
    sharp = log_softmax(3 * np.log(9) * np.eye(4)[shown], axis=1)  # P(shown is right) is 3 / 4
    bits = fitted_bits(sharp, gold, np.arange(size), 5, class_bias=True)
    # H(Y) - H(3/4, 1/12, 1/12, 1/12) = 2 - 1.2075 bits is there to be used.
    assert 2 + bits.mean() == pytest.approx(2 - 1.2075, abs=0.05)
    assert fitted_bits(sharp, gold, np.zeros(size, dtype=int), 5, class_bias=True) is None
    fewer = np.column_stack([sharp[:, :3], np.full(size, -np.inf)])  # questions of three options
    three = gold < 3
    assert np.isfinite(
        fitted_bits(fewer[three], gold[three], np.arange(three.sum()), 5, class_bias=False)
    ).all()


def test_invalid_samples_are_counted() -> None:
    answers = scripted("M3", repeats=4)
    scores = answers.scores["image_only"].copy()
    scores[0, 0] = -np.inf
    finding = TEST.judge(seen(replace(answers, scores={**answers.scores, "image_only": scores})))
    assert (finding.metrics["invalid"], finding.verdict) == (1, "ERROR")  # 1 of 64
