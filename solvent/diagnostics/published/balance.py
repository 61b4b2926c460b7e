"""Balance: whom the answer follows, by how sure image and text alone are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import statsmodels.api as sm
from jaxtyping import Float, Int
from scipy.special import expit

from solvent.core.plotting import COLOURS, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.conditions.conflict import asserted_conflicts, wins
from solvent.diagnostics.statistics.distances import entropy_bits
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, few
from solvent.diagnostics.statistics.own_image import OTHER, due_to_own
from solvent.diagnostics.statistics.ratios import coefficient, fieller

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """logit P(the text is followed) = level + slope x, x = H(image alone) - H(text alone), bits."""

    level: Estimate  # log odds where both are equally sure
    slope: Estimate  # log odds per bit
    balance: Estimate | None  # bits: x where either is followed half of the time


@dataclass(frozen=True, kw_only=True)
class Balance(UsageTest):
    """Does the answer follow the image where both modalities are equally sure?

    Of conflicts in which the text asserts a wrong option. The text is followed where the asserted
    option beats the right one by more than what reruns move it by; ties count 1/2. x is how much
    more entropy the answer to the image alone has than the answer to the text alone: where the law
    of modality following holds, the text is followed the more, the larger x is. The balance point
    is the x at which either is followed half of the time: above 0 the image is preferred, as it may
    be less sure and still win.

    PASS: at x = 0 the image is surely followed more often than not; FAIL: the text is. A model that
    heeds neither may stay with a right option that it expects anyway, and no image is followed
    then: PASS also needs that the right option is surely likelier by .02 with the own image than
    with another question's, and is VACUOUS where it surely is not.
    Source: https://arxiv.org/abs/2511.02243; a logistic regression with covariances over clusters,
    Fieller's interval of the balance point.
    """

    image_alone: str
    text_alone: str
    reruns: Sequence[str]
    floor: float
    most_invalid: float
    name: ClassVar[str] = "balance"
    facts: ClassVar[Facts] = Facts(
        asks="Which is followed where both are equally sure?",
        number="text_log_odds_when_equal",
        unit="log odds of following the text",
        neutral=0.0,
        place=12,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        alone = (self.image_alone, self.text_alone)
        return tuple(dict.fromkeys((REFERENCE, *alone, "mislead", *self.reruns, OTHER)))

    def judge(self, seen: Seen) -> Finding:
        """The curve, and whom it favours.

        Raises:
            ValueError: an asserted option does not exist, or conditions assert different ones.
        """
        conflict = asserted_conflicts(seen.answers, "mislead", (self.text_alone,))
        noise = conflict.noise(self.reruns, REFERENCE, self.floor)
        answers = conflict.answers
        there = [answers.valid(name) for name in (self.image_alone, self.text_alone, "mislead")]
        margins = conflict.margins("mislead")
        valid = np.all(there, axis=0) & np.isfinite(margins)
        image, text = (
            entropy_bits(answers.probabilities(name)[valid])
            for name in (self.image_alone, self.text_alone)
        )
        followed = 1 - wins(margins[valid], noise)
        found = curve(image - text, followed, answers.clusters[valid])
        invalid = int((~valid).sum())
        metrics: Metrics = {"conflicts": len(conflict), "invalid": invalid, "noise_nats": noise}
        if isinstance(found, str):
            return self._finding("NOT APPLICABLE", found, metrics, {})
        due = due_to_own(answers.take(valid))
        metrics |= {
            "own_image_contrast": due.contrast,
            "text_log_odds_when_equal": found.level,
            "text_log_odds_per_bit": found.slope,
            "balance_bits": found.balance,
        }
        if invalid > self.most_invalid * len(conflict):
            reason = f"{invalid} of {len(conflict)} conflicts have scores that are not numbers"
            return self._finding("ERROR", reason, metrics, {})
        series = {"difference_bits": (image - text).tolist(), "followed": followed.tolist()}
        raw = _against_text(found.level)
        reason = f"{_reason(found)}{due.unless(raw)}"
        return self._finding(due.gate(raw), reason, metrics, series)

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """The curve over the conflicts that it was fitted to."""
        series, found = finding["series"], finding["metrics"]
        if not series:
            draw_nothing(axes)
            return
        x = np.array(series["difference_bits"])
        level, slope = (
            found[name]["value"] for name in ("text_log_odds_when_equal", "text_log_odds_per_bit")
        )
        at = np.linspace(x.min(), x.max(), 100)
        axes.plot(x, series["followed"], "|", color="grey", alpha=0.5)
        axes.plot(at, expit(level + slope * at), color=COLOURS[0])
        axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)
        axes.axvline(0.0, color="grey", linestyle=":", linewidth=1)
        axes.set(
            ylim=(-0.03, 1.03),
            xlabel="entropy of the image's answer minus the text's, bits",
            ylabel="the text is followed",
        )

    def _finding(
        self, verdict: Verdict, reason: str, metrics: Metrics, series: dict[str, Any]
    ) -> Finding:
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=verdict if verdict in ("ERROR", "NOT APPLICABLE") else _strict(series),
            reason=reason,
            metrics=metrics,
            series=series,
        )


def curve(
    x: Float[np.ndarray, " N"], followed: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]
) -> Curve | str:
    """The logistic curve, or why there is none."""
    units = len(np.unique(clusters))
    if len(x) == 0:
        return "no sample has a text that asserts a wrong option"
    if followed.min() == 1 or followed.max() == 0:
        return f"the {'text' if followed.min() == 1 else 'image'} is followed in every conflict"
    if np.ptp(x) < 1e-9 or units < 3:
        return "image and text alone are equally sure in every conflict, or there are too few"
    ones, others = x[followed > 0], x[followed < 1]
    if ones.min() >= others.max() or ones.max() <= others.min():
        return "which is surer decides every conflict, so that no finite curve fits best"
    fit = sm.GLM(followed, sm.add_constant(x), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}
    )
    (level, slope), covariance = fit.params, fit.cov_params()
    turned = covariance * np.array([[1, -1], [-1, 1]])  # of (-level, slope)
    errors, doubt = np.sqrt(np.diag(covariance)), few(clusters)
    return Curve(
        level=coefficient(level, float(errors[0]), len(x), units, doubt),
        slope=coefficient(slope, float(errors[1]), len(x), units, doubt),
        balance=fieller(-level, slope, turned, len(x), units),
    )


def _against_text(level: Estimate) -> Verdict:
    """PASS where the log odds of following the text are surely below 0."""
    turned: dict[Verdict, Verdict] = {"PASS": "FAIL", "FAIL": "PASS"}
    verdict = decide(level, 0.0)
    return turned.get(verdict, verdict)


def _strict(series: Mapping[str, Any]) -> Verdict:
    """The image wins wherever it is at least as sure as the text."""
    pairs = zip(series["difference_bits"], series["followed"], strict=True)
    return "PASS" if all(followed == 0 for x, followed in pairs if x <= 0) else "FAIL"


def _reason(found: Curve) -> str:
    at = "no bounded balance point" if found.balance is None else measured(found.balance, "bits")
    return (
        f"where image and text alone are equally sure, the log odds of following the text are "
        f"{measured(found.level)}; they change by {measured(found.slope)} per bit that the image "
        f"is less sure; balance point: {at}"
    )
