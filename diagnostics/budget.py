"""C3, attention budget: what the image gets of the attention, and what more text takes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from diagnostics.answers import REFERENCE, Answers
from diagnostics.distances import jensen_shannon_bits
from diagnostics.estimates import Estimate, Verdict, decide, estimate
from diagnostics.fillers import Curve, Filler, curve
from diagnostics.findings import Finding
from diagnostics.shares import ANSWER, GROUPS, IMAGE, PLACES, Shares
from diagnostics.slopes import slope
from diagnostics.tables import plain, table

Metrics = dict[str, Estimate | float | int | None]

MEASURES = {"dependency": "J", "gain": "LG"}  # field of a curve -> its sign in reasons
SHOWN = ("mass", "lift", "dependency", "effect", "gain", "right", "text_right")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Does the image lose influence, not only attention, as neutral text is added?

    The influence is J = JSD(real, swap) or LG = log2 P(gold | real) - log2 P(gold | text), in bits,
    and falls by its slope on log2(1 + words), with an intercept for every sample:

        FAIL when the slope is surely below -margin per doubling of the text, while accuracy without
        the image surely falls by less than `text_margin` per doubling: no mere long-context decay

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
    margin_bits: float
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
    def fillers(self) -> tuple[Filler, ...]:
        """All filler texts; their conditions are shown to `samples` samples each."""
        return tuple(
            Filler(place=place, words=words, draw=draw + 1)
            for place in self.places
            for words in self.words
            for draw in range(self.draws)
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all conditions, joined by `+` where one follows another."""
        return (REFERENCE, "swap", "knock", "text", *(n for f in self.fillers for n in f.needed))

    @property
    def measured(self) -> tuple[str, ...]:
        """Those among them under which attention must be measured."""
        return (REFERENCE, *(filler.name for filler in self.fillers))

    def read(self, answers: Answers, shares: Mapping[str, Shares]) -> Finding:
        """Shares per layer and head, curves over the length of the filler, and the verdict.

        Without any filler condition only the shares are told. `shares` may lack conditions.

        Raises `ValueError` when some but not all filler conditions were run.
        """
        metrics, series = self._attention(answers, shares)
        bad = ~answers.valid(REFERENCE, "knock")
        metrics["invalid"] = int(bad.sum())
        if not any(filler.name in answers.scores for filler in self.fillers):
            reason = "No filler text was shown, so only shares of attention are told."
            return self._finding("NOT APPLICABLE", "NOT APPLICABLE", reason, metrics, series)
        if missing := [name for name in self.conditions if name not in answers.scores]:
            raise ValueError(
                f"the attention budget needs {len(missing)} more conditions, first {missing[0]!r}; "
                "run them or none with filler text"
            )
        some = answers.take(self._shown(answers))
        curves = [curve(some, shares, place, self.words, self.draws) for place in self.places]
        known = np.all([np.isfinite(self._told(each)).all(axis=1) for each in curves], axis=0)
        metrics["filler_samples"], metrics["filler_invalid"] = len(some), int((~known).sum())
        series["curves"] = []
        for each in curves:
            needs = known & self._needs_image(some, each)
            metrics |= self._slopes(some, each, needs, known)
            series["curves"].append(_drawn(some, each, needs))
        broken = bad.mean() > self.most_invalid or (~known).mean() > self.most_invalid
        needs = known & self._needs_image(some, curves[0])
        return self._finding(
            *self._judged(some, curves[0], needs, metrics, bool(broken)), metrics, series
        )

    def _shown(self, answers: Answers) -> Bool[np.ndarray, " N"]:
        """Samples that any filler condition has."""
        tables = [answers.scores[name] for filler in self.fillers for name in filler.needed[:1]]
        return np.any([~np.isnan(scores).all(axis=1) for scores in tables], axis=0)

    def _attention(
        self, answers: Answers, shares: Mapping[str, Shares]
    ) -> tuple[Metrics, dict[str, Any]]:
        """What the image gets as the sample is, and what it does: E and J."""
        metrics: Metrics = {}
        for name, other in (("effect_bits", "knock"), ("dependency_bits", "swap")):
            rows = answers.valid(REFERENCE, other)
            pair = (answers.probabilities(condition)[rows] for condition in (REFERENCE, other))
            metrics[name] = estimate(jensen_shannon_bits(*pair), answers.clusters[rows])
        if REFERENCE not in shares:
            return metrics, {}
        found = shares[REFERENCE].at(answers.uids)
        quantities = {
            "mass": found.mass[..., IMAGE],
            "effective": found.effective[..., IMAGE],
            "lift": found.lift,
            "first": found.mass[..., GROUPS.index("first")],
        }
        heads: dict[str, Any] = {}
        for place, place_name in enumerate(PLACES):
            for name, values in quantities.items():
                here = values[..., place]
                metrics[f"{name}_{place_name}"] = _overall(here, answers.clusters)
                heads[f"{name}_{place_name}"] = table(here, answers.clusters).lists()
        lifts = table(found.lift[..., ANSWER], answers.clusters)
        differs = lifts.differs(1.0, self.discoveries)
        metrics["heads_above_count"] = int((differs & (lifts.value > 1)).sum())
        metrics["heads_below_count"] = int((differs & (lifts.value < 1)).sum())
        metrics["heads"] = int(np.isfinite(lifts.value).sum())
        return metrics, {"heads": heads, "lift_differs_from_1": differs.tolist()}

    def _told(self, each: Curve) -> Float[np.ndarray, "N T"]:
        return getattr(each, self.measure)

    def _needs_image(self, answers: Answers, each: Curve) -> Bool[np.ndarray, " N"]:
        """Whether the text alone leaves the answer at chance; over all lengths, as one length would
        pick those that are at chance there by accident and fall or rise elsewhere.
        """
        with np.errstate(invalid="ignore"):
            return each.text_gold.mean(axis=1) <= 1 / answers.sizes + self.chance_excess

    def _slopes(
        self,
        answers: Answers,
        each: Curve,
        needs: Bool[np.ndarray, " N"],
        known: Bool[np.ndarray, " N"],
    ) -> Metrics:
        """Changes per doubling of the text, and the dilution exponent."""
        units, place, doublings = answers.clusters, each.place, each.doublings
        others = known & ~needs
        found: Metrics = {f"needing_image_{place}": int(needs.sum())}
        for name in MEASURES:
            values = getattr(each, name)
            found[f"{name}_slope_bits_{place}"] = slope(
                doublings[needs], values[needs], units[needs]
            )
        found[f"effect_slope_bits_{place}"] = slope(
            doublings[needs], each.effect[needs], units[needs]
        )
        found[f"text_accuracy_slope_{place}"] = slope(
            doublings[others], each.text_right[others], units[others]
        )
        found[f"dilution_{place}"] = _negated(slope(each.crowding, each.log_odds, units))
        return found

    def _judged(
        self,
        answers: Answers,
        each: Curve,
        needs: Bool[np.ndarray, " N"],
        metrics: Metrics,
        broken: bool,
    ) -> tuple[Verdict, Verdict, str]:
        """Both verdicts and the reason, about the first place."""
        if broken:
            return (
                "ERROR",
                "ERROR",
                (
                    f"More than {self.most_invalid:.0%} of the samples have no numbers under some "
                    "condition."
                ),
            )
        sign, place = MEASURES[self.measure], each.place
        if not needs.any():
            reason = "No sample is left at chance by its text, so none needs the image."
            return "NOT APPLICABLE", "NOT APPLICABLE", reason
        told = self._told(each)[needs]
        start = estimate(told[:, 0], answers.clusters[needs])
        strict: Verdict = "PASS" if (told[:, -1] >= told[:, 0] - 1e-6).all() else "FAIL"
        if start.upper < self.influence_bits:
            return (
                "VACUOUS",
                strict,
                (
                    f"{sign} is {start.value:.4f} bits without filler: there is no influence to lose."
                ),
            )
        fall: Estimate | None = metrics[f"{self.measure}_slope_bits_{place}"]
        text: Estimate | None = metrics[f"text_accuracy_slope_{place}"]
        verdict = decide(fall, -self.margin_bits)
        reason = (
            f"{sign} changes by {fall.value:+.4f} bits [{fall.low:+.4f}, {fall.high:+.4f}] per "
            f"doubling of the filler, in {fall.n} samples that need the image"
        )
        if verdict != "FAIL":
            return verdict, strict, f"{reason}."
        if text is None:
            return (
                "INCONCLUSIVE",
                strict,
                (
                    f"{reason}, but no sample can be answered from its text, so mere decay over long "
                    "texts is not ruled out."
                ),
            )
        if text.lower > -self.text_margin:
            return "FAIL", strict, f"{reason}, while accuracy from text alone stays."
        return (
            "INCONCLUSIVE",
            strict,
            (
                f"{reason}, but accuracy from text alone changes by {text.value:+.4f} too, so it may "
                "be mere decay over long texts."
            ),
        )

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


def _overall(values: Float[np.ndarray, "N L H"], clusters: np.ndarray) -> Estimate | None:
    """Mean over layers and heads that have the quantity, with an interval over samples."""
    known = np.isfinite(values)
    count = known.sum(axis=(1, 2))
    means = np.where(known, values, 0.0).sum(axis=(1, 2), dtype=float) / np.maximum(count, 1)
    return estimate(means[count > 0], clusters[count > 0])


def _drawn(answers: Answers, each: Curve, needs: Bool[np.ndarray, " N"]) -> dict[str, Any]:
    """A curve as plain lists: means and intervals over all samples, and over those that need the
    image.
    """
    drawn: dict[str, Any] = {"place": each.place, "words": list(each.words)}
    for suffix, rows in (("", np.ones(len(answers), dtype=bool)), ("_needing_image", needs)):
        for name in SHOWN:
            values = getattr(each, name)[rows]
            drawn[f"{name}{suffix}"] = [
                _told(column, answers.clusters[rows]) for column in values.T
            ]
    drawn["visible_tokens_per_image_token"] = plain(np.nanmean(1 / each.uniform, axis=0))
    return drawn


def _told(values: Float[np.ndarray, " N"], clusters: np.ndarray) -> dict[str, Any] | None:
    known = np.isfinite(values)
    found = estimate(values[known], clusters[known])
    return None if found is None else asdict(found)


def _negated(found: Estimate | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(
        value=-found.value,
        low=-found.high,
        high=-found.low,
        lower=-found.upper,
        upper=-found.lower,
        n=found.n,
        clusters=found.clusters,
        reliable=found.reliable,
    )
