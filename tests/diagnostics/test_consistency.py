"""Fusion gain on scripted states of known coupling, and the traps that raw information falls into.

The image states are x, the text states z; "yes" and "no" are the strata.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.diagnostics.consistency import Consistency
from solvent.diagnostics.contract import check_finding
from solvent.diagnostics.coupling.gain import band, judged
from solvent.diagnostics.coupling.sides import Sides
from solvent.diagnostics.statistics.estimates import Estimate
from solvent.diagnostics.statistics.projection import Scores
from tests.conftest import ROOT
from tests.diagnostics.seeing import seen

SAMPLES, COMPONENTS = 2000, 4
FAST = Consistency(
    dimensions=4,
    sweep=[2, 4],
    samples_per_dimension=5,
    layers="all",
    label="gold",
    tags=[],
    margin_bits=0.05,
    permutations=49,
    halves=25,
    kernel_samples=100,
    seed=0,
)
RUNS = ("real", "swap", "knock")
Texts = dict[str, np.ndarray]  # first component of z by condition


def scripted(x: np.ndarray, texts: Texts, strata: np.ndarray) -> Scores:
    """One decoder layer with this coupling in the first component; layer 0 has none."""
    generator, samples = np.random.default_rng(99), len(x)

    def states(first: np.ndarray) -> np.ndarray:
        values = generator.standard_normal((samples, 2, COMPONENTS))
        values[:, 1, 0] = first
        return values.astype(np.float32)

    text = {name: states(first) for name, first in texts.items()}
    return Scores(
        uids=tuple(map(str, range(samples))),
        strata=tuple(np.array(["no", "yes"])[strata].tolist()),
        clusters=np.arange(samples),
        left_out={},
        image=states(x),
        last=text,
        question=text,
        basis="scripted",
    )


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, SAMPLES))


@pytest.fixture
def strata() -> np.ndarray:
    return np.arange(SAMPLES) % 2


def gaussian(strata: np.ndarray, rho: float = 0.8) -> Scores:
    x, real, swap, knock = noise(4)
    real = rho * x + np.sqrt(1 - rho**2) * real
    return scripted(x + 2 * strata, {"real": real - strata, "swap": swap, "knock": knock}, strata)


def test_text_that_takes_up_the_image(strata: np.ndarray) -> None:
    """Model M3: correlation 0.8 in the real run only: -log2(1 - 0.64) / 2 = 0.7370 bit."""
    finding = FAST.judge(seen(scores=gaussian(strata)))
    assert (finding.verdict, finding.strict) == ("COUPLED", "COUPLED")
    gain = finding.metrics["gain_bits"]
    assert gain.value == pytest.approx(0.7370, abs=0.08)
    assert gain.low < 0.7370 < gain.high
    assert finding.metrics["layer"] == 1
    assert finding.metrics["information_p"] == finding.metrics["kernel_p"] == 0.02
    assert finding.metrics["p_value"] < 0.001
    assert finding.series["coupling"] == "coupled"
    assert finding.series["last"]["gain_bits"][0] == pytest.approx(0, abs=0.05)
    assert finding.series["sweep"]["2"][1] == pytest.approx(0.7370, abs=0.08)
    assert finding.series["strata"] == {"no": 1000, "yes": 1000}
    assert "0.7" in finding.reason


def test_coupling_that_only_the_answer_reveals() -> None:
    """Model M4: x and z independent, the answer is whether their signs agree."""
    x, real, swap, knock = noise(4, seed=1)
    strata = (x * real > 0).astype(int)
    scores = scripted(x, {"real": real, "swap": swap, "knock": knock}, strata)
    finding = FAST.judge(seen(scores=scores))
    assert finding.verdict == "COUPLED"
    assert finding.metrics["gain_bits"].value == pytest.approx(0.3749, abs=0.06)
    assert finding.metrics["unconditional_bits"].value == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("seed", [2, 3])
def test_text_that_ignores_the_image(strata: np.ndarray, seed: int) -> None:
    """Models M1, M2, M5, M6: independent given the answer, although both depend on it."""
    x, *text = noise(4, seed) + 2 * strata
    finding = FAST.judge(seen(scores=scripted(x, dict(zip(RUNS, text, strict=True)), strata)))
    assert finding.verdict == "FAIL"
    assert finding.metrics["gain_bits"].value == pytest.approx(0, abs=0.04)
    assert finding.metrics["unconditional_bits"].low > 0.1
    assert finding.series["coupling"] in {"none", "weak linear"}


def test_topic_of_image_and_question_cancels(strata: np.ndarray) -> None:
    """Raw information (0.2075 bit) is there in the controls as well: no gain, but strict is met."""
    topic, x, *text = noise(5, seed=4)
    texts = dict(zip(RUNS, topic + np.array(text), strict=True))
    finding = FAST.judge(seen(scores=scripted(topic + x, texts, strata)))
    assert finding.metrics["information_bits"].value == pytest.approx(0.2075, abs=0.06)
    assert finding.strict == "COUPLED"
    assert finding.metrics["gain_bits"].value == pytest.approx(0, abs=0.05)
    assert finding.verdict in {"FAIL", "INCONCLUSIVE"}


def test_the_smaller_gain_counts(strata: np.ndarray) -> None:
    """Text that takes up the image even when another one is shown shows nothing."""
    scores = gaussian(strata)
    found = FAST.judge(
        seen(scores=replace(scores, last=scores.last | {"swap": scores.last["real"]}))
    )
    assert found.metrics["gain_swap_bits"].value == 0
    assert found.metrics["gain_knock_bits"].value > 0.6
    assert found.metrics["gain_bits"].value == 0
    assert found.verdict == "FAIL"


def test_quadratic_coupling_has_no_bits(strata: np.ndarray) -> None:
    x, real, swap, knock = noise(4, seed=5)
    texts = {"real": 3 * x**2 + 0.3 * real, "swap": swap, "knock": knock}
    finding = replace(FAST, dimensions=1, sweep=[1]).judge(seen(scores=scripted(x, texts, strata)))
    assert finding.series["coupling"] == "nonlinear"
    assert (finding.verdict, finding.strict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert "not estimable" in finding.reason


def test_coupling_of_opposite_sign_per_answer(strata: np.ndarray) -> None:
    x, real, swap, knock = noise(4, seed=6)
    real = (1 - 2 * strata) * 0.8 * x + 0.6 * real
    finding = FAST.judge(
        seen(scores=scripted(x, {"real": real, "swap": swap, "knock": knock}, strata))
    )
    assert finding.verdict == "COUPLED"
    assert finding.metrics["gain_bits"].value == pytest.approx(0.7370, abs=0.08)
    assert finding.metrics["unconditional_bits"].value == pytest.approx(0, abs=0.02)


def test_equal_states_give_exactly_no_gain_at_layer_0(strata: np.ndarray) -> None:
    scores = gaussian(strata)
    same = {name: text.copy() for name, text in scores.last.items()}
    for text in same.values():
        text[:, 0] = scores.last["real"][:, 0]
    same["real"][:, 0] = same["swap"][:, 0] = same["knock"][:, 0] = 1.0  # one template's last token
    finding = FAST.judge(seen(scores=replace(scores, last=same)))
    assert finding.series["last"]["gain_bits"][0] == 0
    assert finding.series["last"]["information_bits"]["real"][0] == 0
    assert finding.verdict == "COUPLED"


def test_states_that_are_missing_or_not_finite(strata: np.ndarray) -> None:
    scores = gaussian(strata)
    for broken, verdict in ((20, "COUPLED"), (21, "ERROR")):
        text = scores.last["swap"].copy()
        text[:broken, 1] = np.nan
        finding = FAST.judge(seen(scores=replace(scores, last=scores.last | {"swap": text})))
        assert finding.verdict == verdict
        assert finding.metrics["invalid"] == broken
        assert finding.metrics["samples"] == SAMPLES - broken


def test_one_control_is_enough_and_none_is_not(strata: np.ndarray) -> None:
    scores = gaussian(strata)
    one = {name: scores.last[name] for name in ("real", "knock")}
    finding = FAST.judge(seen(scores=replace(scores, last=one, question=one)))
    assert finding.verdict == "COUPLED"
    assert "under knock" in finding.reason
    assert "gain_swap_bits" not in finding.metrics
    none = FAST.judge(seen(scores=replace(scores, last={"real": scores.last["real"]})))
    assert none.verdict == "NOT APPLICABLE"


def test_answers_with_too_few_samples(strata: np.ndarray) -> None:
    scores = gaussian(strata)
    rare = replace(scores, strata=("rare",) * 39 + scores.strata[39:])
    finding = FAST.judge(seen(scores=rare))
    assert finding.series["left_out"] == {"small class": 39}
    assert finding.metrics["samples"] == SAMPLES - 39
    alone = FAST.judge(seen(scores=replace(scores, strata=tuple(map(str, range(SAMPLES))))))
    assert alone.verdict == "NOT APPLICABLE"
    assert "40 samples" in alone.reason


def test_settings_that_do_not_fit_the_scores(strata: np.ndarray) -> None:
    scores = gaussian(strata)
    with pytest.raises(ValueError, match=r"layers must be from 1 to 1, found \[0, 2\]"):
        replace(FAST, layers=[0, 1, 2]).judge(seen(scores=scores))
    with pytest.raises(ValueError, match="8 components are asked for, but 4 are stored"):
        replace(FAST, sweep=[8]).judge(seen(scores=scores))


def test_stored_scores_give_the_same_finding(strata: np.ndarray, tmp_path: Path) -> None:
    scores = gaussian(strata)
    scores.save(tmp_path / "scores.npz")
    assert FAST.judge(seen(scores=Scores.load(tmp_path / "scores.npz"))) == FAST.judge(
        seen(scores=scores)
    )


def untrained(x: np.ndarray, strata: np.ndarray, rho: float, controls: float = 0.0) -> Scores:
    """Text states that random weights mixed the image into, nearly without noise."""
    real, swap, knock = (
        r * x + np.sqrt(1 - r**2) * other
        for r, other in zip((rho, controls, controls), noise(3, seed=8), strict=True)
    )
    return scripted(x, {"real": real, "swap": swap, "knock": knock}, strata)


def test_an_untrained_network_is_coupled_and_has_no_bits(strata: np.ndarray) -> None:
    """Correlation 0.9999: -log2(1 - 0.9998) / 2 = 6.1 bit, more than any model that was taught."""
    (x,) = noise(1, seed=7)
    found = FAST.judge(seen(scores=untrained(x, strata, 0.9999)))
    assert (found.verdict, found.strict) == ("COUPLED", "COUPLED")
    assert found.metrics["gain_bits"] is None
    assert found.metrics["p_value"] is None
    assert found.metrics["layer"] == 1
    assert found.metrics["correlation"] == pytest.approx(0.9999, abs=1e-4)
    assert np.isnan(found.series["last"]["gain_bits"][1])
    assert "no bits" in found.reason
    assert "no sign of use" in found.reason
    check_finding("consistency", FAST, found)
    less = FAST.judge(seen(scores=untrained(x, strata, 0.98)))  # 2.33 bit, which are told
    assert (less.verdict, less.metrics["gain_bits"].value) == (
        "COUPLED",
        pytest.approx(2.33, abs=0.2),
    )
    everywhere = FAST.judge(seen(scores=untrained(x, strata, 0.9999, controls=0.9999)))
    assert (everywhere.verdict, everywhere.metrics["gain_bits"]) == ("INCONCLUSIVE", None)


def test_uniform_attention_stands_beside(strata: np.ndarray) -> None:
    """A model that was taught shows less than the same one under uniform attention."""
    (x,) = noise(1, seed=7)
    both = seen(scores=gaussian(strata), beside={"uniform": untrained(x, strata, 0.95)})
    found = FAST.judge(both)
    own, uniform = (found.metrics[name].value for name in ("gain_bits", "uniform_gain_bits"))
    assert own == pytest.approx(0.7370, abs=0.08)
    assert uniform == pytest.approx(1.679, abs=0.1)  # -log2(1 - 0.95^2) / 2
    assert f"under uniform attention {uniform:.3f}" in found.reason
    assert found.verdict == "COUPLED"
    assert FAST.judge(seen(scores=gaussian(strata))).metrics["uniform_gain_bits"] is None


def test_p_of_no_gain_where_image_and_question_share_a_topic() -> None:
    """At 5 %, 5 % of 120 sets without a gain are rejected at most, give or take two errors."""
    generator, strata, rejected = np.random.default_rng(11), np.arange(160) % 2, 0
    for seed in range(120):
        topic = generator.standard_normal((160, 3, 1))
        image, real, swap = topic + generator.standard_normal((3, 160, 3, 2))
        sides = Sides(image=image, runs=[real, swap], strata=strata, clusters=np.arange(160))
        rejected += judged(sides, 39, seed).p_value(0.0) < 0.05
    assert rejected / 120 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 120)


def test_the_choice_of_a_layer_is_paid_for() -> None:
    """Without any gain, the lower bound of the best of six layers is above 0 in 5 % of runs."""
    generator, strata, above = np.random.default_rng(7), np.zeros(200, dtype=int), 0
    for seed in range(30):
        x, topic = generator.standard_normal((2, 200, 6, 1))
        real, swap = topic + generator.standard_normal((2, 200, 6, 1))
        sides = Sides(image=x + topic, runs=[real, swap], strata=strata, clusters=np.arange(200))
        found = band(sides.bits(), sides.resampled(30, seed), sides.clusters)
        assert isinstance(found.best, Estimate)
        assert found.best.value == pytest.approx(found.gain.max())
        above += found.best.lower > 0
    assert above <= 4  # P(more) < 2 %


def test_configuration() -> None:
    settings = OmegaConf.load(ROOT / "conf/diagnostic/consistency.yaml")
    test = instantiate(settings)
    assert isinstance(test, Consistency)
    assert test.conditions == ("real", "swap", "knock", "uniform", "swap+uniform")
    assert test.components == 16
    assert test.smallest(test.dimensions) == 80
    with pytest.raises(ValueError, match=r"must be 4 at least.*found 3"):
        replace(FAST, samples_per_dimension=3)
