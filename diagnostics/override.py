"""A2, counterfactual override: does the image beat a text that asserts something else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from diagnostics.answers import REFERENCE, Answers
from diagnostics.conflict import Conflict, asserted_conflicts, follow, wins
from diagnostics.dose import HalfDose, half_dose
from diagnostics.estimates import Estimate, Verdict, decide, sign_flip
from diagnostics.findings import Finding

CONFLICT, AFTER, SWAPPED = "mislead", "mislead_after", "swap_diff"
CONTROLS = ("congruent", "irrelevant", "mislead")

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Override:
    """P(c_i | image, text) > P(c_t | image, text), though the text asserts c_t.

    c_i is the right option and c_t the asserted one; M = ln P(c_i) - ln P(c_t) in nats. The image
    wins a sample when M exceeds what reruns move it by; ties count 1/2. Verdicts are about eligible
    samples: the image alone prefers c_i and the text alone c_t, so that there is a conflict inside
    the model. Both runs are unimodal, so that nothing is selected by its outcome.

    Where donors of `swap_diff` answer the same question otherwise, `follow_rate` says how often the
    answer goes with the picture that is shown.

    Read a FAIL with the evidence weight beside it: the image may be weak, or the model may comply
    with an assertion. Sources: the criterion is that of counterfactual override in studies of text
    dominance; Deng et al. (2025), https://arxiv.org/abs/2503.02199, for the text preference ratio.
    """

    margin: float
    image_alone: str
    text_alone: str
    reruns: Sequence[str]
    doses: Mapping[str, float]
    floor: float
    most_invalid: float
    name: ClassVar[str] = "override"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        single = (self.image_alone, self.text_alone, CONFLICT, AFTER, *CONTROLS, SWAPPED)
        return tuple(dict.fromkeys((REFERENCE, *single, *self.doses, *self.reruns)))

    def read(self, answers: Answers) -> Finding:
        """Win rates, margins, dose response and controls.

        Raises:
            ValueError: an asserted option does not exist, or conditions assert different ones.
        """
        texts = [self.text_alone, AFTER, *(name for name, dose in self.doses.items() if dose > 0)]
        conflict = asserted_conflicts(answers, CONFLICT, texts)
        noise = conflict.noise(self.reruns, REFERENCE, self.floor)
        margins = {name: conflict.margins(name) for name in self.conditions}
        needed = np.stack([margins[x] for x in (CONFLICT, self.image_alone, self.text_alone)])
        valid = np.isfinite(needed).all(axis=0)
        eligible = valid & (needed[1] > noise) & (needed[2] < -noise)
        half = self._half_dose(conflict, noise)
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
        }
        verdict, everything = (self._verdict(metrics, rows) for rows in ("eligible", "all"))
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=_strict(verdict, metrics["strict_win_rate_eligible"]),
            reason=_reason(verdict, metrics),
            metrics=metrics,
            series={
                "verdicts": {"eligible": verdict, "all": everything},
                "margins_nats": _plain(margins[CONFLICT]),
                "eligible": eligible.tolist(),
                "dose": self._curve(conflict, noise),
                "dose_50_reason": half.reason,
            },
        )

    def _controls(
        self, conflict: Conflict, margins: Mapping[str, Float[np.ndarray, " N"]], noise: float
    ) -> Metrics:
        """What texts do to the margin of the image alone, and what the place of the text does."""
        alone, before, after = (margins[name] for name in (self.image_alone, CONFLICT, AFTER))
        return {
            **{f"{name}_shift_nats": conflict.mean(margins[name] - alone) for name in CONTROLS},
            "after_minus_before_nats": conflict.mean(after - before),
            "after_minus_before_win_rate": conflict.mean(wins(after, noise) - wins(before, noise)),
        }

    def _outcome(
        self, conflict: Conflict, rows: Bool[np.ndarray, " N"], noise: float, suffix: str
    ) -> Metrics:
        some = conflict.take(rows)
        margins = some.margins(CONFLICT)
        won = wins(margins, noise)
        p = sign_flip(won - 0.5, some.answers.clusters) if len(some) else None
        found: Metrics = {
            "win_rate": some.mean(won),
            "strict_win_rate": some.mean((won == 1).astype(float)),
            "tie_rate": some.mean((won == 0.5).astype(float)),
            "win_p": p,
            "margin_nats": some.mean(margins),
            "margin_median_nats": float(np.median(margins)) if len(some) else None,
            "text_preference": some.text_preference(CONFLICT, self.image_alone, self.text_alone),
            "third_answer_rate": some.mean(some.third(CONFLICT)),
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
        rates = [conflict.mean(won) for won in self._won(conflict, noise)]
        return [
            {"condition": name, "dose": float(dose), "win_rate": asdict(rate)}
            for (name, dose), rate in zip(self.doses.items(), rates, strict=True)
            if rate is not None
        ]


def _strict(verdict: Verdict, won: Estimate | None) -> Verdict:
    """The inequality as it is written holds in every eligible sample."""
    if won is None or verdict == "ERROR":
        return verdict
    return "PASS" if won.value == 1 else "FAIL"


def _reason(verdict: Verdict, metrics: Metrics) -> str:
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
    return (
        f"the image wins {won.value:.1%} ({won.low:.1%} to {won.high:.1%}) of {eligible} conflicts "
        "in which each modality alone prefers its own option"
    )


def _plain(values: Float[np.ndarray, " N"]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
