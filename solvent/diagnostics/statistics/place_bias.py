"""Answers free of the preference for a place: every question asked with its options in all turns.

Axes: N samples (turns of questions), Q questions, K options of the question that has most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax, logsumexp

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.statistics.distances import total_variation

TURN = re.compile(r"(?P<question>.+)/rotation(?P<first>\d+)")
"""Turn k of a question begins with its option k; turn 0 has the question's own uid."""


def calibrated(answers: Answers) -> Answers:
    """One row per question: log-probabilities of each option's content, averaged over all turns.

    log P(c) is the mean over turns of log P_turn(c), renormalised. It takes away any preference for
    places that adds to the logits, exactly; a mean of probabilities would not. The probability that
    the answer is an option at all becomes its mean over turns. A question without numbers in one
    turn has none under that condition; one that has none in any turn was not asked.

    Source: Zheng et al. (2023), https://arxiv.org/abs/2309.03882 (cyclic permutations).

    Raises:
        ValueError: a question lacks a turn, or a condition asserts different options in its turns.
    """
    turns = _turns(answers)
    first = np.zeros(len(answers), dtype=bool)
    first[[rows[0] for rows in turns.values()]] = True
    kept = answers.take(first)
    return replace(
        kept,
        scores={name: _averaged(answers, name, turns) for name in answers.scores},
        shown={
            name: tuple(_fact(answers, name, rows) for rows in turns.values())
            for name in answers.shown
        },
    )


def position_spread(answers: Answers, condition: str) -> Float[np.ndarray, " Q"]:
    """Largest total variation between two turns of a question, in [0, 1]; NaN without numbers.

    Order of the questions: that of `calibrated`. 0 for a model that does not care about places.

    Raises:
        ValueError: a question lacks a turn.
    """
    table = answers.log_probabilities(condition)
    spreads = []
    for rows in _turns(answers).values():
        contents = np.exp(_contents(table, rows))
        shifts = range(1, len(rows) // 2 + 1)  # the others pair the same turns
        pairs = [total_variation(contents, np.roll(contents, k, axis=0)).max() for k in shifts]
        spreads.append(max(pairs, default=0.0))
    return np.array(spreads)


def _turns(answers: Answers) -> dict[str, list[int]]:
    """The rows of every question in the order of its turns; questions by their own row."""
    found: dict[str, dict[int, int]] = {}
    for row, uid in enumerate(answers.uids):
        turn = TURN.fullmatch(uid)
        question, first = (turn["question"], int(turn["first"])) if turn else (uid, 0)
        found.setdefault(question, {})[first] = row
    for question, rows in found.items():
        size = len(answers.options[min(rows.values())])
        if sorted(rows) != list(range(size)):
            raise ValueError(
                f"{question} was asked in turns {sorted(rows)}, but has {size} options and needs "
                f"as many; set benchmark.circular=true and run it again"
            )
    ordered = sorted(found.items(), key=lambda item: item[1][0])
    return {question: [rows[k] for k in range(len(rows))] for question, rows in ordered}


def _contents(table: Float[np.ndarray, "N K"], rows: list[int]) -> Float[np.ndarray, "k k"]:
    """Every turn of a question (lines) in the order of the question's own options."""
    return np.stack([np.roll(table[row, : len(rows)], turn) for turn, row in enumerate(rows)])


def _averaged(
    answers: Answers, condition: str, turns: Mapping[str, list[int]]
) -> Float[np.ndarray, "Q K"]:
    table = answers.log_probabilities(condition)
    mass = logsumexp(answers.scores[condition], axis=1)  # as a logarithm: exp(-746) would be 0
    scores = np.full((len(turns), table.shape[1]), -np.inf)
    for question, rows in enumerate(turns.values()):
        if np.isnan(answers.scores[condition][rows]).all():  # it was not asked at all
            scores[question] = np.nan
            continue
        mean = log_softmax(_contents(table, rows).mean(axis=0))
        scores[question, : len(rows)] = mean + logsumexp(mass[rows]) - np.log(len(rows))
    return scores


def _fact(answers: Answers, condition: str, rows: list[int]) -> Mapping[str, str]:
    """What the condition did in turn 0; an option it names must be the same in all turns."""
    facts = answers.shown[condition]
    meant = {
        (int(facts[row]["asserted"]) + turn) % len(rows)
        for turn, row in enumerate(rows)
        if "asserted" in facts[row]
    }
    if len(meant) > 1:
        raise ValueError(
            f"{answers.uids[rows[0]]}: {condition} asserts different options in the turns of one "
            f"question ({sorted(meant)}); it must choose by content to be averaged"
        )
    return facts[rows[0]]
