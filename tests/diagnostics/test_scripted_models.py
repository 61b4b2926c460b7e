"""What the tests say of models whose use of image and text is known (`scripted.py`).

Numbers were worked out apart from this code, in closed form where there is one: softmax of
(ln 9, 0, 0, 0) is (3/4, 1/12, 1/12, 1/12), whose entropy is 1.2075 bits.
"""

from __future__ import annotations

from functools import cache

import pytest

from solvent.diagnostics.base import Finding
from solvent.diagnostics.dependency import Dependency
from solvent.diagnostics.information import Information
from solvent.diagnostics.perturbation import Perturbation
from solvent.diagnostics.uncertainty import Uncertainty
from tests.diagnostics.scripted import MODELS, scripted
from tests.diagnostics.seeing import seen

FAMILIES = {"mask": [10, 25, 50, 75, 100], "crop": [10, 25, 50, 75]}
BASELINES = ["text", "blank", "knock"]
TESTS = {
    "dependency": Dependency(margin_bits=0.01),
    "perturbation": Perturbation(families=FAMILIES, primary="mask_25", margin=0.02, samples=100),
    "information": Information(baselines=BASELINES, margin_bits=0.02),
    "uncertainty": Uncertainty(baselines=BASELINES, margin=0.01, dependency_margin_bits=0.01),
}
FEW = 40  # copies of a cell: 640 independent samples, which show that a mean is below .01
MANY = 250  # copies of a cell that tell a mean of .036 bits, of sd .52, from a margin of .02

# columns: total variation, Jensen-Shannon bits, logit distance, J bits, share of flips
DEPENDENCY = {
    "M0": (0, 0, 0, 0, 0),
    "M1": (0, 0, 0, 0, 0),
    "M2": (2 / 3, 0.4425, 1.5537, 0.7925, 1),
    "M3": (0.7176, 0.5519, 2.3305, 1.0279, 1),
    "M3e": (0.4571, 0.2719, 1.5537, 0.4786, 1),
    "M4": (2 / 3, 0.4425, 1.5537, 0.7925, 1),
    "M5": (0, 0, 0, 0, 0),
    "M6": (0, 0, 0, 0, 0),
}
# S with 75 %, 50 % and none of the image evidence left
PERTURBATION = {
    "M0": (0, 0, 0),
    "M1": (0, 0, 0),
    "M2": (0.1160, 0.25, 0.5),
    "M3": (0.1478, 0.3043, 0.5298),
    "M3e": (0.1030, 0.1929, 0.3286),
    "M4": (0.1160, 0.25, 0.5),
    "M5": (0, 0, 0),
    "M6": (0, 0, 0),
}
# mean dH, share of dH > 0, mean KL, mean label gain
INFORMATION = {
    "M0": (0, 0, 0, 0),
    "M1": (0, 0, 0, 0),
    "M2": (0.7925, 1, 0.7925, 1.5850),
    "M3": (0.3399, 1, 1.3715, 2.4183),
    "M3e": (0.0360, 0.25, 0.5795, 1.9154),
    "M4": (0.7925, 1, 0.7925, 1.5850),
    "M5": (-0.5850, 0, 0.2075, 0.6038),
    "M6": (0.9286, 1, 0.2494, -2.0149),
}
# C without and with the picture, mean dC, share of dC >= 0
UNCERTAINTY = {
    "M0": (0.25, 0.25, 0, 1),
    "M1": (0.75, 0.75, 0, 1),
    "M2": (0.25, 0.75, 0.5, 1),
    "M3": (0.75, 0.7798, 0.0298, 0.25),
    "M3e": (0.75, 0.5786, -0.1714, 0.25),
    "M4": (0.25, 0.75, 0.5, 1),
    "M5": (0.75, 0.5, -0.25, 0),
    "M6": (0.75, 0.9643, 0.2143, 1),
}
# statistical and strict verdicts
VERDICTS = {
    "dependency": {
        **dict.fromkeys(("M0", "M1", "M5", "M6"), ("FAIL", "FAIL")),
        **dict.fromkeys(("M2", "M3", "M3e", "M4"), ("PASS", "PASS")),
    },
    "perturbation": {
        **dict.fromkeys(("M0", "M1", "M5", "M6"), ("FAIL", "FAIL")),
        **dict.fromkeys(("M2", "M3", "M3e", "M4"), ("PASS", "PASS")),
    },
    "information": {
        **dict.fromkeys(("M0", "M1", "M5"), ("FAIL", "FAIL")),
        **dict.fromkeys(("M2", "M3", "M4"), ("PASS", "PASS")),
        "M3e": ("PASS", "FAIL"),
        "M6": ("FAIL", "PASS"),
    },
    "uncertainty": {
        **dict.fromkeys(("M0", "M1", "M6"), ("VACUOUS", "VACUOUS")),
        **dict.fromkeys(("M2", "M4"), ("PASS", "PASS")),
        **dict.fromkeys(("M3", "M3e", "M5"), ("FAIL", "FAIL")),
    },
}
CASES = [(test, model) for test in TESTS for model in MODELS]


@cache
def finding(test: str, model: str) -> Finding:
    many = (test, model) == ("information", "M3e")
    return TESTS[test].judge(seen(scripted(model, MANY if many else FEW)))


def values(test: str, model: str, *names: str) -> list[float]:
    metrics = finding(test, model).metrics
    return [metrics[name].value for name in names]


@pytest.mark.parametrize(("test", "model"), CASES)
def test_verdicts(test: str, model: str) -> None:
    found = finding(test, model)
    assert (found.verdict, found.strict) == VERDICTS[test][model], found.reason


@pytest.mark.parametrize("model", MODELS)
def test_other_pictures(model: str) -> None:
    names = (
        "total_variation",
        "jsd_bits",
        "logit_distance_nats",
        "mutual_information_bits",
        "flips",
    )
    assert values("dependency", model, *names) == pytest.approx(DEPENDENCY[model], abs=1e-4)
    assert finding("dependency", model).metrics["images"] == 4


@pytest.mark.parametrize("model", MODELS)
def test_perturbed_pictures(model: str) -> None:
    names = ("mask_25", "mask_50", "mask_100")
    assert values("perturbation", model, *names) == pytest.approx(PERTURBATION[model], abs=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_bits_from_the_picture(model: str) -> None:
    names = ("entropy_gain_bits", "gaining", "surprise_bits", "label_gain_bits")
    assert values("information", model, *names) == pytest.approx(INFORMATION[model], abs=1e-4)
    gap = values("information", model, "coherence_gap_bits", "surprise_bits", "entropy_gain_bits")
    assert gap[0] == pytest.approx(gap[1] - gap[2], abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_confidence(model: str) -> None:
    names = ("confidence_without", "confidence", "confidence_gain", "consistency")
    assert values("uncertainty", model, *names) == pytest.approx(UNCERTAINTY[model], abs=1e-4)


def test_perceptual_score_shares_ties() -> None:
    names = ("accuracy", "accuracy_swap")
    assert values("dependency", "M2", *names) == pytest.approx([1, 0])
    assert values("dependency", "M1", *names) == pytest.approx([0.25, 0.25])
    assert values("dependency", "M0", *names) == pytest.approx([0.25, 0.25])


def test_presence_passes_without_the_gates_only() -> None:
    for test in ("information", "uncertainty"):
        series = finding(test, "M6").series
        assert series["ungated"]["text"] == "PASS"
        assert series["gate"] == "FAIL"
    assert finding("information", "M6").metrics["baseline_dependent"] == 1
    assert finding("information", "M6").series["ungated"]["blank"] == "FAIL"


def test_severity_curve_of_the_image_model() -> None:
    """S(s) = 3/4 - 9^(1-s) / (9^(1-s) + 3), whose trapezoids are worked out here by hand."""
    shares = [0, 0.1, 0.25, 0.5, 0.75, 1]
    curve = [3 / 4 - 9 ** (1 - s) / (9 ** (1 - s) + 3) for s in shares]
    steps = zip(shares, shares[1:], curve, curve[1:], strict=False)
    area = sum((right - left) * (low + high) / 2 for left, right, low, high in steps)
    found = finding("perturbation", "M2")
    assert found.series["families"]["mask"]["mean"] == pytest.approx(curve[1:])
    assert found.metrics["area_mask"].value == pytest.approx(area)
    assert found.metrics["monotonicity_mask"] == pytest.approx(1)
    assert found.metrics["trend_p_value_mask"] < 1e-10
    assert finding("perturbation", "M1").metrics["monotonicity_mask"] is None
    assert finding("perturbation", "M1").metrics["trend_p_value_mask"] == pytest.approx(0.5)


def test_calibration_of_known_models() -> None:
    """Uniform answers are right one time in four; the image model is always right, at .75."""
    assert finding("uncertainty", "M0").metrics["calibration_error"] == pytest.approx(0)
    assert finding("uncertainty", "M2").metrics["calibration_error"] == pytest.approx(0.25)
    assert finding("uncertainty", "M1").metrics["calibration_error"] == pytest.approx(0.5)
    assert values("uncertainty", "M2", "brier") == pytest.approx([(1 / 16 + 3 / 144) / 2])
    (point,) = finding("uncertainty", "M2").series["reliability"]["real"]
    assert (point["confidence"], point["accuracy"], point["n"]) == pytest.approx((0.75, 1, 640))
