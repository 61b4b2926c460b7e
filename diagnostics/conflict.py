"""Image and text say different things: which of the two does the answer follow?

Axes: N samples, K options of the sample that has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from diagnostics.answers import REFERENCE, Answers
from diagnostics.distances import top_set
from diagnostics.estimates import Estimate, estimate
from diagnostics.ratios import function_of_means


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Samples for which the image implies one option and the text another."""

    answers: Answers
    image: Int[np.ndarray, " N"]  # c_i: the option that the image implies
    text: Int[np.ndarray, " N"]  # c_t: the option that the text implies

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Bool[np.ndarray, " N"]) -> Conflict:
        """The chosen samples only."""
        return Conflict(
            answers=self.answers.take(rows), image=self.image[rows], text=self.text[rows]
        )

    def margins(self, condition: str) -> Float[np.ndarray, " N"]:
        """M = ln P(c_i) - ln P(c_t) in nats; NaN where it is not a finite number."""
        if condition not in self.answers.scores:
            return np.full(len(self), np.nan)
        scores, rows = self.answers.scores[condition], np.arange(len(self))
        with np.errstate(invalid="ignore"):
            margins = scores[rows, self.image] - scores[rows, self.text]
        return np.where(np.isfinite(margins) & self.answers.valid(condition), margins, np.nan)

    def noise(self, reruns: Sequence[str], reference: str, floor: float) -> float:
        """tau_M: 99th percentile of how far the margin moves when nothing changes, in nats."""
        still = self.margins(reference)
        moved = np.concatenate([np.abs(self.margins(rerun) - still) for rerun in reruns] or [[]])
        moved = moved[np.isfinite(moved)]
        return max(float(np.quantile(moved, 0.99)) if len(moved) else 0.0, floor)

    def mean(self, values: Float[np.ndarray, " N"]) -> Estimate | None:
        """Mean of those samples that have a value."""
        there = np.isfinite(values)
        return estimate(values[there], self.answers.clusters[there])

    def third(self, condition: str) -> Float[np.ndarray, " N"]:
        """Share of the answer that is neither c_i nor c_t, in [0, 1]; NaN without an answer."""
        rows, chosen = np.arange(len(self)), self._chosen(condition)
        return 1 - chosen[rows, self.image] - chosen[rows, self.text]

    def text_preference(self, condition: str, image_alone: str, text_alone: str) -> Estimate | None:
        """#text / (#text + #image), in [0, 1]; None where neither occurs.

        An answer counts as text (image) where it is the one given to the text (image) alone and
        these two differ. Answers that tie are shared; a tie of one modality alone predicts nothing.

        Source: Deng et al. (2025), Words or Vision, https://arxiv.org/abs/2503.02199.
        """
        text, image = (self._chosen(each) for each in (text_alone, image_alone))
        differ = (text.max(axis=1) == 1) & (image.max(axis=1) == 1) & (text != image).any(axis=1)
        chosen = self._chosen(condition)
        counts = np.column_stack([(chosen * text).sum(axis=1), (chosen * image).sum(axis=1)])
        kept = differ & np.isfinite(counts).all(axis=1)
        return function_of_means(
            counts[kept], self.answers.clusters[kept], lambda means: means[:, 0] / means.sum(axis=1)
        )

    def _chosen(self, condition: str) -> Float[np.ndarray, "N K"]:
        """The answer: 1 for the likeliest option, shared where options tie; NaN without one."""
        if condition not in self.answers.scores:
            return np.full(next(iter(self.answers.scores.values())).shape, np.nan)
        top = top_set(self.answers.log_probabilities(condition)).astype(float)
        valid = self.answers.valid(condition)[:, None]
        with np.errstate(invalid="ignore"):
            return np.where(valid, top / top.sum(axis=1, keepdims=True), np.nan)


def wins(margins: Float[np.ndarray, " N"], noise: float) -> Float[np.ndarray, " N"]:
    """1 where the image wins by more than the noise, 1/2 where nobody does, 0 otherwise."""
    decided = np.where(np.abs(margins) <= noise, 0.5, margins > noise)
    return np.where(np.isfinite(margins), decided, np.nan)


def asserted_conflicts(answers: Answers, condition: str, others: Sequence[str]) -> Conflict:
    """Samples with a text that asserts an option with other words than the right one's.

    Args:
        condition: whose `shown` holds `asserted`, the index of the asserted option.
        others: conditions that must assert the same, where they have the sample.

    Raises:
        ValueError: an asserted option does not exist, or differs between conditions.
    """
    return _conflicts(answers, condition, "asserted", others, image_is_gold=True)


def swapped_conflicts(answers: Answers, condition: str) -> Conflict:
    """Samples shown another picture that makes another of their options right.

    The image implies that option (`shown` holds its index as `implied`, known where the donor's
    question is the same), and the text goes with the sample's own right option.

    Raises:
        ValueError: an implied option does not exist.
    """
    return _conflicts(answers, condition, "implied", (), image_is_gold=False)


def _conflicts(
    answers: Answers, condition: str, key: str, others: Sequence[str], *, image_is_gold: bool
) -> Conflict:
    other = np.full(len(answers), -1)
    for row, facts in enumerate(answers.shown.get(condition, ())):
        if key in facts:
            index, options = int(facts[key]), answers.options[row]
            if not 0 <= index < len(options):
                raise ValueError(
                    f"{answers.uids[row]}: {condition} has {key} option {index}, but there are "
                    f"{len(options)} options"
                )
            _same_elsewhere(answers, row, condition, key, others)
            other[row] = -1 if options[index] == options[answers.gold[row]] else index
    rows = other >= 0
    gold, kept = answers.gold[rows], answers.take(rows)
    image, text = (gold, other[rows]) if image_is_gold else (other[rows], gold)
    return Conflict(answers=kept, image=image, text=text)


def _same_elsewhere(
    answers: Answers, row: int, condition: str, key: str, others: Sequence[str]
) -> None:
    index = answers.shown[condition][row][key]
    for other in others:
        said = answers.shown[other][row].get(key, index) if other in answers.shown else index
        if said != index:
            raise ValueError(
                f"{answers.uids[row]}: {condition} has {key} option {index}, but {other} {said}"
            )


def follow(answers: Answers, condition: str, noise: float) -> dict[str, Estimate | int | None]:
    """Does the answer follow the picture when a picture with another right option is shown?

    `follow_rate` is the share of samples that prefer what the new picture implies (ties count 1/2),
    `follow_rate_when_right` that among samples which preferred their own label under their own
    picture, `follow_shift_nats` how far the margin moved.
    """
    conflict = swapped_conflicts(answers, condition)
    moved, own = conflict.margins(condition), conflict.margins(REFERENCE)
    followed = wins(moved, noise)
    return {
        "follow_conflicts": len(conflict),
        "follow_rate": conflict.mean(followed),
        "follow_rate_when_right": conflict.mean(np.where(own < -noise, followed, np.nan)),
        "follow_shift_nats": conflict.mean(moved - own),
    }
