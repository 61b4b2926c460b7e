"""Synergy: how much of the answer needs image and text together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.plotting import COLOURS, draw_bar, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    largest,
    p_above,
    weakest,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = 1e-9  # bits
ATOMS = ("unique_image_bits", "unique_text_bits", "shared_bits", "synergy_bits")


@dataclass(frozen=True, kw_only=True)
class Synergy(UsageTest):
    """Bits about the right option, told apart by who has them: only the image, only the text, both
    alike, or only the two together.

    Per sample, i_S = log2 P(right | S) - log2 P(right | nothing) for S the image, the text and
    both, and c = i_image + i_text - i_both. Shared are the c bits where all four have one sign, and
    none elsewhere; unique image = i_image - shared, unique text alike, and synergy = i_both -
    i_image - i_text + shared. The four add up to i_both. Each may be negative: what misleads.

    Judged is what cannot be had without the image, unique image + synergy = i_both - i_text. A
    model that answers otherwise as soon as there is any picture has such bits as well, so that PASS
    also needs the own picture to be worth more than those of other samples.

    Sources: Ince (2017), pointwise common change in surprisal, https://arxiv.org/abs/1602.05063,
    for the decomposition, here of the answers themselves and not of a joint distribution over
    questions; https://arxiv.org/abs/2606.00959 for synergy as what predicts the loss of vision.
    """

    margin_bits: float
    image_alone: str
    text_alone: str
    nothing: str
    swaps: Sequence[str]
    most_invalid: float
    name: ClassVar[str] = "synergy"
    facts: ClassVar[Facts] = Facts(
        asks="What needs image and text together?",
        number="needs_image_bits",
        unit="bits about the right answer that need the image",
        neutral=0.0,
        place=11,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        return (*self._order, *self.swaps)

    def judge(self, seen: Seen) -> Finding:
        """The four parts, and what needs the image."""
        valid = self._valid(seen.answers)
        kept = seen.answers.take(valid)
        columns = decomposed(*(_right_bits(kept, name) for name in self._order))
        needs = columns["unique_image_bits"] + columns["synergy_bits"]
        judged = {"needs_image_bits": needs, "own_minus_other_bits": self._own(kept)}
        estimates = estimate_columns({**judged, **columns}, kept.clusters, {})
        invalid = int((~valid).sum())
        verdict = weakest(*(decide(estimates[name], self.margin_bits) for name in judged))
        if invalid > self.most_invalid * len(valid):
            verdict = "ERROR"
        strict: Verdict = "PASS" if len(kept) and (needs > ROUNDING).all() else "FAIL"
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=verdict if verdict in ("ERROR", "NOT APPLICABLE") else strict,
            reason=_reason(verdict, estimates, invalid),
            metrics={
                "n": len(kept),
                "invalid": invalid,
                **estimates,
                "p_value": largest(*(self._p_value(each, kept) for each in judged.values())),
            },
            series={},
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """The four parts."""
        found = finding["metrics"]
        if not all(found.get(name) for name in ATOMS):
            draw_nothing(axes)
            return
        for place, name in enumerate(ATOMS):
            draw_bar(axes, place, found[name], COLOURS[place])
        labels = [name.removesuffix("_bits").replace("_", "\n") for name in ATOMS]
        axes.set_xticks(range(len(ATOMS)), labels)
        axes.axhline(0, color="grey", linewidth=1)
        axes.set(ylabel="bits about the right option")

    def _own(self, answers: Answers) -> Float[np.ndarray, " N"]:
        """Bits about the right option that the own picture is worth more than others, on average;
        NaN where no other one was shown.
        """
        own = _right_bits(answers, REFERENCE)
        there = [name for name in self.swaps if name in answers.scores]
        gaps = np.array([own - _right_bits(answers, name) for name in there])
        known = np.isfinite(gaps).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.where(np.isfinite(gaps), gaps, 0.0).sum(axis=0) / known
        return np.where(known > 0, mean, np.nan) if there else np.full(len(answers), np.nan)

    def _p_value(self, values: Float[np.ndarray, " N"], answers: Answers) -> float | None:
        known = np.isfinite(values)
        return p_above(values[known], answers.clusters[known], self.margin_bits, None)

    @property
    def _order(self) -> tuple[str, str, str, str]:
        return (self.nothing, self.image_alone, self.text_alone, REFERENCE)

    def _valid(self, answers: Answers) -> Bool[np.ndarray, " N"]:
        """Samples whose right option has a probability above 0 under all four conditions."""
        valid = answers.valid(*self._order)
        rows = np.arange(len(answers))
        for name in self._order:
            valid = valid & np.isfinite(answers.scores[name][rows, answers.gold])
        return valid


def decomposed(
    nothing: Float[np.ndarray, " N"],
    image: Float[np.ndarray, " N"],
    text: Float[np.ndarray, " N"],
    both: Float[np.ndarray, " N"],
) -> dict[str, Float[np.ndarray, " N"]]:
    """The four parts of every sample, in bits, from log2 P(right) under the four conditions."""
    i, t, b = image - nothing, text - nothing, both - nothing
    common = i + t - b
    signs = np.sign([np.where(np.abs(each) < ROUNDING, 0.0, each) for each in (i, t, b, common)])
    shared = np.where((signs == signs[0]).all(axis=0), common, 0.0)
    return {
        "unique_image_bits": i - shared,
        "unique_text_bits": t - shared,
        "shared_bits": shared,
        "synergy_bits": b - i - t + shared,
    }


def _right_bits(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    logs = answers.log_probabilities(condition)
    return logs[np.arange(len(answers)), answers.gold] / np.log(2)


def _reason(verdict: Verdict, found: Mapping[str, Estimate | None], invalid: int) -> str:
    needs, together = found["needs_image_bits"], found["synergy_bits"]
    own = found["own_minus_other_bits"]
    if verdict == "ERROR":
        return f"{invalid} samples give the right option no probability that is a number"
    if needs is None or together is None:
        return "no sample has answers to image and text, to each alone, and to neither"
    return (
        f"{measured(needs, 'bits')} about the right option need the image, of which "
        f"{measured(together, 'bits')} need the text, too; the own picture is worth "
        f"{measured(own, 'bits') if own else 'as much as nobody knows'} more than others"
    )
