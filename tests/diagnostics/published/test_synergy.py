"""The four parts of the answer's bits, of models whose use of image and text is known."""

from __future__ import annotations

import numpy as np
import pytest
from omegaconf import OmegaConf

from solvent.core.paths import CONF
from solvent.diagnostics.published.synergy import ATOMS, Synergy, decomposed
from tests.diagnostics.scripted import MODELS, scripted
from tests.diagnostics.seeing import seen

SETTINGS = OmegaConf.to_container(OmegaConf.load(CONF / "diagnostic" / "synergy.yaml"))
TEST = Synergy(**{name: value for name, value in SETTINGS.items() if name[0] != "_"})
GAIN, LOSS = np.log2(3), -np.log2(3)  # of 3/4 and of 1/12 over 1/4
# Unique image, unique text, shared, synergy. Text alone gains in 4 cells of 16, and loses in 12.
BOTH = [np.log2(4 * p) for p in (243 / 246, 27 / 38)]  # M3 with image and text, congruent or not
IMAGE = np.log2(4 * 27 / 30)
PARTS = {
    "M0": (0, 0, 0, 0),
    "M1": (0, (GAIN + 3 * LOSS) / 4, 0, 0),
    "M2": (GAIN, 0, 0, 0),
    # Congruent: all gain and together they gain less than their sum, which is shared. In conflict
    # the text loses, so that nothing is shared.
    "M3": (
        (IMAGE - (IMAGE + GAIN - BOTH[0]) + 3 * IMAGE) / 4,
        (GAIN - (IMAGE + GAIN - BOTH[0]) + 3 * LOSS) / 4,
        (IMAGE + GAIN - BOTH[0]) / 4,
        3 * (BOTH[1] - IMAGE - LOSS) / 4,
    ),
    "M4": (0, 0, 0, GAIN),
}


@pytest.mark.parametrize("model", PARTS)
def test_parts_are_those_of_a_hand_computation(model: str) -> None:
    metrics = TEST.judge(seen(scripted(model, repeats=4))).metrics
    assert [metrics[name].value for name in ATOMS] == pytest.approx(PARTS[model], abs=1e-9)


def test_parts_add_up_and_what_needs_the_image_is_both_minus_text() -> None:
    generator = np.random.default_rng(0)
    nothing, image, text, both = generator.normal(-2, 1, size=(4, 1000))
    parts = decomposed(nothing, image, text, both)
    np.testing.assert_allclose(sum(parts.values()), both - nothing)
    needs = parts["unique_image_bits"] + parts["synergy_bits"]
    np.testing.assert_allclose(needs, both - text)
    np.testing.assert_allclose(
        decomposed(nothing, text, image, both)["unique_image_bits"], parts["unique_text_bits"]
    )


VERDICTS = dict.fromkeys(("M2", "M3", "M3e", "M4"), "PASS") | {"M6": "FAIL"}


@pytest.mark.parametrize("model", MODELS)
def test_verdicts(model: str) -> None:
    """M0, M1 and M5 have nothing of their own picture, exactly, and of values without bounds that
    never differ nothing can be said. M5 answers at random as soon as there is a picture, which
    takes from it where the text is wrong: bits that need a picture, whichever it is.
    """
    found = TEST.judge(seen(scripted(model, repeats=10, spread=0.02)))
    assert found.verdict == VERDICTS.get(model, "INCONCLUSIVE"), found.reason
    if model == "M5":
        assert found.metrics["needs_image_bits"].lower > 0.4
        assert found.metrics["own_minus_other_bits"].value == pytest.approx(0)


def test_options_without_a_probability_are_counted() -> None:
    answers = scripted("M2", repeats=10)
    answers.scores["nothing"][:16, :] = -np.inf
    found = TEST.judge(seen(answers))
    assert (found.verdict, found.metrics["invalid"]) == ("ERROR", 16)
