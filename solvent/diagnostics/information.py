"""Information contribution: does the picture lower the entropy of the answer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import DIFFERENCE, SHARE, Bounds
from solvent.core.plotting import COLOURS, draw_estimate, draw_nothing, interval_of
from solvent.core.types import Facts
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.statistics.distances import FLOOR, entropy_bits, kullback_leibler_bits
from solvent.diagnostics.statistics.estimates import (
    WIDE,
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    largest,
    p_above,
    proportion,
    weakest,
)
from solvent.diagnostics.statistics.floors import RERUNS, floor, in_every_sample
from solvent.diagnostics.statistics.own_image import (
    RIGHT_MARGIN,
    agreed,
    either,
    over_others,
    p_of_either,
    right_contrast,
)
from solvent.diagnostics.statistics.screening import screen, unlikely
from solvent.diagnostics.swaps import (
    PSEUDO,
    SWAPS,
    change,
    content,
    credit,
    image_information_bits,
    noise_information_bits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Information(UsageTest):
    """Entropy of the answer without the picture minus that with it.

    Per sample, dH = H(answer | text) - H(answer | text, picture), in [-log2 K, log2 K] bits. PASS
    needs its mean above the margin, and also that of J, what the answer says about which picture
    was shown, beyond what it says about reruns: a model that merely grows surer whenever there is a
    picture has dH > 0 and J = 0. It needs that the own picture does more than another question's,
    too: either H(answer | other picture) - H(answer | own) is above the margin, or the right option
    is likelier by .02 with the own one (a picture that answers both questions as clearly leaves no
    difference of entropy). A sample with dH < 0 is no fault, since a rational observer's
    entropy may rise when evidence contradicts a prior. Entropy ignores what is right: dH > 0 with a
    negative label gain is a model that is misled with confidence. The coherence gap, mean KL minus
    mean dH, is 0 where the answer without a picture is the average over pictures.

    "Without the picture" is either no picture at all, a blank one, or a picture that no other token
    may look at. Where one of them says PASS and another FAIL, nothing is settled.

    Sources: Shannon (1948), https://doi.org/10.1002/j.1538-7305.1948.tb01338.x; Xu and others
    (2020), https://arxiv.org/abs/2002.10689, for gains on labels; these here are zero-shot, not
    fitted.
    """

    baselines: Sequence[str]  # conditions without the picture; the first is judged
    margin_bits: float  # least effect of interest, of dH and of J
    name: ClassVar[str] = "information"
    facts: ClassVar[Facts] = Facts(
        asks="Does the image narrow the answer down?",
        number="entropy_gain_bits",
        unit="bits of entropy",
        neutral=0.0,
        place=5,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return ("real", *RERUNS, *self.baselines, *SWAPS)

    def judge(self, seen: Seen) -> Finding:
        """Verdicts and numbers. Raises `ValueError` without the first baseline or `swap`."""
        primary = self.baselines[0]
        screened = screen(seen.answers, ("real", primary, "swap"), (*self.baselines[1:], *SWAPS))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers
        columns = self._columns(answers)
        bounds = _bounds(answers, self.margin_bits)
        estimates = estimate_columns(columns, answers.clusters, bounds)
        raw = {
            name: decide(estimates[_named("entropy_gain", name, primary)], self.margin_bits)
            for name in self._there(answers)
        }
        told = content(answers, self.margin_bits)
        gate = told.verdict
        limits = floor(change(lambda name: entropy_bits(answers.probabilities(name))), answers)
        gain, tau = columns["entropy_gain_bits"], limits.threshold
        rate = proportion(gain > tau, answers.clusters)
        own = either(
            (estimates["entropy_contrast_bits"], self.margin_bits),
            (estimates["right_contrast"], RIGHT_MARGIN),
        )
        verdict = weakest(agreed(raw, primary), gate, own)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=in_every_sample(rate),
            reason=self._reason(verdict, raw, weakest(gate, own), estimates),
            metrics={
                **estimates,
                **screened.counts,
                "gaining": rate,
                "ceiling": proportion(columns["entropy_without_bits"] <= tau, answers.clusters),
                "mutual_information_net_bits": told.net,
                "images": image_information_bits(answers)[1],
                "baseline_dependent": int(len(_judged(raw)) > 1),
                "floor_bits": tau,
                "floored": int(_floored(answers, primary).sum()),
                "unlikely": int(unlikely(answers, "real", primary).sum()),
                "p_value": largest(
                    p_above(gain, answers.clusters, self.margin_bits, bounds["entropy_gain"]),
                    told.p_value,
                    p_of_either(
                        _p(
                            columns["entropy_contrast_bits"],
                            answers,
                            self.margin_bits,
                            bounds["entropy_contrast"],
                        ),
                        _p(columns["right_contrast"], answers, RIGHT_MARGIN, DIFFERENCE),
                    ),
                ),
            },
            series=_series(estimates, columns, raw, gate, primary) | {"own": own},
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """The distribution of dH, and its mean over each way of having no picture."""
        series = finding["series"]
        if not series:
            draw_nothing(axes)
            return
        axes.plot(series["gain_quantiles_bits"], series["levels"], color=COLOURS[0])
        for place, name in enumerate(series["baselines"]):
            mean = {
                key: series[f"{part}_bits"][place]
                for key, part in (("value", "mean"), ("low", "low"), ("high", "high"))
            }
            level = 0.12 + 0.1 * place
            draw_estimate(axes, level, mean, COLOURS[1])
            right = np.nanmax([*interval_of(mean), mean["value"]])
            axes.annotate(f"mean over {name}", (right, level), xytext=(4, -3),
                          textcoords="offset points", fontsize=7)  # fmt: skip
        axes.axvline(0, color="grey", linestyle=":", linewidth=1)
        axes.set(xlabel="bits of entropy that the image removes", ylabel="share of samples below")

    def _there(self, answers: Answers) -> list[str]:
        return [name for name in self.baselines if name in answers.scores]

    def _columns(self, answers: Answers) -> dict[str, Float[np.ndarray, " N"]]:
        """Every value per sample whose mean is reported."""
        primary = self.baselines[0]
        columns = {}
        for name in self._there(answers):
            columns |= _gains(answers, name, primary)
        dropped = unlikely(answers, "real", primary)
        return columns | {
            "mutual_information_bits": image_information_bits(answers)[0],
            "mutual_information_noise_bits": noise_information_bits(answers),
            "entropy_gain_likely_bits": np.where(dropped, np.nan, columns["entropy_gain_bits"]),
            "entropy_contrast_bits": -over_others(
                lambda name: entropy_bits(answers.probabilities(name)), answers
            ),
            "right_contrast": right_contrast(answers),
            "accuracy": credit(answers, "real"),
        }

    def _reason(
        self,
        verdict: Verdict,
        raw: Mapping[str, Verdict],
        due: Verdict,
        estimates: Mapping[str, Estimate | None],
    ) -> str:
        gain = estimates["entropy_gain_bits"]
        information = estimates["mutual_information_bits"]
        said = {
            "PASS": "The picture makes the answer surer",
            "FAIL": "The picture does not make the answer surer",
            "INCONCLUSIVE": "Whether the picture makes the answer surer is not settled",
            "NOT APPLICABLE": "No sample was shown with all the other pictures",
        }[verdict]
        if raw[self.baselines[0]] == "PASS" and due != "PASS":
            said = "The answer grows surer with a picture, but hardly because of which one it is"
        said += f": {measured(gain, 'bit')} against a margin of {self.margin_bits:g} bit"
        if information:
            said += f", J {measured(information, 'bit')}"
        if right := estimates["right_contrast"]:
            said += f", own minus other picture on the right option {measured(right)}"
        label = estimates["label_gain_bits"]
        if label and label.upper is not None and label.upper < 0:
            said += f"; it is misled: the right option changes by {measured(label, 'bit')}"
        if len(_judged(raw)) > 1:
            verdicts = ", ".join(f"{name} {each}" for name, each in raw.items())
            said += f"; it depends on what stands for no picture ({verdicts})"
        return f"{said}."


def _bounds(answers: Answers, margin: float) -> dict[str, Bounds | None]:
    """Of entropies of K options, in [0, log2 K] bits; those of a difference of two only where they
    do not make its interval wider than the margin can bear.
    """
    most = float(np.log2(answers.sizes.max()))
    reach = PSEUDO * 2 * most / len(np.unique(answers.clusters))
    narrow = 2 * most <= WIDE or reach < margin / 2
    return {
        "entropy_gain": (-most, most) if narrow else None,
        "entropy_contrast": (-most, most) if narrow else None,
        "right_contrast": DIFFERENCE,
        "entropy_real": (0.0, most),
        "entropy_without": (0.0, most),
        "mutual_information": (0.0, most),
        "accuracy": SHARE,
        "accuracy_gain": DIFFERENCE,
        "entropy_gain_normalised": DIFFERENCE,
    }


def _p(
    values: Float[np.ndarray, " N"], answers: Answers, margin: float, bounds: Bounds | None
) -> float | None:
    """p of a mean at or below the margin, over the samples that have the value."""
    known = np.isfinite(values)
    return p_above(values[known], answers.clusters[known], margin, bounds)


def _judged(raw: Mapping[str, Verdict]) -> set[Verdict]:
    return set(raw.values()) - {"NOT APPLICABLE"}


def _named(kind: str, baseline: str, primary: str, unit: str = "_bits") -> str:
    return f"{kind}{unit}" if baseline == primary else f"{kind}_{baseline}{unit}"


def _gains(answers: Answers, baseline: str, primary: str) -> dict[str, Float[np.ndarray, " N"]]:
    """Every value per sample that compares the picture with one way of having none."""
    real, blind = answers.probabilities("real"), answers.probabilities(baseline)
    gain = entropy_bits(blind) - entropy_bits(real)
    rows = np.arange(len(answers))
    label = np.log2(
        np.maximum(real[rows, answers.gold], FLOOR) / np.maximum(blind[rows, answers.gold], FLOOR)
    )
    surprise = kullback_leibler_bits(real, blind)
    return {
        _named("entropy_gain", baseline, primary): gain,
        _named("entropy_gain_normalised", baseline, primary, ""): gain / np.log2(answers.sizes),
        _named("entropy_without", baseline, primary): entropy_bits(blind),
        _named("label_gain", baseline, primary): label,
        _named("surprise", baseline, primary): surprise,
        _named("coherence_gap", baseline, primary): surprise - gain,
        _named("accuracy_gain", baseline, primary, ""): (
            credit(answers, "real") - credit(answers, baseline)
        ),
    }


def _floored(answers: Answers, baseline: str) -> np.ndarray:
    """Where the divergence is bounded only because a probability is taken as 1e-12 at least."""
    real, blind = answers.probabilities("real"), answers.probabilities(baseline)
    return ((real > FLOOR) & (blind < FLOOR)).any(axis=1)


def _series(
    estimates: Mapping[str, Estimate | None],
    columns: Mapping[str, Float[np.ndarray, " N"]],
    raw: Mapping[str, Verdict],
    gate: Verdict,
    primary: str,
) -> dict[str, object]:
    """The distribution of dH, and its mean for every baseline."""
    levels = np.linspace(0, 1, 101)
    gains = {each: estimates[_named("entropy_gain", each, primary)] for each in raw}
    found = {each: mean for each, mean in gains.items() if mean}
    return {
        "levels": levels.tolist(),
        "gain_quantiles_bits": np.quantile(columns["entropy_gain_bits"], levels).tolist(),
        "baselines": list(found),
        "mean_bits": [mean.value for mean in found.values()],
        "low_bits": [mean.low for mean in found.values()],
        "high_bits": [mean.high for mean in found.values()],
        "ungated": dict(raw),
        "gate": gate,
    }
