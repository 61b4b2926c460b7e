"""Averaging over turns takes away the preference for places, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from solvent.benchmarks.rotations import rotated
from solvent.core.types import Sample
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.statistics.place_bias import calibrated, position_spread
from solvent.diagnostics.statistics.screening import attempted
from tests.diagnostics.scripted import MODELS, scripted

LETTERS = np.log([0.4, 0.3, 0.2, 0.1])  # additive preference for A, B, C, D


def turned(answers: Answers, bias: np.ndarray) -> Answers:
    """Every question in all turns, as the benchmark asks them, by a model that likes letters."""
    samples = [
        Sample(uid=uid, images=(), text="", options=options, gold=int(gold))
        for uid, options, gold in zip(answers.uids, answers.options, answers.gold, strict=True)
    ]
    rows = rotated(samples)
    source = [answers.uids.index(row.groups["circular"]) for row in rows]
    content = [
        [answers.options[place].index(option) for option in row.options]
        for place, row in zip(source, rows, strict=True)
    ]
    pick = np.array(source)[:, None], np.array(content)
    scores = {
        name: log_softmax(table[pick] + bias, axis=1) + np.log(0.5)  # half is no option at all
        for name, table in answers.scores.items()
    }
    shown = {
        name: tuple(
            {key: str(order.index(int(value))) for key, value in facts[place].items()}
            for place, order in zip(source, content, strict=True)
        )
        for name, facts in answers.shown.items()
    }
    return Answers(
        uids=tuple(row.uid for row in rows),
        options=tuple(row.options for row in rows),
        gold=np.array([row.gold for row in rows]),
        clusters=answers.clusters[source],
        tags=tuple(answers.tags[place] for place in source),
        scores=scores,
        shown=shown,
        image_tokens={name: counts[source] for name, counts in answers.image_tokens.items()},
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_letter_bias_disappears(model: str) -> None:
    answers = scripted(model, repeats=1)
    biased = turned(answers, LETTERS)
    assert len(biased) == 4 * len(answers)
    once = calibrated(biased)
    assert (once.uids, once.options, once.tags) == (answers.uids, answers.options, answers.tags)
    assert once.gold.tolist() == answers.gold.tolist()
    for condition in answers.scores:
        assert once.probabilities(condition) == pytest.approx(
            answers.probabilities(condition), abs=1e-10
        )
        assert once.validity_mass(condition) == pytest.approx(0.5)
    assert once.shown == answers.shown


def test_logarithms_are_averaged_not_probabilities() -> None:
    answers = one_question([np.array([1.2, 0, -0.5, 0.3])])
    biased = turned(answers, LETTERS)
    first = np.exp(1.2) / np.exp([1.2, 0, -0.5, 0.3]).sum()
    assert first == pytest.approx(0.5290, abs=5e-5)
    assert calibrated(biased).probabilities("real")[0, 0] == pytest.approx(first, abs=1e-10)
    assert biased.probabilities("real")[0, 0] == pytest.approx(0.7048, abs=5e-5)  # one order
    by_content = np.array(
        [np.roll(row, turn) for turn, row in enumerate(biased.probabilities("real"))]
    )
    assert by_content[:, 0].mean() == pytest.approx(0.5025, abs=5e-5)
    spread = max(
        np.abs(one - other).sum() / 2 for one in by_content for other in by_content
    )  # every pair of turns
    assert position_spread(biased, "real") == pytest.approx([spread])
    assert position_spread(turned(answers, np.zeros(4)), "real") == pytest.approx([0])


def one_question(scores: list[np.ndarray]) -> Answers:
    return Answers(
        uids=("a",),
        options=(("p", "q", "r", "s"),),
        gold=np.array([0]),
        clusters=np.array([0]),
        tags=({},),
        scores={"real": log_softmax(np.array(scores), axis=1)},
        shown={"real": ({},)},
        image_tokens={"real": np.array([16])},
    )


def test_a_turn_without_numbers_leaves_none() -> None:
    biased = turned(scripted("M3", repeats=1), LETTERS)
    scores = biased.scores["swap"].copy()
    scores[5] = np.nan
    once = calibrated(replace(biased, scores={**biased.scores, "swap": scores}))
    assert once.valid("real").all()
    assert np.flatnonzero(~once.valid("swap")).tolist() == [1]


def test_a_question_that_a_condition_does_not_show_was_not_asked() -> None:
    """It has fewer options than another one, of which the table has nothing either."""
    answers = scripted("M3", repeats=1)
    two = answers.take(np.arange(len(answers)) < 1)
    two = replace(two, scores={name: table[:, :2] for name, table in two.scores.items()})
    two = turned(replace(two, options=(answers.options[0][:2],), gold=np.array([0])), np.zeros(2))
    wide = np.full((2, 4), -np.inf)
    wide[:, :2] = two.scores["real"]
    none = np.full((2, 4), np.nan)
    once = calibrated(replace(two, scores={"real": wide, "swap": none}, shown={"swap": ({}, {})}))
    assert once.valid("real").all()
    assert not attempted(once, "swap").any()


def test_missing_turns_and_moved_assertions_are_refused() -> None:
    biased = turned(scripted("M3", repeats=1), LETTERS)
    with pytest.raises(ValueError, match=r"turns \[0, 1, 3\], but has 4 options"):
        calibrated(biased.take(np.arange(len(biased)) != 2))
    fixed = tuple({"asserted": "1"} for _ in biased.uids)
    with pytest.raises(ValueError, match="mislead asserts different options"):
        calibrated(replace(biased, shown={"mislead": fixed}))


def test_options_that_are_next_to_impossible_keep_their_probabilities() -> None:
    """A long answer may have a log-probability of which the exponential is 0."""
    answers = turned(scripted("M3", repeats=1), LETTERS)
    far = {name: table - 800 for name, table in answers.scores.items()}
    found, near = calibrated(replace(answers, scores=far)), calibrated(answers)
    for name in answers.scores:
        assert found.scores[name] == pytest.approx(near.scores[name] - 800)
