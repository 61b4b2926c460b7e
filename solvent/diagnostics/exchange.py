"""The exchange rate: what image and text are worth, in bits and in nats of evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.intervals import DIFFERENCE
from solvent.core.plotting import COLOURS, draw_bar, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.conditions.boxes import Weight, evidence_weight
from solvent.diagnostics.conditions.conflict import asserted_conflicts
from solvent.diagnostics.statistics.distances import entropy_bits
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    weakest,
)
from solvent.diagnostics.statistics.own_image import (
    RIGHT_MARGIN,
    agreed,
    over_others,
    right_contrast,
)
from solvent.diagnostics.statistics.ratios import function_of_means
from solvent.diagnostics.statistics.usable import fitted_bits
from solvent.diagnostics.swaps import SWAPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metrics = dict[str, Estimate | float | int | None]
Values = dict[str, Float[np.ndarray, " N"]]  # of nothing, image, text, both


@dataclass(frozen=True, kw_only=True)
class Exchange(UsageTest):
    """Bits that image and text contribute, and the weight of image evidence under conflict.

    With v = log2 P(right option) given nothing, the image, the text or both, the contributions are
    Shapley values of two players: image = ((v_i - v_0) + (v_it - v_t)) / 2, text alike, and
    synergy = v_it - v_i - v_t + v_0; image + text = v_it - v_0. `label_free_` ones take v = -H of
    the answer. A share exists only where both are surely positive; the angle, 90 degrees for image
    alone and 0 for text alone, always does unless both are 0. The gains are in bits of the right
    option over the answer without the image: as the model says it, and once temperature (and class
    bias where all questions share their options) is fitted.

    The verdict says whether the image contributes bits at all; the strict one, in every sample.
    `series["verdicts"]` has it for each way to have no image; where one says PASS and another FAIL,
    the conclusion depends on the baseline and is no conclusion. What another question's picture
    contributes as well is no use of the image: PASS needs that the right option is surely likelier
    by .02 with the own picture than with others. `own_image_bits` has the same in bits.

    Sources: Shapley (1953), https://doi.org/10.1515/9781400881970-018; Xu et al. (2020),
    https://arxiv.org/abs/2002.10689; Ethayarajh et al. (2022), https://arxiv.org/abs/2110.08420.
    """

    margin: float
    blinds: Sequence[str]
    image_alone: str
    text_alone: str
    folds: int
    least_spread: float
    most_invalid: float
    name: ClassVar[str] = "exchange"
    facts: ClassVar[Facts] = Facts(
        asks="Is the image worth bits about the truth?",
        number="image_bits",
        unit="bits of the right answer",
        neutral=0.0,
        place=7,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        return tuple(dict.fromkeys((*self._four.values(), *self.blinds, *self._conflict, *SWAPS)))

    @property
    def _four(self) -> dict[str, str]:
        return {"nothing": "nothing", "image": "image_only", "text": self.blinds[0], "both": "real"}

    @property
    def _conflict(self) -> tuple[str, str, str]:
        return ("mislead", self.image_alone, self.text_alone)

    def judge(self, seen: Seen) -> Finding:
        """Contributions, gains and the evidence weight.

        Raises:
            ValueError: an asserted option does not exist, or conditions assert different ones.
        """
        answers = seen.answers
        valid = self._valid(answers)
        kept = answers.take(valid)
        weight = self._weight(answers)
        labels = {name: _right_bits(kept, condition) for name, condition in self._four.items()}
        free = {name: -entropy_bits(kept.probabilities(each)) for name, each in self._four.items()}
        image, text, _ = _shapley(labels)
        metrics: Metrics = {
            "n": len(kept),
            "invalid": int((~valid).sum()),
            **estimate_columns(
                {f"v_{n}_bits": each for n, each in labels.items()}, kept.clusters, {}
            ),
            **_contributions(labels, kept, ""),
            **_contributions(free, kept, "label_free_"),
            **self._by_blind(kept, labels),
            **self._fitted(kept),
            **_own(kept),
            "rho": weight.rho,
            "image_weight": weight.image,
            "text_weight": weight.text,
            "offset_nats": weight.offset_nats,
        }
        by_blind = {
            blind: decide(metrics[f"image_bits_over_{blind}"], self.margin) for blind in self.blinds
        }
        verdict = self._verdict(metrics, by_blind, len(answers))
        strict: Verdict = "PASS" if len(kept) and (image > 0).all() else "FAIL"
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=verdict if verdict in ("ERROR", "NOT APPLICABLE") else strict,
            reason=_reason(verdict, metrics, weight, by_blind),
            metrics=metrics,
            series={
                "image_bits": image.tolist(),
                "text_bits": text.tolist(),
                "rho_reason": weight.reason,
                "verdicts": by_blind,
            },
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """What image, text and their synergy contribute."""
        names = ("image_bits", "text_bits", "synergy_bits")
        kept = [(name, finding["metrics"].get(name)) for name in names]
        kept = [(name, found) for name, found in kept if found]
        if not kept:
            draw_nothing(axes)
            return
        for place, (_, found) in enumerate(kept):
            draw_bar(axes, place, found, COLOURS[place])
        axes.set_xticks(range(len(kept)), [name.removesuffix("_bits") for name, _ in kept])
        axes.axhline(0, color="grey", linewidth=1)
        axes.set(ylabel="bits about the right answer")

    def _valid(self, answers: Answers) -> Bool[np.ndarray, " N"]:
        """Samples whose every option has a probability above 0 under all four conditions."""
        valid = answers.valid(*self._four.values())
        for condition in self._four.values():
            finite = np.isfinite(answers.scores[condition])
            valid = valid & (finite.sum(axis=1) == answers.sizes)
        return valid

    def _by_blind(self, kept: Answers, labels: Values) -> Metrics:
        """The image's bits and gain with each way to have no image."""
        columns = {}
        for blind in self.blinds:
            there = blind in kept.scores
            text = _right_bits(kept, blind) if there else np.full(len(kept), np.nan)
            text = np.where(np.isfinite(text), text, np.nan)
            columns[f"image_bits_over_{blind}"] = _shapley(labels | {"text": text})[0]
            columns[f"zero_shot_gain_bits_over_{blind}"] = labels["both"] - text
        return dict(estimate_columns(columns, kept.clusters, {}))

    def _weight(self, answers: Answers) -> Weight:
        conflict = asserted_conflicts(answers, "mislead", (self.text_alone,))
        margin, image, text = (conflict.margins(name) for name in self._conflict)
        rows = np.isfinite(margin) & np.isfinite(image) & np.isfinite(text)
        return evidence_weight(
            margin[rows],
            image[rows],
            -text[rows],
            conflict.answers.clusters[rows],
            self.least_spread,
        )

    def _fitted(self, kept: Answers) -> Metrics:
        """V-information about the right option, over the answer to nothing or without the image."""
        shared = len(set(kept.options)) == 1
        bits = {
            name: fitted_bits(
                kept.log_probabilities(condition),
                kept.gold,
                kept.clusters,
                self.folds,
                class_bias=shared,
            )
            for name, condition in self._four.items()
        }
        pairs = {
            "usable_gain_bits": ("both", "text"),
            "usable_both_bits": ("both", "nothing"),
            "usable_image_bits": ("image", "nothing"),
            "usable_text_bits": ("text", "nothing"),
        }
        if any(each is None for each in bits.values()):
            return dict.fromkeys(pairs)
        columns = {name: bits[more] - bits[less] for name, (more, less) in pairs.items()}
        return dict(estimate_columns(columns, kept.clusters, {}))

    def _verdict(self, metrics: Metrics, by_blind: Mapping[str, Verdict], samples: int) -> Verdict:
        if metrics["invalid"] > self.most_invalid * samples:
            return "ERROR"
        own = decide(metrics["right_contrast"], RIGHT_MARGIN)
        missing = own == "NOT APPLICABLE"  # no other picture was shown: never a PASS
        return weakest(agreed(by_blind, self.blinds[0]), "INCONCLUSIVE" if missing else own)


def _own(kept: Answers) -> Metrics:
    """What the own picture does for the right option beyond those of other questions."""
    bits = over_others(lambda name: _right_bits(kept, name), kept)
    columns = {
        "own_image_bits": np.where(np.isfinite(bits), bits, np.nan),
        "right_contrast": right_contrast(kept),
    }
    return dict(estimate_columns(columns, kept.clusters, {"right_contrast": DIFFERENCE}))


def _right_bits(answers: Answers, condition: str) -> Float[np.ndarray, " N"]:
    rows = np.arange(len(answers))
    return answers.log_probabilities(condition)[rows, answers.gold] / np.log(2)


def _shapley(v: Values) -> tuple[Float[np.ndarray, " N"], ...]:
    """Contributions of image and text, and their synergy."""
    synergy = v["both"] - v["image"] - v["text"] + v["nothing"]
    image = v["image"] - v["nothing"] + synergy / 2
    return image, v["text"] - v["nothing"] + synergy / 2, synergy


def _contributions(v: Values, kept: Answers, prefix: str) -> Metrics:
    image, text, synergy = _shapley(v)
    columns = {"image_bits": image, "text_bits": text, "synergy_bits": synergy}
    found: Metrics = dict(estimate_columns(columns, kept.clusters, {}))
    pair = np.column_stack([image, text])
    positive = all(decide(found[name], 0.0) == "PASS" for name in ("image_bits", "text_bits"))
    found["image_share"] = (
        function_of_means(pair, kept.clusters, lambda mean: mean[:, 0] / mean.sum(axis=1))
        if positive
        else None
    )
    found["angle_degrees"] = _angle(pair, kept)
    return {f"{prefix}{name}": value for name, value in found.items()}


def _angle(pair: Float[np.ndarray, "N 2"], kept: Answers) -> Estimate | None:
    """atan2(image, text); resamples are read as turns of at most 180 degrees from it."""
    if not len(pair) or np.hypot(*pair.mean(axis=0)) < 1e-9:
        return None
    centre = np.degrees(np.arctan2(*pair.mean(axis=0)))

    def angle(means: Float[np.ndarray, "R 2"]) -> Float[np.ndarray, " R"]:
        turned = np.degrees(np.arctan2(means[:, 0], means[:, 1])) - centre
        return centre + (turned + 180) % 360 - 180

    return function_of_means(pair, kept.clusters, angle)


def _reason(
    verdict: Verdict, metrics: Metrics, weight: Weight, by_blind: Mapping[str, Verdict]
) -> str:
    if verdict == "ERROR":
        return f"{metrics['invalid']} samples have scores that are not finite numbers"
    if verdict == "NOT APPLICABLE":
        return "no sample has answers with and without image and text"
    image, text, own = (metrics[n] for n in ("image_bits", "text_bits", "right_contrast"))
    said = (
        f"the image contributes {measured(image, 'bit')} and the text {text.value:.3f} "
        f"{text.interval}; "
    )
    if own is None:
        said += "no picture of another question was shown to compare with"
    else:
        said += (
            "with its own picture instead of another one the right option is likelier by "
            f"{measured(own)}"
        )
    if len({*by_blind.values()} - {"NOT APPLICABLE"}) > 1:
        verdicts = ", ".join(f"{name} {each}" for name, each in by_blind.items())
        said += f"; it depends on what stands for no image ({verdicts})"
    if image.upper is not None and image.upper < 0:
        said += "; it is misled by the image"
    if weight.rho is None:
        return f"{said}; the evidence weight is not identified: {weight.reason}"
    rho = weight.rho
    return f"{said}; the evidence weight is {rho.value:.2f} {rho.interval}"
