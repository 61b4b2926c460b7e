"""Measures in accuracy and the additive projection, of models whose use of the image is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from omegaconf import OmegaConf

from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.paths import CONF
from solvent.core.types import CandidateScore, Prediction, Sample
from solvent.diagnostics.measures import Measures
from solvent.diagnostics.statistics.grid import Grid, additive, emap, grid_samples, read_grid
from tests.diagnostics.scripted import MODELS, scripted
from tests.diagnostics.seeing import seen

CONFIG = CONF / "diagnostic" / "measures.yaml"
SETTINGS = OmegaConf.to_container(OmegaConf.load(CONFIG))
TEST = Measures(**{name: value for name, value in SETTINGS.items() if name[0] != "_"})


@pytest.mark.parametrize(
    ("model", "real", "swap", "blind", "verdict"),
    [
        ("M0", 1 / 4, 1 / 4, 1 / 4, "FAIL"),
        ("M1", 1 / 4, 1 / 4, 1 / 4, "FAIL"),
        ("M2", 1, 0, 1 / 4, "PASS"),
        ("M3", 1, 0, 1 / 4, "PASS"),
        # Ties in 12 of 16 cells; another image ties with the right text in the other four.
        ("M3e", 5 / 8, 1 / 8, 1 / 4, "PASS"),
        ("M4", 1, 0, 1 / 4, "PASS"),
        ("M5", 1 / 4, 1 / 4, 1 / 4, "FAIL"),
        ("M6", 1 / 4, 1 / 4, 1 / 4, "FAIL"),
    ],
)
def test_accuracies(model: str, real: float, swap: float, blind: float, verdict: str) -> None:
    finding = TEST.judge(seen(scripted(model, repeats=20)))
    values = {
        "accuracy_real": real,
        "accuracy_swap": swap,
        "accuracy_text": blind,
        "perceptual_score": real - swap,
        "perceptual_score_of_accuracy": (real - swap) / real,
        "perceptual_score_of_majority": (real - swap) / (3 / 4),
        "multimodal_gain_over_text": real - blind,
        "multimodal_gain_over_knock": real - blind,
    }
    assert {name: finding.metrics[name].value for name in values} == pytest.approx(values)
    assert finding.verdict == verdict
    assert finding.strict == verdict


def test_a_missing_donor_is_no_failure_but_missing_numbers_are() -> None:
    answers = scripted("M2", repeats=4)
    scores = answers.scores["swap"].copy()
    scores[0] = np.nan
    swaps = {name: scores if "swap" in name else table for name, table in answers.scores.items()}
    without = TEST.judge(seen(replace(answers, scores=swaps)))
    assert (without.metrics["invalid"], without.verdict) == (0, "PASS")
    assert without.metrics["perceptual_score"].n == len(answers) - 1
    donors = ({"donor": "x"},) * len(answers)
    failed = TEST.judge(seen(replace(answers, scores=swaps, shown={"swap": donors})))
    assert (failed.metrics["invalid"], failed.verdict) == (1, "ERROR")  # 1 of 64


def table(model: str) -> Grid:
    """Image i with question j, of the 16 cells."""
    a, b = np.array(list(product(range(4), repeat=2))).T
    scores = MODELS[model](np.repeat(a, 16), np.tile(b, 16), 1.0, 1.0).reshape(16, 16, 4)
    gold = (a + b) % 4 if model == "M4" else a
    return Grid(scores=scores, gold=gold, clusters=np.arange(16), invalid=0)


@pytest.mark.parametrize(
    ("model", "shares", "accuracy", "projected", "information"),
    [
        ("M1", (0, 1, 0), 1 / 4, 1 / 4, 0),
        ("M2", (1, 0, 0), 1, 1, 0.7925),
        ("M3", (0.6923, 0.3077, 0), 1, 1, 1.0279),  # 9 : 4, the squares of ln 27 and ln 9
        ("M3e", (0.5, 0.5, 0), 5 / 8, 5 / 8, 0.4786),
        ("M4", (0, 0, 1), 1, 1 / 4, 0.7925),
        ("M5", (0, 1, 0), 1 / 4, 1 / 4, 0),
        ("M6", (0, 1, 0), 1 / 4, 1 / 4, 0),
    ],
)
def test_additive_projection(
    model: str,
    shares: tuple[float, float, float],
    accuracy: float,
    projected: float,
    information: float,
) -> None:
    found = emap(table(model))
    assert found.image_share.value == pytest.approx(shares[0], abs=1e-4)
    assert found.text_share.value == pytest.approx(shares[1], abs=1e-4)
    assert found.interaction_share.value == pytest.approx(shares[2], abs=1e-4)
    assert found.accuracy.value == pytest.approx(accuracy)
    assert found.emap_accuracy.value == pytest.approx(projected)
    assert found.accuracy_of_interaction.value == pytest.approx(accuracy - projected)
    assert found.information_bits.value == pytest.approx(information, abs=1e-4)


def test_equal_logits_have_no_variance_to_share() -> None:
    assert emap(table("M0")).interaction_share is None


def test_the_projection_is_the_least_squares_fit() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 6, 1))
    rows = np.array([[*np.eye(5)[i], *np.eye(6)[j]] for i in range(5) for j in range(6)])
    fitted = rows @ np.linalg.lstsq(rows, logits.ravel())[0]
    assert additive(logits).ravel() == pytest.approx(fitted)


SAMPLES = Shapes(law="balanced", kinds=["colour"], questions=4, seed=0)()


def answer(sample: Sample, scores: list[float] | None) -> Prediction:
    return Prediction(
        uid=sample.uid,
        condition="grid",
        raw=None,
        scores=scores and tuple(CandidateScore(log_probability=s, tokens=1) for s in scores),
        parsed=None,
        gold=sample.gold,
        status="ok",
        credit=0.0,
        visual_mass=None,
        cells_edited=0,
        groups=sample.groups,
        tags=sample.tags,
    )


def test_a_grid_is_asked_and_read_back() -> None:
    pairs = grid_samples(SAMPLES)
    assert len(pairs) == len({pair.uid for pair in pairs}) == 16
    width = len(SAMPLES[0].options)
    numbers = np.random.default_rng(1).normal(size=(16, width))
    rows = [answer(pair, each.tolist()) for pair, each in zip(pairs, numbers, strict=True)]
    for place, pair in enumerate(pairs):
        assert pair.images == SAMPLES[place // 4].images
        assert (pair.text, pair.gold) == (SAMPLES[place % 4].text, SAMPLES[place % 4].gold)
        assert pair.shown["donor"] == SAMPLES[place // 4].uid
    grid = read_grid(SAMPLES, rows[::-1])
    assert np.array_equal(grid.scores.reshape(16, width), numbers)
    assert grid.gold.tolist() == [sample.gold for sample in SAMPLES]
    rows[6] = answer(pairs[6], None)  # image 1 with question 2
    smaller = read_grid(SAMPLES, rows)
    assert (smaller.scores.shape, smaller.invalid) == ((3, 3, width), 1)
    assert np.array_equal(smaller.scores, grid.scores[np.ix_([0, 1, 3], [0, 1, 3])])
    with pytest.raises(ValueError, match="the grid lacks"):
        read_grid(SAMPLES, rows[1:])


def test_a_grid_needs_samples_of_one_kind() -> None:
    with pytest.raises(ValueError, match="at least two samples"):
        grid_samples(SAMPLES[:1])
    other = replace(SAMPLES[1], options=("yes", "no"))
    with pytest.raises(ValueError, match="must share the options, found 2 kinds"):
        grid_samples([SAMPLES[0], other])
