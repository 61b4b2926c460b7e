"""Published measures of what the image is worth in accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.core.plotting import COLOURS, draw_estimate
from solvent.core.types import Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.statistics.distances import top_set
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, estimate_columns
from solvent.diagnostics.statistics.ratios import function_of_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Measures(UsageTest):
    """Perceptual score and multimodal gain, in differences of accuracy in [-1, 1].

    Perceptual score = accuracy(real) - accuracy(swap), also as a share of accuracy(real), and of
    1 - majority, the accuracy of the most frequent right answer, taken as known. Multimodal gain =
    accuracy(real) - accuracy(no image), for every way to have none. A right option that ties with
    others counts 1 / ties. The verdict says whether the perceptual score is surely above the
    margin; the strict one, whether the own image beats the swapped ones in every sample.

    Sources: Gat, Schwartz and Schwing (2021), Perceptual Score, https://arxiv.org/abs/2110.14375;
    Chen et al. (2024), MMStar, https://arxiv.org/abs/2403.20330.
    """

    margin: float
    swaps: Sequence[str]
    blinds: Sequence[str]
    most_invalid: float
    name: ClassVar[str] = "measures"
    facts: ClassVar[Facts] = Facts(
        asks="Is it right more often with its own image?",
        number="perceptual_score",
        unit="accuracy gained",
        neutral=0.0,
        place=9,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        return (REFERENCE, *self.blinds, *self.swaps)

    def judge(self, seen: Seen) -> Finding:
        """Accuracies and their differences."""
        answers = seen.answers
        own = self._credit(answers, REFERENCE)
        blind = {name: self._credit(answers, name) for name in self.blinds}
        swapped = _mean_there(np.stack([self._credit(answers, each) for each in self.swaps]))
        bad = np.isnan(own) | np.isnan(blind[self.blinds[0]]) | self._failed_swaps(answers)
        pair, both = np.column_stack([own, swapped]), np.isfinite(own) & np.isfinite(swapped)
        majority = _majority(answers)
        clusters = answers.clusters
        columns = {
            "accuracy_real": own,
            "accuracy_swap": swapped,
            **{f"accuracy_{name}": each for name, each in blind.items()},
            "perceptual_score": own - swapped,
            **{f"multimodal_gain_over_{name}": own - each for name, each in blind.items()},
        }
        if majority < 1:
            columns["perceptual_score_of_majority"] = (own - swapped) / (1 - majority)
        metrics: Metrics = {
            "n": len(answers),
            "invalid": int(bad.sum()),
            "majority": majority,
            **estimate_columns(columns, clusters, BOUNDS),
            "perceptual_score_of_accuracy": function_of_means(
                pair[both], clusters[both], lambda mean: 1 - mean[:, 1] / mean[:, 0]
            ),
        }
        verdict = decide(metrics["perceptual_score"], self.margin)
        if bad.sum() > self.most_invalid * len(answers):
            verdict = "ERROR"
        strict: Verdict = "PASS" if (own > swapped)[both].all() else "FAIL"
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=verdict if verdict in ("ERROR", "NOT APPLICABLE") else strict,
            reason=_reason(verdict, metrics),
            metrics=metrics,
            series={},
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Accuracies under all conditions."""
        found = finding["metrics"]
        names = [name for name in found if name.startswith("accuracy_") and found[name]]
        for place, name in enumerate(names):
            draw_estimate(axes, place, found[name], COLOURS[0])
        axes.set_yticks(range(len(names)), [name.removeprefix("accuracy_") for name in names])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.02), xlabel="accuracy")

    def _credit(self, answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
        if condition not in answers.scores:
            return np.full(len(answers), np.nan)
        valid = answers.valid(condition)
        credits = shared_credit(answers.log_probabilities(condition), answers.gold)
        return np.where(valid, credits, np.nan)

    def _failed_swaps(self, answers: Answers) -> Bool[np.ndarray, " N"]:
        """Samples that got a donor and then no numbers; those without a donor did not fail."""
        failed = np.zeros(len(answers), dtype=bool)
        for swap in self.swaps:
            if swap in answers.shown:
                asked = np.array(["donor" in facts for facts in answers.shown[swap]])
                failed |= asked & ~answers.valid(swap)
        return failed


BOUNDS = MappingProxyType(
    {
        "accuracy": SHARE,
        "perceptual_score": DIFFERENCE,
        "perceptual_score_of_majority": None,  # may leave them
        "multimodal_gain": DIFFERENCE,
    }
)


def shared_credit(
    log_probabilities: Float[np.ndarray, "N K"], gold: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """1 where the right option is the likeliest one, 1 / ties where others tie with it, else 0."""
    top = top_set(log_probabilities)
    with np.errstate(invalid="ignore"):
        return top[np.arange(len(gold)), gold] / top.sum(axis=1)


def _mean_there(values: Float[np.ndarray, "M N"]) -> Float[np.ndarray, " N"]:
    """Mean of the values that are there; NaN without any."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0)


def _majority(answers: Answers) -> float:
    """Share of samples whose right answer has the most frequent wording."""
    words = Counter(
        options[gold] for options, gold in zip(answers.options, answers.gold, strict=True)
    )
    return max(words.values()) / len(answers)


def _reason(verdict: Verdict, metrics: Metrics) -> str:
    if verdict == "ERROR":
        return f"{metrics['invalid']} of {metrics['n']} samples have scores that are not numbers"
    score = metrics["perceptual_score"]
    if score is None:
        return "no sample was shown another picture"
    return f"accuracy falls by {score.value:.3f} {score.interval} when another picture is shown"
