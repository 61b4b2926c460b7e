"""Visual information gain: what the image adds to the likelihood of the right answer, by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import SHARE
from solvent.core.plotting import COLOURS, draw_estimate, draw_nothing
from solvent.core.types import Facts, Prediction
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import PREDICTIONS, Finding, Seen, UsageTest, measured
from solvent.diagnostics.statistics.distances import jensen_shannon_bits
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    estimate_ratio,
    largest,
    p_above,
    weakest,
)
from solvent.diagnostics.statistics.screening import screen
from solvent.diagnostics.swaps import probability_gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUR, ABSENT, SWAP = "blur", "text", "swap"
GAIN, CONTRAST = "gain_bits_per_token", "own_minus_swap_bits_per_token"


@dataclass(frozen=True, kw_only=True)
class TokenGain(UsageTest):
    """log2 P(right answer | image) - log2 P(right answer | blurred image), by answer and by token.

    P is the model's own probability of the answer's tokens, turn terminator included, over all that
    it could say, not over the options. Scores are stored by answer, so that the gain of each token
    of one answer is not known: `gain_bits_per_token` is the gain of an answer over its number of
    tokens, averaged over answers, and `gain_bits_of_all_tokens` that of all answers over all their
    tokens. The same is said of the mean of the wrong options, of no image instead of a blurred one,
    and of another image.

    PASS: the gain is surely above the margin, and the own image is surely worth more than another
    one. A model that only notices that there is an image gains as much from any: VACUOUS then, and
    where nothing is gained from any, FAIL.

    Source: https://arxiv.org/abs/2602.17186 (log-perplexity given a blurred image minus that given
    the image; .923 for the right image, .409 for partly wrong, -.520 for contradictory ones).
    """

    margin_bits: float
    dependency_margin_bits: float
    name: ClassVar[str] = "token_gain"
    facts: ClassVar[Facts] = Facts(
        asks="Does a sharp image make the right answer likelier?",
        number=GAIN,
        unit="bit per token",
        neutral=0.0,
        place=None,
    )
    watches: ClassVar[Mapping[str, Sequence[str]]] = {PREDICTIONS: (REFERENCE,)}

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return (REFERENCE, BLUR, ABSENT, SWAP)

    def judge(self, seen: Seen) -> Finding:
        """Gains in bits."""
        screened = screen(seen.answers, (REFERENCE, BLUR), (ABSENT, SWAP))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers
        tokens = _tokens(answers, seen.predictions[REFERENCE])
        right = {name: _right(answers, name) for name in self.conditions}
        gains = {
            "gain_bits": right[REFERENCE] - right[BLUR],
            "gain_over_absent_bits": right[REFERENCE] - right[ABSENT],
            "own_minus_swap_bits": right[REFERENCE] - right[SWAP],
            "swap_gain_bits": right[SWAP] - right[BLUR],
        }
        columns = gains | {f"{name}_per_token": each / tokens for name, each in gains.items()}
        columns["wrong_gain_bits"] = _wrong(answers, REFERENCE) - _wrong(answers, BLUR)
        columns["tokens"] = tokens
        columns["swap_bits"] = probability_gap(answers, jensen_shannon_bits)(SWAP)
        clusters = answers.clusters
        metrics: dict[str, Estimate | float | int | None] = {
            **screened.counts,
            **estimate_columns(columns, clusters, {"swap_bits": SHARE}),
            "gain_bits_of_all_tokens": estimate_ratio(gains["gain_bits"], tokens, clusters),
            "p_value": self._p_value(columns, answers),
        }
        verdict = self._verdict(metrics)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict="PASS" if (gains["gain_bits"] > 0).all() else "FAIL",
            reason=self._reason(metrics),
            metrics=metrics,
            series={},
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """What the own image and another one add, by token of the right answer."""
        metrics = finding["metrics"]
        shown = {"own image": GAIN, "another image": "swap_gain_bits_per_token"}
        shown = {label: name for label, name in shown.items() if metrics.get(name)}
        if not shown:
            draw_nothing(axes)
            return
        for place, name in enumerate(shown.values()):
            draw_estimate(axes, place, metrics[name], COLOURS[place])
        axes.axvline(0, color="grey", linestyle=":", linewidth=1)
        axes.set_yticks(range(len(shown)), list(shown))
        axes.set(ylim=(-1, len(shown)), xlabel="bit per token, over a blurred image")

    def _p_value(
        self, columns: Mapping[str, Float[np.ndarray, " N"]], answers: Answers
    ) -> float | None:
        """Of both claims: the larger one."""
        found = []
        for name in (GAIN, CONTRAST):
            known = np.isfinite(columns[name])
            values, clusters = columns[name][known], answers.clusters[known]
            found.append(p_above(values, clusters, self.margin_bits, None))
        return largest(*found)

    def _verdict(self, metrics: Mapping[str, Any]) -> Verdict:
        gain, own = (decide(metrics[name], self.margin_bits) for name in (GAIN, CONTRAST))
        if own == "FAIL" or decide(metrics["swap_bits"], self.dependency_margin_bits) == "FAIL":
            return "VACUOUS" if gain == "PASS" else "FAIL"
        return "INCONCLUSIVE" if own == "NOT APPLICABLE" else weakest(gain, own)

    def _reason(self, metrics: Mapping[str, Any]) -> str:
        gain, own = metrics[GAIN], metrics[CONTRAST]
        said = f"A sharp image adds {measured(gain, 'bit')} per token of the right answer"
        if own is None:
            return f"{said}; what another image would add is not known, as no sample has one."
        return (
            f"{said}, and {measured(own, 'bit')} more than another image, against a margin of "
            f"{self.margin_bits:g}."
        )


def _right(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    """log2 of the probability of the right answer; NaN where the condition lacks the sample."""
    scores = answers.scores.get(condition)
    if scores is None:
        return np.full(len(answers), np.nan)
    found = scores[np.arange(len(answers)), answers.gold] / np.log(2)
    return np.where(np.isfinite(found), found, np.nan)


def _wrong(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    """Mean log2 of the probability of the wrong options."""
    scores = np.where(np.isfinite(answers.scores[condition]), answers.scores[condition], np.nan)
    scores[np.arange(len(answers)), answers.gold] = np.nan
    return np.nanmean(scores, axis=1) / np.log(2)


def _tokens(answers: Answers, rows: Sequence[Prediction]) -> Float[np.ndarray, " N"]:
    """Number of tokens of every right answer."""
    counts = {
        row.uid: row.scores[row.gold].tokens
        for row in rows
        if row.scores is not None and isinstance(row.gold, int)
    }
    return np.array([counts[uid] for uid in answers.uids], dtype=float)
