"""Uncertainty reduction: is the model at least as sure with the picture as without it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import DIFFERENCE, SHARE, Bounds
from solvent.core.plotting import COLOURS, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.statistics.distances import flips
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate,
    estimate_columns,
    largest,
    p_above,
    proportion,
    weakest,
)
from solvent.diagnostics.statistics.floors import PLACEBOS, RERUNS, floor, in_every_sample
from solvent.diagnostics.statistics.own_image import (
    RIGHT_MARGIN,
    agreed,
    either,
    over_others,
    p_of_either,
    right_contrast,
)
from solvent.diagnostics.statistics.reliability import (
    brier,
    calibration_error,
    discrimination,
    reliability,
)
from solvent.diagnostics.statistics.screening import screen, unlikely
from solvent.diagnostics.swaps import SWAPS, change, credit, image_effect_bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONG = 0.9  # share of samples above which a gain is called consistent


BOUNDS: Mapping[str, Bounds] = MappingProxyType(
    {
        "confidence": SHARE,
        "confidence_gain": DIFFERENCE,
        "confidence_contrast": DIFFERENCE,
        "right_contrast": DIFFERENCE,
        "accuracy": SHARE,
        "brier": SHARE,
        "discrimination": SHARE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Uncertainty(UsageTest):
    """Confidence with the picture minus that without it.

    Per sample, C = probability of the likeliest option, in [1/K, 1], and dC = C(text, picture) -
    C(text). PASS needs the mean of dC above minus the margin (non-inferiority) and dC >= -tau in
    more than half of the samples, tau being what reruns do. A model that ignores its pictures has
    dC = 0 and would pass: a PASS counts as VACUOUS unless other pictures change the answer, the
    claim of `Dependency`, and unless the own picture does more than others: C(own) - C(other) above
    0, or the right option likelier by .02. Where one way to have no picture then says PASS and
    another FAIL, nothing is settled.

    A fail may mean a picture that confuses, a rational answer to evidence against a prior, or too
    much confidence without a picture: read it beside the calibration, which is reported for both.

    Sources: Brier (1950) for the score; Naeini, Cooper and Hauskrecht (2015),
    https://doi.org/10.1609/aaai.v29i1.9602, for the calibration error over 15 equal-mass bins.
    """

    baselines: Sequence[str]  # conditions without the picture; the first is judged
    margin: float  # loss of mean confidence that is tolerated
    dependency_margin_bits: float  # least effect of other pictures for a PASS to count
    name: ClassVar[str] = "uncertainty"
    facts: ClassVar[Facts] = Facts(
        asks="Is it at least as sure with the image?",
        number="confidence_gain",
        unit="probability",
        neutral=0.0,
        place=6,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return ("real", *RERUNS, *PLACEBOS, *self.baselines, *SWAPS)

    @property
    def judged_against(self) -> float:
        """The loss of confidence that is tolerated."""
        return -self.margin

    def judge(self, seen: Seen) -> Finding:
        """Verdicts and numbers.

        Raises `ValueError` when the first baseline, `swap` or a placebo was not run.
        """
        primary = self.baselines[0]
        needed = ("real", primary, "swap", *PLACEBOS)
        screened = screen(seen.answers, needed, (*self.baselines[1:], *SWAPS))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers
        limits = floor(change(lambda name: _confidence(answers, name)), answers)
        columns = self._columns(answers)
        estimates = estimate_columns(columns, answers.clusters, BOUNDS)
        kept = self._kept(columns, -limits.threshold, answers)
        raw = self._ungated(estimates, kept)
        gate = decide(_mean(image_effect_bits(answers), answers), self.dependency_margin_bits)
        content = either(
            (estimates["confidence_contrast"], 0.0), (estimates["right_contrast"], RIGHT_MARGIN)
        )
        gate = weakest(gate, content)
        verdict = agreed({name: _gated(each, gate) for name, each in raw.items()}, primary)
        points = {name: _points(answers, name) for name in ("real", primary)}
        gain = columns["confidence_gain"]
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=_gated(in_every_sample(kept[primary]), gate),
            reason=self._reason(verdict, raw, estimates, kept[primary]),
            metrics={
                **estimates,
                **screened.counts,
                **{_named("consistency", each, primary): rate for each, rate in kept.items()},
                **self._rates(answers, columns, limits.threshold),
                "calibration_error": calibration_error(points["real"]),
                "calibration_error_without": calibration_error(points[primary]),
                "baseline_dependent": int(len(set(raw.values())) > 1),
                "floor": limits.threshold,
            },
            series=_series(points["real"], points[primary], gain) | {"ungated": raw, "gate": gate},
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Accuracy against confidence, with the picture and without."""
        bins = finding["series"].get("reliability")
        if not bins:
            draw_nothing(axes)
            return
        for (name, points), colour in zip(bins.items(), COLOURS, strict=False):
            axes.errorbar(
                [point["confidence"] for point in points],
                [point["accuracy"] for point in points],
                yerr=[
                    [max(0.0, point["accuracy"] - point["low"]) for point in points],
                    [max(0.0, point["high"] - point["accuracy"]) for point in points],
                ],
                fmt="o", color=colour, markersize=3, label=name, capsize=2, linewidth=1.2,
            )  # fmt: skip
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
        axes.legend(frameon=False, title="image")

    def _kept(
        self, columns: Mapping[str, Float[np.ndarray, " N"]], least: float, answers: Answers
    ) -> dict[str, Estimate]:
        """Share of samples whose confidence does not fall, for every baseline that was run."""
        rates = {}
        for name in self.baselines:
            gain = columns.get(_named("confidence_gain", name, self.baselines[0]))
            if gain is not None and (rows := ~np.isnan(gain)).any():
                rates[name] = proportion(gain[rows] >= least, answers.clusters[rows])
        return rates

    def _ungated(
        self, estimates: Mapping[str, Estimate | None], kept: Mapping[str, Estimate]
    ) -> dict[str, Verdict]:
        """What the inequality says, before asking whether a blind model would meet it."""
        gains = {name: _named("confidence_gain", name, self.baselines[0]) for name in kept}
        return {
            name: weakest(decide(estimates[gains[name]], -self.margin), decide(rate, 0.5))
            for name, rate in kept.items()
        }

    def _rates(
        self, answers: Answers, columns: Mapping[str, Float[np.ndarray, " N"]], tau: float
    ) -> dict[str, Estimate | float | int | None]:
        """Ceiling, answers that switch at equal confidence, refusals, and p of all claims."""
        primary, clusters, gain = self.baselines[0], answers.clusters, columns["confidence_gain"]
        switched = flips(answers.scores["real"], answers.scores[primary]) & (np.abs(gain) <= tau)
        kept = (gain >= -tau).astype(float)
        effect = image_effect_bits(answers)
        return {
            "ceiling": proportion(_confidence(answers, primary) >= 1 - tau, clusters),
            "switches": proportion(switched, clusters),
            "unlikely": int(unlikely(answers, "real", primary).sum()),
            "p_value": largest(
                p_above(gain, clusters, -self.margin, DIFFERENCE),
                p_above(kept, clusters, 0.5, SHARE),
                _p(effect, clusters, self.dependency_margin_bits),
                p_of_either(
                    _p(columns["confidence_contrast"], clusters, 0.0),
                    _p(columns["right_contrast"], clusters, RIGHT_MARGIN),
                ),
            ),
        }

    def _columns(self, answers: Answers) -> dict[str, Float[np.ndarray, " N"]]:
        """Every value per sample whose mean is reported."""
        primary = self.baselines[0]
        real, right = _confidence(answers, "real"), credit(answers, "real") == 1
        gain = real - _confidence(answers, primary)
        dropped = unlikely(answers, "real", primary)
        columns = {
            "confidence": real,
            "confidence_contrast": over_others(lambda name: _confidence(answers, name), answers),
            "right_contrast": right_contrast(answers),
            "confidence_gain_right": np.where(right, gain, np.nan),
            "confidence_gain_wrong": np.where(right, np.nan, gain),
            "confidence_gain_likely": np.where(dropped, np.nan, gain),
            "discrimination": discrimination(real, right),
            "brier": brier(answers.probabilities("real"), answers.gold),
            "brier_without": brier(answers.probabilities(primary), answers.gold),
            "accuracy": credit(answers, "real"),
        }
        for name in self.baselines:
            if name in answers.scores:
                blind = _confidence(answers, name)
                columns[_named("confidence_without", name, primary)] = blind
                columns[_named("confidence_gain", name, primary)] = real - blind
        return columns

    def _reason(
        self,
        verdict: Verdict,
        raw: Mapping[str, Verdict],
        estimates: Mapping[str, Estimate | None],
        rate: Estimate,
    ) -> str:
        said = {
            "PASS": "The model is at least as sure with the picture",
            "FAIL": "The model is less sure with the picture, on average or in most samples",
            "INCONCLUSIVE": "Whether the model is at least as sure with the picture is not settled",
            "VACUOUS": "The model is at least as sure with the picture, but it is not shown that "
            "this depends on which picture it is",
        }[verdict]
        if verdict == "PASS" and rate.lower is not None and rate.lower > STRONG:
            said += ", and consistently so"
        said += (
            f": confidence changes by {measured(estimates['confidence_gain'])} and holds in "
            f"{rate.value:.0%} of samples"
        )
        if len(set(raw.values())) > 1:
            verdicts = ", ".join(f"{name} {each}" for name, each in raw.items())
            said += f"; it depends on what stands for no picture ({verdicts})"
        return f"{said}."


def _named(kind: str, baseline: str, primary: str) -> str:
    return kind if baseline == primary else f"{kind}_{baseline}"


def _gated(verdict: Verdict, gate: Verdict) -> Verdict:
    return "VACUOUS" if verdict == "PASS" and gate != "PASS" else verdict


def _confidence(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    return answers.probabilities(condition).max(axis=1)


def _points(answers: Answers, condition: str) -> list[Mapping[str, float]]:
    return reliability(_confidence(answers, condition), credit(answers, condition))


def _series(
    real: list[Mapping[str, float]],
    without: list[Mapping[str, float]],
    gain: Float[np.ndarray, " N"],
) -> dict[str, object]:
    """Reliability diagrams, and the distribution of dC."""
    levels = np.linspace(0, 1, 101)
    return {
        "reliability": {"real": real, "without": without},
        "levels": levels.tolist(),
        "gain_quantiles": np.quantile(gain, levels).tolist(),
    }


def _mean(values: Float[np.ndarray, " N"], answers: Answers) -> Estimate | None:
    rows = ~np.isnan(values)
    return estimate(values[rows], answers.clusters[rows], DIFFERENCE)


def _p(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], margin: float
) -> float | None:
    """p of a mean at or below the margin, over the samples that have the value."""
    known = np.isfinite(values)
    return p_above(values[known], clusters[known], margin, DIFFERENCE)
