"""Perturbation sensitivity: how much does the answer move when part of the picture goes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import DIFFERENCE, SHARE, Bounds
from solvent.core.plotting import COLOURS, draw_curve, draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.conditions.composed import at_most
from solvent.diagnostics.conditions.severity import area, monotonicity, trend
from solvent.diagnostics.statistics.distances import (
    jensen_shannon_bits,
    logit_distance_nats,
    total_variation,
)
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    estimate_ratio,
    largest,
    p_above,
    proportion,
    weakest,
)
from solvent.diagnostics.statistics.floors import PLACEBOS, RERUNS, floor, in_every_sample, mean_gap
from solvent.diagnostics.statistics.screening import attempted, screen, unlikely
from solvent.diagnostics.swaps import probability_gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVIDENCE = ("mask_relevant", "mask_irrelevant")
OTHERS = ("noise", "shuffle", "blank", "paraphrase", *EVIDENCE)


@dataclass(frozen=True, kw_only=True)
class Covering:
    """What covering what matters says, beside covering as much elsewhere."""

    verdict: Verdict | None  # None: it cannot be asked here, so that nothing hangs on it
    said: str


@dataclass(frozen=True, kw_only=True)
class Perturbation(UsageTest):
    """Answers to pictures of which ever more is masked, cropped away or recoloured.

    Per sample, S = total variation between the answers to the picture and to the perturbed one, in
    [0, 1]. The mean of S minus that to placebos is judged for one perturbation that was chosen
    beforehand; where boxes of what matters are known, covering them must also move the answer more
    than covering as much elsewhere: without usable answers about them there is no PASS. The strict
    claim is that every answer moves.

    The ratio to a rewording of the question compares the two modalities as they are; the size of
    the two changes at the model's input is not matched. When S is near zero, read the logit
    distance first: a saturated softmax hides movement. A small S may also mean redundant evidence,
    or an image encoder that is invariant to the perturbation.

    Sources: Page (1963), https://doi.org/10.1080/01621459.1963.10500843, for the trend.
    """

    families: Mapping[str, Sequence[int]]  # severities in percent, ascending
    primary: str  # the perturbation that is judged
    margin: float  # least effect of interest, in total variation
    samples: int  # that conditions which are not judged are shown to
    name: ClassVar[str] = "perturbation"
    facts: ClassVar[Facts] = Facts(
        asks="Does hiding a quarter change the answer?",
        number="over_placebo",
        unit="total variation",
        neutral=0.0,
        place=4,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return ("real", *RERUNS, *PLACEBOS, *self._perturbations, *OTHERS)

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """Conditions that draw curves, and are not judged, on some of the samples only."""
        names = {*self._perturbations, *OTHERS} - {self.primary, "blank"}  # others read `blank`
        return at_most(known, sorted(names & known.keys()), self.samples)

    @property
    def _perturbations(self) -> tuple[str, ...]:
        return tuple(f"{name}_{each}" for name, levels in self.families.items() for each in levels)

    def judge(self, seen: Seen) -> Finding:
        """Verdicts and numbers.

        Raises `ValueError` when the primary perturbation or a placebo was not run.
        """
        needed = ("real", self.primary, *PLACEBOS)
        screened = screen(seen.answers, needed, (*self._perturbations, *OTHERS))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers
        gap = probability_gap(answers, total_variation)
        columns, curves = self._columns(answers), self._curves(answers)
        estimates = estimate_columns(columns, answers.clusters, self._bounds(columns))
        moved, limits = gap(self.primary), floor(gap, answers)
        rate = proportion(moved > limits.threshold, answers.clusters)
        covering = self._covering(estimates, answers)
        verdict = self._judge(estimates, covering)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=in_every_sample(rate),
            reason=f"{self._reason(verdict, estimates)}; {covering.said}.",
            metrics={
                **estimates,
                **screened.counts,
                **{f"monotonicity_{name}": monotonicity(*curve) for name, curve in curves.items()},
                **{
                    f"trend_p_value_{name}": trend(curve[1], answers.clusters)
                    for name, curve in curves.items()
                },
                "ratio_to_paraphrase": _ratio(answers, moved, columns.get("paraphrase")),
                "exceeding": rate,
                "floor": limits.threshold,
                "placebo_floor": limits.placebo,
                "unlikely": int(unlikely(answers, "real", self.primary).sum()),
                "p_value": self._p_value(columns, answers, covering),
            },
            series=self._series(estimates),
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """How far the answer moves, by how much of the picture is gone."""
        series = finding["series"]
        if not series:
            draw_nothing(axes)
            return
        for (name, family), colour in zip(series["families"].items(), COLOURS, strict=False):
            points = [
                {"value": mean, "low": low, "high": high}
                for mean, low, high in zip(
                    family["mean"], family["low"], family["high"], strict=True
                )
            ]
            draw_curve(axes, family["severity"], points, colour, name)
        if series["placebo"] is not None:
            axes.axhline(series["placebo"], color="grey", linestyle=":", label="placebo")
        axes.set(ylim=(0, 1), xlabel="severity", ylabel="total variation")
        axes.legend(frameon=False)

    def _columns(self, answers: Answers) -> dict[str, Float[np.ndarray, " N"]]:
        """Every value per sample whose mean is reported."""
        gap = probability_gap(answers, total_variation)
        bits = probability_gap(answers, jensen_shannon_bits)
        real, logs = answers.log_probabilities("real"), answers.log_probabilities
        placebo = mean_gap(gap, answers, PLACEBOS)
        dropped = unlikely(answers, "real", self.primary)
        over = gap(self.primary) - placebo
        columns = {"over_placebo": over, "over_placebo_likely": np.where(dropped, np.nan, over)}
        for name in (*self._perturbations, *OTHERS):
            if name in answers.scores:
                distance = logit_distance_nats(real, logs(name), answers.sizes)
                columns |= {name: gap(name), f"{name}_bits": bits(name), f"{name}_nats": distance}
        for family, (severities, moved) in self._curves(answers).items():
            columns[f"area_{family}"] = area(severities, moved)
        if all(name in columns for name in EVIDENCE):
            columns["evidence_contrast"] = columns[EVIDENCE[0]] - columns[EVIDENCE[1]]
        return columns | {"placebo": placebo, "rerun": mean_gap(gap, answers, RERUNS)}

    def _curves(
        self, answers: Answers
    ) -> dict[str, tuple[Float[np.ndarray, " S"], Float[np.ndarray, "N S"]]]:
        """Severities and S of every family that was run, from severity 0, where S is 0."""
        gap = probability_gap(answers, total_variation)
        curves = {}
        for family, levels in self.families.items():
            there = [each for each in levels if f"{family}_{each}" in answers.scores]
            if there:
                moved = [gap(f"{family}_{each}") for each in there]
                curves[family] = (
                    np.array([0, *there]) / 100,
                    np.column_stack([np.zeros(len(answers)), *moved]),
                )
        return curves

    @staticmethod
    def _bounds(columns: Mapping[str, Any]) -> dict[str, Bounds]:
        """Everything is a distance in [0, 1], or a difference of two, but what is in nats."""
        signed = ("over_placebo", "over_placebo_likely", "evidence_contrast")
        return {
            name: DIFFERENCE if name in signed else SHARE
            for name in columns
            if not name.endswith("_nats")
        }

    def _p_value(
        self, columns: Mapping[str, Float[np.ndarray, " N"]], answers: Answers, covering: Covering
    ) -> float | None:
        """Of all that is judged: the larger one."""
        margins = {"over_placebo": self.margin}
        if covering.verdict is not None:
            margins["evidence_contrast"] = 0.0
        found = []
        for name, margin in margins.items():
            values = columns.get(name, np.full(len(answers), np.nan))
            known = np.isfinite(values)
            found.append(p_above(values[known], answers.clusters[known], margin, DIFFERENCE))
        return largest(*found)

    def _judge(self, estimates: Mapping[str, Estimate | None], covering: Covering) -> Verdict:
        moves = decide(estimates["over_placebo"], self.margin)
        return moves if covering.verdict is None else weakest(moves, covering.verdict)

    def _covering(self, estimates: Mapping[str, Estimate | None], answers: Answers) -> Covering:
        """Whether covering what matters moves answers more than covering as much elsewhere.

        No question has such boxes where the others that were shown to the same questions have
        answers, and these two have none. Where all of them have none, answers are missing.
        """
        contrast = estimates.get("evidence_contrast")
        if contrast is not None:
            said = f"covering what matters rather than as much elsewhere: {measured(contrast)}"
            return Covering(verdict=decide(contrast, 0.0), said=said)
        if not any(name in answers.scores for name in EVIDENCE):
            return Covering(verdict=None, said="covering what matters was not asked for")
        tried = any(attempted(answers, name).any() for name in EVIDENCE if name in answers.scores)
        beside = [
            name
            for name in (*self._perturbations, *OTHERS)
            if name not in (self.primary, "blank", *EVIDENCE) and name in answers.scores
        ]
        answered = any(answers.valid(name).any() for name in beside)
        if tried or (beside and not answered):
            said = "answers are missing that say whether covering what matters moves it more"
            return Covering(verdict="INCONCLUSIVE", said=said)
        said = "no question says where in its picture what matters is, so covering it is not judged"
        return Covering(verdict=None, said=said)

    def _reason(self, verdict: Verdict, estimates: Mapping[str, Estimate | None]) -> str:
        said = {
            "PASS": "Hiding part of the picture moves the answer",
            "FAIL": "Hiding part of the picture does not move the answer as it should",
            "INCONCLUSIVE": "Whether hiding part of the picture moves the answer is not settled",
        }[verdict]
        return (
            f"{said}: total variation {measured(estimates['over_placebo'])} beyond placebos under "
            f"{self.primary}, against a margin of {self.margin:g}"
        )

    def _series(self, estimates: Mapping[str, Estimate | None]) -> dict[str, object]:
        """Severity curves: mean S and its interval."""
        curves = {}
        for family, levels in self.families.items():
            names = {each: estimates.get(f"{family}_{each}") for each in levels}
            found = {each: mean for each, mean in names.items() if mean}
            curves[family] = {
                "severity": [each / 100 for each in found],
                "mean": [mean.value for mean in found.values()],
                "low": [mean.low for mean in found.values()],
                "high": [mean.high for mean in found.values()],
            }
        placebo = estimates["placebo"]
        return {"families": curves, "placebo": placebo.value if placebo else None}


def _ratio(
    answers: Answers,
    moved: Float[np.ndarray, " N"],
    reworded: Float[np.ndarray, " N"] | None,
) -> Estimate | None:
    """Mean S of the primary perturbation over that of a reworded question; None where that is 0."""
    if reworded is None or not reworded[np.isfinite(reworded)].any():
        return None
    rows = np.isfinite(reworded)
    return estimate_ratio(moved[rows], reworded[rows], answers.clusters[rows])
