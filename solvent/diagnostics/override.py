"""A2, counterfactual override: does the image beat a text that asserts something else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.core.plotting import COLOURS, draw_curve, draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.conditions.composed import at_most, compose
from solvent.diagnostics.conditions.conflict import (
    Conflict,
    against_prior,
    asserted_conflicts,
    follow,
    wins,
)
from solvent.diagnostics.statistics.dose import HalfDose, half_dose
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    largest,
    p_above,
)
from solvent.diagnostics.statistics.own_image import OTHER, due_to_own

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONFLICT, AFTER, SWAPPED = "mislead", "mislead_after", "swap_diff"
IRRELEVANT, WARNED, UNTOLD = "irrelevant", "mislead+warn", "text"
CONTROLS = ("congruent", IRRELEVANT, CONFLICT)
CONTRAST = "mislead_minus_irrelevant_nats"
BOUNDS = MappingProxyType(
    {"win_rate": SHARE, "strict_win_rate": SHARE, "tie_rate": SHARE, "third_answer_rate": SHARE}
)

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Override(UsageTest):
    """P(c_i | image, text) > P(c_t | image, text), though the text asserts c_t.

    c_i is the right option and c_t the asserted one; M = ln P(c_i) - ln P(c_t) in nats. The image
    wins a sample when M exceeds what reruns move it by; ties count 1/2. PASS and FAIL are about the
    interval of the win rate over eligible samples: the image alone prefers c_i and the text alone
    c_t, so that there is a conflict inside the model. Both runs are unimodal, so that nothing is
    selected by its outcome.

    Any sentence may move an answer. A FAIL is about the claim only where the false one moves the
    margin surely further down than an irrelevant one does (`mislead_minus_irrelevant_nats`); else
    the verdict is INCONCLUSIVE. What a warning that captions may be wrong mends is in
    `warned_minus_mislead_*`: the model may just comply with an assertion.

    A model may prefer c_i by what it expects, whatever is shown, and heed a claim only where there
    is no image. So PASS also needs that the right option of eligible samples is surely likelier by
    .02 with their own image than with another question's: VACUOUS where it surely is not.

    Where donors of `swap_diff` answer the same question otherwise, `follow_rate` says how often the
    answer goes with the picture that is shown. Apart from all that, `prior_*` is about conflicts
    without any assertion: a picture that is not as usual, and a prior of the model against it.

    Read a FAIL with the evidence weight beside it: the image may be weak. Sources: the criterion is
    that of counterfactual override in studies of text dominance; Deng et al. (2025),
    https://arxiv.org/abs/2503.02199, for the text preference ratio.
    """

    margin: float
    image_alone: str
    text_alone: str
    reruns: Sequence[str]
    doses: Mapping[str, float]
    floor: float
    samples: int
    most_invalid: float
    name: ClassVar[str] = "override"
    facts: ClassVar[Facts] = Facts(
        asks="Does the image beat a false caption?",
        number="win_rate_eligible",
        unit="share of conflicts won",
        neutral=0.5,
        place=2,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        single = (self.image_alone, self.text_alone, CONFLICT, AFTER, *CONTROLS, SWAPPED, UNTOLD)
        others = (*self.doses, *self.reruns, WARNED, OTHER)
        return tuple(dict.fromkeys((REFERENCE, *single, *others)))

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """Conditions that are compared with the judged one, on some of the samples only."""
        doses = {name for name, dose in self.doses.items() if dose > 0}
        compared = {AFTER, *CONTROLS, *doses} - {CONFLICT}
        warned = {WARNED: compose(WARNED, known)}
        return at_most({**known, **warned}, sorted({*compared, WARNED}), self.samples)

    def judge(self, seen: Seen) -> Finding:
        """Win rates, margins, dose response and controls.

        Raises:
            ValueError: an asserted option does not exist, or conditions assert different ones.
        """
        answers = seen.answers
        texts = [self.text_alone, AFTER, *(name for name, dose in self.doses.items() if dose > 0)]
        conflict = asserted_conflicts(answers, CONFLICT, texts)
        noise = conflict.noise(self.reruns, REFERENCE, self.floor)
        margins = {name: conflict.margins(name) for name in self.conditions}
        needed = np.stack([margins[x] for x in (CONFLICT, self.image_alone, self.text_alone)])
        valid = np.isfinite(needed).all(axis=0)
        eligible = valid & (needed[1] > noise) & (needed[2] < -noise)
        half = self._half_dose(conflict, noise)
        due = due_to_own(conflict.take(eligible).answers)
        metrics: Metrics = {
            "conflicts": len(conflict),
            "eligible": int(eligible.sum()),
            "invalid": int((~valid).sum()),
            "noise_nats": noise,
            **self._outcome(conflict, valid, noise, "all"),
            **self._outcome(conflict, eligible, noise, "eligible"),
            **self._controls(conflict, margins, noise),
            "dose_50": half.value,
            **follow(answers, SWAPPED, self.reruns, self.floor),
            **against_prior(answers, UNTOLD, self.reruns, self.floor),
        }
        metrics["own_image_contrast"] = due.contrast
        metrics["p_value"] = largest(metrics["p_value_eligible"], due.p_value)
        won, everything = (self._verdict(metrics, rows) for rows in ("eligible", "all"))
        verdict = due.gate(won)
        if about_sentence := verdict == "FAIL" and not _about_claim(metrics):
            verdict = "INCONCLUSIVE"
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=_strict(won, metrics["strict_win_rate_eligible"]),
            reason=_reason(verdict, metrics, about_sentence) + due.unless(won),
            metrics=metrics,
            series={
                "verdicts": {"eligible": verdict, "all": everything},
                "margins_nats": _plain(margins[CONFLICT]),
                "eligible": eligible.tolist(),
                "dose": self._curve(conflict, noise),
                "dose_50_reason": half.reason,
            },
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """How often the image wins, by how often a false option is asserted."""
        doses = [each for each in finding["series"].get("dose", ()) if each["win_rate"]]
        if not doses:
            draw_nothing(axes)
            return
        rates = [each["win_rate"] for each in doses]
        draw_curve(axes, [each["dose"] for each in doses], rates, COLOURS[0])
        axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)
        axes.set(
            ylim=(-0.03, 1.03),
            xlabel="times that a false option is asserted",
            ylabel="the image wins",
        )

    def _controls(
        self, conflict: Conflict, margins: Mapping[str, Float[np.ndarray, " N"]], noise: float
    ) -> Metrics:
        """What texts do to the margin of the image alone, and what the place of the text does, a
        true claim instead of none, and a warning.
        """
        alone, before, after = (margins[name] for name in (self.image_alone, CONFLICT, AFTER))
        warned = margins[WARNED]
        shifts = {f"{name}_shift_nats": margins[name] - alone for name in CONTROLS}
        moved = {
            "after_minus_before_nats": after - before,
            "after_minus_before_win_rate": wins(after, noise) - wins(before, noise),
            CONTRAST: before - margins[IRRELEVANT],
            "warned_minus_mislead_nats": warned - before,
            "warned_minus_mislead_win_rate": wins(warned, noise) - wins(before, noise),
        }
        bounds = {name: DIFFERENCE for name in moved if name.endswith("_win_rate")}
        return dict(estimate_columns(shifts | moved, conflict.answers.clusters, bounds))

    def _outcome(
        self, conflict: Conflict, rows: Bool[np.ndarray, " N"], noise: float, suffix: str
    ) -> Metrics:
        some = conflict.take(rows)
        margins = some.margins(CONFLICT)
        won, clusters = wins(margins, noise), some.answers.clusters
        found: Metrics = {
            **estimate_columns(
                {
                    "win_rate": won,
                    "strict_win_rate": (won == 1).astype(float),
                    "tie_rate": (won == 0.5).astype(float),
                    "margin_nats": margins,
                    "third_answer_rate": some.third(CONFLICT),
                },
                clusters,
                BOUNDS,
            ),
            "p_value": p_above(won, clusters, 0.5 + self.margin, SHARE),
            "loss_p": p_above(1 - won, clusters, 0.5 - self.margin, SHARE),
            "margin_median_nats": float(np.median(margins)) if len(some) else None,
            "text_preference": some.text_preference(CONFLICT, self.image_alone, self.text_alone),
        }
        return {f"{name}_{suffix}": value for name, value in found.items()}

    def _verdict(self, metrics: Metrics, rows: str) -> Verdict:
        if metrics["invalid"] > self.most_invalid * metrics["conflicts"]:
            return "ERROR"
        return decide(metrics[f"win_rate_{rows}"], 0.5 + self.margin)

    def _won(self, conflict: Conflict, noise: float) -> Float[np.ndarray, "D N"]:
        return np.stack([wins(conflict.margins(name), noise) for name in self.doses])

    def _half_dose(self, conflict: Conflict, noise: float) -> HalfDose:
        won = self._won(conflict, noise)
        whole = np.isfinite(won).all(axis=0)
        doses = np.array(list(self.doses.values()), dtype=float)
        return half_dose(won[:, whole], doses, conflict.answers.clusters[whole])

    def _curve(self, conflict: Conflict, noise: float) -> list[dict[str, Any]]:
        """Win rate at every dose, over all conflicts: eligible ones are all won at dose 0."""
        won = dict(zip(self.doses, self._won(conflict, noise), strict=True))
        rates = estimate_columns(won, conflict.answers.clusters, dict.fromkeys(won, SHARE))
        return [
            {"condition": name, "dose": float(dose), "win_rate": asdict(rates[name])}
            for name, dose in self.doses.items()
            if rates[name] is not None
        ]


def _strict(verdict: Verdict, won: Estimate | None) -> Verdict:
    """The inequality as it is written holds in every eligible sample."""
    if won is None or verdict == "ERROR":
        return verdict
    return "PASS" if won.value == 1 else "FAIL"


def _about_claim(metrics: Metrics) -> bool:
    """Whether a false claim surely does more than a sentence about something else; true, too, where
    no such sentence was shown.
    """
    contrast = metrics[CONTRAST]
    return not isinstance(contrast, Estimate) or (contrast.high is not None and contrast.high < 0)


def _reason(verdict: Verdict, metrics: Metrics, about_sentence: bool) -> str:
    conflicts, eligible = metrics["conflicts"], metrics["eligible"]
    if not conflicts:
        return "no sample has a text that asserts a wrong option"
    if verdict == "ERROR":
        return f"{metrics['invalid']} of {conflicts} conflicts have scores that are not numbers"
    if verdict == "NOT APPLICABLE":
        return (
            f"in none of {conflicts} conflicts does the image alone prefer the right option and "
            "the text alone the asserted one"
        )
    won = metrics["win_rate_eligible"]
    said = (
        f"the image wins a share of {won.value:.3f} {won.interval} of {eligible} conflicts "
        "in which each modality alone prefers its own option"
    )
    if not about_sentence:
        return said
    contrast = metrics[CONTRAST]
    return (
        f"{said}; but it is the sentence, not the claim: a false one moves the margin by "
        f"{contrast.value:.3f} {contrast.interval} nats beyond an irrelevant one"
    )


def _plain(values: Float[np.ndarray, " N"]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
