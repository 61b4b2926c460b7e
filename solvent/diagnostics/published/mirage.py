"""Mirage: how much of the accuracy is there without the image?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.core.plotting import COLOURS, draw_estimate, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.measures import shared_credit
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, estimate_columns
from solvent.diagnostics.statistics.ratios import function_of_means
from solvent.diagnostics.statistics.screening import screen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SILENT, TOLD = "text", "guess"
BOUNDS = MappingProxyType(
    {"accuracy": SHARE, "clean": SHARE, "right_with": SHARE, "silent_minus_told": DIFFERENCE}
)

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Mirage(UsageTest):
    """Accuracy without the image, which is missing in silence, or the text asks to guess.

    kept = accuracy(no image) / accuracy(real), lost = 1 - kept; clean = share of the questions that
    are not answered right without the image, neither in silence nor told to guess. Right options
    that tie count 1 / ties. Luck keeps something too: of K options a guess keeps 1/K, so that
    `kept_beyond_luck` compares (accuracy - 1/K). `clean` names the questions, for a benchmark of
    those that text cannot answer; it leaves out what one lucky guess got right.

    PASS: in silence and told to guess, surely more than the margin of the accuracy is lost. Where
    the two disagree, the verdict depends on how the image is missing: INCONCLUSIVE.

    Source: https://arxiv.org/abs/2603.21687, where models keep 70 to 80 % on medical and general
    benchmarks, and less when they are told to guess.
    """

    margin: float
    name: ClassVar[str] = "mirage"
    facts: ClassVar[Facts] = Facts(
        asks="Is its accuracy lost without the image?",
        number="lost_in_silence",
        unit="share of accuracy",
        neutral=0.0,
        place=None,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return (REFERENCE, SILENT, TOLD)

    def judge(self, seen: Seen) -> Finding:
        """Accuracies, what is kept, and which questions are clean."""
        screened = screen(seen.answers, (REFERENCE, SILENT, TOLD))
        if screened.verdict:
            return screened.finding(self.name)
        answers, clusters = screened.answers, screened.answers.clusters
        real, silent, told = (_credit(answers, name) for name in self.conditions)
        clean = (1 - silent) * (1 - told)
        luck = 1 / answers.sizes
        columns = {
            "accuracy_real": real,
            "accuracy_in_silence": silent,
            "accuracy_told": told,
            "silent_minus_told": silent - told,
            "clean": clean,
            "clean_in_silence": 1 - silent,
            "right_with_image_of_clean": np.where(clean > 0, real, np.nan),
        }
        metrics: Metrics = {
            **screened.counts,
            **estimate_columns(columns, clusters, BOUNDS),
            "chance": float(luck.mean()),
        }
        for name, credit in (("in_silence", silent), ("told", told)):
            pair, beyond = (np.column_stack([credit, real]) - each for each in (0, luck[:, None]))
            metrics[f"kept_{name}"] = function_of_means(pair, clusters, _kept)
            metrics[f"lost_{name}"] = function_of_means(pair, clusters, lambda m: 1 - _kept(m))
            metrics[f"kept_beyond_luck_{name}"] = function_of_means(beyond, clusters, _kept)
        verdict = self._verdict(metrics)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict="NOT APPLICABLE",
            reason=self._reason(metrics),
            metrics=metrics,
            series={
                "clean": [uid for uid, each in zip(answers.uids, clean, strict=True) if each == 1]
            },
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Accuracies with the image, without it in silence, and told to guess."""
        metrics = finding["metrics"]
        names = [f"accuracy_{each}" for each in ("real", "in_silence", "told")]
        if not all(metrics.get(name) for name in names):
            draw_nothing(axes)
            return
        for place, name in enumerate(names):
            draw_estimate(axes, place, metrics[name], COLOURS[0])
        axes.axvline(metrics["chance"], color="grey", linestyle=":", linewidth=1)
        axes.set_yticks(range(3), ["with the image", "without", "told to guess"])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.02), xlabel="accuracy")

    def _verdict(self, metrics: Metrics) -> Verdict:
        silent, told = (decide(metrics[name], self.margin) for name in LOST)
        return silent if silent == told else "INCONCLUSIVE"

    def _reason(self, metrics: Metrics) -> str:
        silent, told = (metrics[name] for name in LOST)
        if silent is None or told is None:
            return "Nothing is answered right with the image, so that nothing can be lost."
        return (
            f"Without the image a share of {measured(silent)} of the accuracy is lost in silence, "
            f"and {measured(told)} when told to guess, against a margin of {self.margin:g}; "
            f"{metrics['clean'].value:.3f} {metrics['clean'].interval} of the questions are clean."
        )


LOST: Sequence[str] = ("lost_in_silence", "lost_told")


def _credit(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    return shared_credit(answers.log_probabilities(condition), answers.gold)


def _kept(means: Float[np.ndarray, "R 2"]) -> Float[np.ndarray, " R"]:
    return means[:, 0] / means[:, 1]
