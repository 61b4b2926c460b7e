"""What the image gets of the attention, and what more text takes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from solvent.core.intervals import SHARE
from solvent.core.plotting import COLOURS, draw_curve, draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.conditions.composed import AtMost, compose
from solvent.diagnostics.conditions.filler_slopes import (
    attended,
    attended_in_words,
    drawn,
    slopes,
    told_right,
)
from solvent.diagnostics.conditions.fillers import Curve, FillerCase, curve
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, estimate
from solvent.diagnostics.statistics.head_attention import Metrics, attention
from solvent.diagnostics.statistics.slopes import steepest_fall
from solvent.diagnostics.stored_shares import Shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {"dependency": "J", "gain": "LG"}  # field of a curve -> its sign in reasons
EQUAL = 1e-6  # bits; a smaller fall is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """What filler text in one place did. Axes: N samples that need the image, T lengths."""

    told: Float[np.ndarray, "N T"]  # the influence that is judged, in bits
    doublings: Float[np.ndarray, "N T"]
    clusters: Int[np.ndarray, " N"]
    invalid: float  # share of the samples that it was shown to
    fall: str  # names among the metrics: slope of the influence
    text: str  # slope of accuracy from a text that says the right answer
    above: str  # what that accuracy is above chance without filler
    metrics: Metrics
    series: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FillerBudget(UsageTest):
    """Does the image lose influence, not only attention, as neutral text is added?

    The influence is J = JSD(real, swap) or LG = log2 P(gold | real) - log2 P(gold | text), in bits,
    and falls by its slope on log2(1 + words), with an intercept for every sample. How much it may
    fall, and what shows that a fall is no mere long-context decay, `Budget` and `RelativeBudget`
    say.

    Only samples whose answer needs the image count: over all lengths, P(gold | text) is at most
    1 / options + `chance_excess`. Mass falling while the influence stays is dilution, no failure.
    Attention is correlational (Jain and Wallace 2019, https://arxiv.org/abs/1902.10186), so the
    effect of cutting it, E = JSD(real, knock), stands beside every number about it.

    The dilution exponent beta is minus the slope of ln(m / (1 - m)) on ln(other / image tokens):
    1 where text takes its share by count, 0 where the image's mass is protected, above 1 where it
    is crowded out. A mean over layers and heads that differ need not have their common exponent.
    """

    words: Sequence[int]
    places: Sequence[str]
    draws: int
    samples: int
    measure: str
    text_margin: float
    chance_excess: float
    influence_bits: float
    discoveries: float
    most_invalid: float
    name: ClassVar[str] = "budget"

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}, got {self.measure!r}")
        if self.draws < 1 or not self.places or any(words < 1 for words in self.words):
            raise ValueError("expected one draw, one place and one word of filler at least")

    @property
    def facts(self) -> Facts:
        """The slope that is judged is that of the first place."""
        return Facts(
            asks="Does it hold on as the text grows?",
            number=self._fall(self.places[0]),
            unit="bits per doubling",
            neutral=0.0,
            place=8,
        )

    @property
    def judged_against(self) -> float | None:
        """None: the fall that is tolerated may be a share of the influence."""
        return None

    @property
    def fillers(self) -> tuple[FillerCase, ...]:
        """All filler texts; their conditions are shown to `samples` samples each."""
        return tuple(
            FillerCase(place=place, words=words, draw=draw + 1)
            for place in self.places
            for words in self.words
            for draw in range(self.draws)
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all conditions, joined by `+` where one follows another."""
        shown = (name for case in self.fillers for name in case.needed)
        return (REFERENCE, "swap", "knock", "text", *shown, *self.controls)

    @property
    def says(self) -> str | None:
        """Condition that says the right answer in words; None: none is shown."""
        return None

    @property
    def controls(self) -> tuple[str, ...]:
        """What is shown beside the fillers, to the same samples."""
        return ()

    @property
    def steepest(self) -> float:
        """Loss of all influence, as a share of it per doubling, where it is gone at once."""
        return steepest_fall(np.log2(1.0 + np.array([0, *self.words])))

    @property
    def least_bits(self) -> float:
        """Influence below which there is none to lose."""
        return self.influence_bits

    @property
    def watches(self) -> dict[str, tuple[str, ...]]:
        """Attention, wherever the sample's own image is shown."""
        return {"shares": (REFERENCE, *(filler.name for filler in self.fillers))}

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """Every condition that is needed, by name, from those that are defined.

        Raises `ValueError` when one of them is missing.
        """
        filled = {name for case in self.fillers for name in case.needed} | {*self.controls}
        every = {name: compose(name, known) for name in self.conditions}
        return {
            name: AtMost(condition=each, samples=self.samples) if name in filled else each
            for name, each in every.items()
        }

    def judge(self, seen: Seen) -> Finding:
        """Shares per layer and head, curves over the length of the filler, and the verdict.

        Without any filler condition only the shares are told.

        Raises `ValueError` when some but not all filler conditions were run.
        """
        answers, shares = seen.answers, seen.shares
        metrics, series = attention(answers, shares, self.discoveries)
        bad = (answers.sizes > 1) & ~answers.valid(REFERENCE, "knock")
        metrics["invalid"] = int(bad.sum())
        if not any(filler.name in answers.scores for filler in self.fillers):
            reason = "No filler text was shown, so only shares of attention are told."
            return self._finding("NOT APPLICABLE", "NOT APPLICABLE", reason, metrics, series)
        if missing := [name for name in self.conditions if name not in answers.scores]:
            raise ValueError(
                f"the attention budget needs {len(missing)} more conditions, first {missing[0]!r}; "
                "run them or none with filler text"
            )
        if not all(self._shown_to(answers, place).any() for place in self.places):
            reason = "No sample was shown with filler text and with a picture of another question."
            return self._finding("NOT APPLICABLE", "NOT APPLICABLE", reason, metrics, series)
        places = [self._place(answers, shares, place) for place in self.places]
        for one in places:
            metrics |= one.metrics
        series["curves"] = [one.series for one in places]
        if max(bad.mean(), *(one.invalid for one in places)) > self.most_invalid:
            reason = f"More than {self.most_invalid:.0%} of the samples have no numbers."
            return self._finding("ERROR", "ERROR", reason, metrics, series)
        verdict, strict, reason = self._judged(places[0])
        reason += attended_in_words(places[0].metrics, self.places[0], self.words[-1])
        return self._finding(verdict, strict, reason, metrics, series)

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """What is the image's, by the length of the filler in the first place."""
        curves = finding["series"].get("curves")
        if not curves:
            draw_nothing(axes)
            return
        drawn = curves[0]
        words = np.array(drawn["words"])
        for name, label, colour in (
            ("mass", "share of attention", COLOURS[0]),
            ("filler", "the filler's share", COLOURS[3]),
            ("dependency", "J, bits", COLOURS[1]),
            ("effect", "effect of cutting it, bits", COLOURS[2]),
        ):
            if all(drawn.get(name, [None])):
                draw_curve(axes, np.log2(1 + words), drawn[name], colour, label)
        axes.set_xticks(np.log2(1 + words), words)
        axes.set(ylim=(0, None), xlabel=f"words of filler, {drawn['place']}", ylabel="of the image")
        axes.legend(frameon=False)

    def _fall(self, place: str) -> str:
        """Name of the slope of the influence, among the metrics."""
        return f"{self.measure}_slope_bits_{place}"

    def _place(self, answers: Answers, shares: Mapping[str, Shares], place: str) -> Place:
        """What filler text in one place does to the samples that it was shown to."""
        some = answers.take(self._shown_to(answers, place))
        each = curve(some, shares, place, self.words, self.draws, self.says)
        known = np.isfinite(getattr(each, self.measure)).all(axis=1)
        needs = known & self._needs_image(some, each)
        counts = {
            f"filler_samples_{place}": len(some),
            f"filler_invalid_{place}": int((~known).sum()),
            f"needing_image_{place}": int(needs.sum()),
        }
        return Place(
            told=getattr(each, self.measure)[needs],
            doublings=each.doublings[needs],
            clusters=some.clusters[needs],
            invalid=float((~known).mean()) if len(some) else 0.0,
            fall=self._fall(place),
            text=f"told_accuracy_slope_{place}",
            above=f"told_above_chance_{place}",
            metrics=counts
            | slopes(some, each, needs, known & ~needs)
            | told_right(some, each)
            | attended(some, each),
            series=drawn(some, each, needs),
        )

    def _shown_to(self, answers: Answers, place: str) -> Bool[np.ndarray, " N"]:
        """Questions with filler text in that place, and with a donor, which some have not."""
        fillers = [case.name for case in self.fillers if case.place == place]
        shown = [~np.isnan(answers.scores[name]).all(axis=1) for name in (*fillers, "swap")]
        return np.any(shown[:-1], axis=0) & shown[-1] & (answers.sizes > 1)

    def _needs_image(self, answers: Answers, each: Curve) -> Bool[np.ndarray, " N"]:
        """Whether the text alone leaves the answer at chance; over all lengths, as one length would
        pick those that are at chance there by accident and fall or rise elsewhere.
        """
        with np.errstate(invalid="ignore"):
            return each.text_gold.mean(axis=1) <= 1 / answers.sizes + self.chance_excess

    def _judged(self, seen: Place) -> tuple[Verdict, Verdict, str]:
        """Both verdicts and the reason, about one place."""
        bounds = SHARE if self.measure == "dependency" else None  # J, of two pictures
        start = estimate(seen.told[:, 0], seen.clusters, bounds)
        if start is None:
            reason = "No sample is left at chance by its text, so none needs the image."
            return "NOT APPLICABLE", "NOT APPLICABLE", reason
        sign, lost = MEASURES[self.measure], seen.told[:, 0] - seen.told[:, -1]
        strict: Verdict = "PASS" if (lost <= EQUAL).all() else "FAIL"
        if decide(start, self.least_bits) == "FAIL":
            reason = (
                f"{sign} is {start.value:.4f} bits without filler, surely below "
                f"{self.least_bits:.3f}, so there is none to lose."
            )
            return "VACUOUS", strict, reason
        fall = seen.metrics[seen.fall]
        verdict, beside = self.kept(seen, start, fall)
        reason = (
            f"{sign} changes by {fall.value:+.4f} bits {fall.interval} per doubling of the "
            f"filler, {beside}, in {fall.n} samples that need the image"
        )
        if verdict != "FAIL":
            return verdict, strict, f"{reason}."
        why = self.why_decay(seen)
        if why:
            return "INCONCLUSIVE", strict, f"{reason}, but {why}."
        stays = (
            f"accuracy from a text that says the answer stays {seen.metrics[seen.text].interval}"
        )
        return "FAIL", strict, f"{reason}, while {stays}."

    def kept(self, seen: Place, start: Estimate, fall: Estimate) -> tuple[Verdict, str]:
        """Whether the influence falls by less than the margin, and beside what that is seen."""
        raise NotImplementedError

    def why_decay(self, seen: Place) -> str:
        """Why a fall may be that of everything a long text says; empty where it is not."""
        raise NotImplementedError

    def _finding(
        self,
        verdict: Verdict,
        strict: Verdict,
        reason: str,
        metrics: Metrics,
        series: Mapping[str, Any],
    ) -> Finding:
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=strict,
            reason=reason,
            metrics=metrics,
            series=series,
        )


@dataclass(frozen=True, kw_only=True)
class Budget(FillerBudget):
    """The influence may fall by `margin_bits` per doubling: what cells asked that ran before
    `RelativeBudget` came.

    VACUOUS where even the loss of all influence at once would not be steeper. Nothing FAILs, as
    nothing tells a fall from long-context decay: what is right without the image is a lucky guess,
    and a guess is not lost to the length of a text.
    """

    margin_bits: float

    @property
    def judged_against(self) -> float:
        """The fall per doubling that is tolerated."""
        return -self.margin_bits

    @property
    def least_bits(self) -> float:
        """Influence below which no loss of it could be told: none is steeper than the margin."""
        return max(self.influence_bits, self.margin_bits / self.steepest)

    def kept(self, seen: Place, start: Estimate, fall: Estimate) -> tuple[Verdict, str]:
        """Whether it falls by less than the margin."""
        verdict = decide(fall, -self.margin_bits)
        if verdict == "PASS" and decide(start, self.least_bits) != "PASS":
            verdict = "INCONCLUSIVE"
        return verdict, f"from {start.value:.3f}"

    def why_decay(self, seen: Place) -> str:
        """Nothing was shown that would tell."""
        return "no text was shown that says the answer, which would tell it from mere decay"
