"""Dependency: does the answer change with the picture?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from solvent.core.intervals import DIFFERENCE, SHARE, Bounds
from solvent.core.plotting import COLOURS, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.statistics.distances import (
    flips,
    jensen_shannon_bits,
    logit_distance_nats,
    top_set,
)
from solvent.diagnostics.statistics.distances import total_variation as variation
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    p_above,
    proportion,
)
from solvent.diagnostics.statistics.floors import (
    PLACEBOS,
    RERUNS,
    Floor,
    Gap,
    floor,
    in_some_sample,
    mean_gap,
)
from solvent.diagnostics.statistics.screening import screen, unlikely
from solvent.diagnostics.swaps import (
    SWAPS,
    credit,
    image_information_bits,
    noise_information_bits,
    probability_gap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("real", "swap", *PLACEBOS)
CONTENT = ("swap_same", "swap_diff")
WITHOUT_CONTENT = ("blank", "noise")


BOUNDS: Mapping[str, Bounds] = MappingProxyType(
    {
        "jsd_": SHARE,
        "jsd_over_": DIFFERENCE,
        "content_contrast": DIFFERENCE,
        "total_variation": SHARE,
        "flips": SHARE,
        "ties": SHARE,
        "accuracy": SHARE,
        "perceptual_score": DIFFERENCE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Dependency(UsageTest):
    """Answers to the same question with its own picture and with those of other questions.

    Per sample, D = mean over swaps of the Jensen-Shannon divergence of the two answers, in [0, 1]
    bits. The mean of D minus the divergence to placebos (same picture, stored anew) is judged
    against a margin; that it exceeds zero in some sample is the strict claim, which nearly every
    model meets that is not severed from its pictures. J is what the answer says about which picture
    was shown, and also above 0 where reruns differ, as is said beside it; it grows with the number
    of pictures, and by about (m + 1) / m for m swaps it falls short of its limit for many. The
    content contrast, D of donors with another right answer minus D of donors with the same,
    separates what matters for the answer from what does not.

    A pass does not say that the picture is used rightly.

    Sources: Lin (1991), https://doi.org/10.1109/18.61115; Gat, Schwartz and Schwing (2021), The
    perceptual score, https://arxiv.org/abs/2110.14375.
    """

    margin_bits: float  # least effect of interest
    name: ClassVar[str] = "dependency"
    facts: ClassVar[Facts] = Facts(
        asks="Does another image change the answer?",
        number="jsd_over_placebo_bits",
        unit="bits of change",
        neutral=0.0,
        place=1,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return ("real", *RERUNS, *PLACEBOS, *SWAPS, *CONTENT, *WITHOUT_CONTENT)

    def judge(self, seen: Seen) -> Finding:
        """Verdicts and numbers. Raises `ValueError` when `swap` or a placebo was not run."""
        screened = screen(seen.answers, NEEDED, (*SWAPS, *CONTENT, *WITHOUT_CONTENT))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers
        gap = probability_gap(answers, jensen_shannon_bits)
        columns = _columns(answers, gap)
        most = (0.0, float(np.log2(answers.sizes.max())))  # bits of an answer about its image
        limits_of = {**BOUNDS, "mutual_information": most}
        estimates = estimate_columns(columns, answers.clusters, limits_of)
        bits, limits = columns["jsd_bits"], floor(gap, answers)
        images = image_information_bits(answers)[1]
        effect = estimates["jsd_over_placebo_bits"]
        verdict = decide(effect, self.margin_bits)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=in_some_sample(bits, limits),
            reason=_reason(verdict, effect, self.margin_bits),
            metrics={
                **estimates,
                **screened.counts,
                "exceeding": proportion(bits > limits.threshold, answers.clusters),
                "images": images,
                "mutual_information_extrapolated_bits": _scaled(
                    estimates["mutual_information_bits"], images / (images - 1)
                ),
                "floor_bits": limits.threshold,
                "placebo_floor_bits": limits.placebo,
                "unlikely": int(unlikely(answers, "real", "swap").sum()),
                "p_value": p_above(
                    columns["jsd_over_placebo_bits"],
                    answers.clusters,
                    self.margin_bits,
                    DIFFERENCE,
                ),
            },
            series=_series(answers, gap, estimates, limits),
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Distributions of the divergence to other pictures, to placebos and to reruns."""
        series = finding["series"]
        if not series:
            draw_nothing(axes)
            return
        quantiles = series["quantiles_bits"].items()
        for (name, values), colour in zip(quantiles, COLOURS, strict=False):
            if values:
                axes.plot(values, series["levels"], color=colour, label=name)
        axes.set(xlabel="JSD to the answer to the image, bits", ylabel="share of samples below")
        axes.legend(frameon=False)


def _columns(answers: Answers, gap: Gap) -> dict[str, Float[np.ndarray, " N"]]:
    """Every value per sample whose mean is reported."""
    average = partial(mean_gap, answers=answers, names=SWAPS)
    logs = answers.log_probabilities
    real = logs("real")
    bits, placebo = average(gap), mean_gap(gap, answers, PLACEBOS)
    dropped = unlikely(answers, "real", "swap")
    single = {
        f"jsd_{name}_bits": gap(name)
        for name in (*SWAPS, *CONTENT, *WITHOUT_CONTENT, *PLACEBOS, *RERUNS)
        if name in answers.scores
    }
    content = [single.get(f"jsd_{name}_bits") for name in CONTENT]
    right, wrong = credit(answers, "real"), credit(answers, "swap")
    nothing = np.full(len(answers), np.nan)
    return {
        "jsd_bits": bits,
        "jsd_placebo_bits": placebo,
        "jsd_over_placebo_bits": bits - placebo,
        "jsd_over_placebo_likely_bits": np.where(dropped, np.nan, bits - placebo),
        "mutual_information_bits": image_information_bits(answers)[0],
        "mutual_information_noise_bits": noise_information_bits(answers),
        "total_variation": average(probability_gap(answers, variation)),
        "logit_distance_nats": average(
            lambda name: logit_distance_nats(real, logs(name), answers.sizes)
        ),
        "flips": average(
            lambda name: np.where(np.isnan(gap(name)), np.nan, flips(real, logs(name)))
        ),
        "ties": (top_set(real).sum(axis=1) > 1).astype(float),
        "content_contrast_bits": nothing
        if any(values is None for values in content)
        else content[1] - content[0],
        "accuracy": right,
        "accuracy_swap": wrong,
        "perceptual_score": right - wrong,
        **single,
    }


def _series(
    answers: Answers, gap: Gap, estimates: dict[str, Estimate | None], limits: Floor
) -> dict[str, object]:
    """Distributions of D as quantiles, and means per condition."""
    levels = np.linspace(0, 1, 101)
    shown = {"swap": SWAPS, "placebo": PLACEBOS, "rerun": RERUNS}
    spread = {kind: mean_gap(gap, answers, names) for kind, names in shown.items()}
    means = {
        name.removeprefix("jsd_").removesuffix("_bits"): found
        for name, found in estimates.items()
        if name.startswith("jsd_") and found
    }
    return {
        "levels": levels.tolist(),
        "quantiles_bits": {
            kind: np.nanquantile(values, levels).tolist()
            for kind, values in spread.items()
            if np.isfinite(values).any()
        },
        "conditions": list(means),
        "mean_bits": [found.value for found in means.values()],
        "low_bits": [found.low for found in means.values()],
        "high_bits": [found.high for found in means.values()],
        "floor_bits": limits.threshold,
    }


def _scaled(mean: Estimate | None, factor: float) -> Estimate | None:
    if mean is None:
        return None
    names = ("value", "low", "high", "lower", "upper")
    known = {name: getattr(mean, name) for name in names}
    scaled = {name: None if each is None else factor * each for name, each in known.items()}
    return replace(mean, **scaled)


def _reason(verdict: Verdict, effect: Estimate | None, margin: float) -> str:
    if effect is None:
        return "No sample has both another picture and a placebo."
    said = {
        "PASS": "Another picture changes the answer",
        "FAIL": "Another picture leaves the answer as it is",
        "INCONCLUSIVE": "Whether another picture changes the answer is not settled",
    }[verdict]
    return f"{said}: {measured(effect, 'bit')} beyond placebos, against a margin of {margin:g} bit."
