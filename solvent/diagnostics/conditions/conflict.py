"""Image and text say different things: which of the two does the answer follow?

Axes: N samples, K options of the sample that has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from solvent.core.intervals import SHARE
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.statistics.distances import top_set
from solvent.diagnostics.statistics.estimates import Estimate, estimate_columns
from solvent.diagnostics.statistics.ratios import function_of_means

TYPICAL, UNUSUAL = "typical", "no"  # tag of samples of a benchmark with priors, and its value


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
    text = np.full(len(answers), -1)
    for row, facts in enumerate(answers.shown.get(condition, ())):
        if "asserted" in facts:
            _same_assertion(answers, row, condition, others)
            index, options = int(facts["asserted"]), answers.options[row]
            if not 0 <= index < len(options):
                raise ValueError(
                    f"{answers.uids[row]}: {condition} asserts option {index}, but there are "
                    f"{len(options)} options, counted from 0"
                )
            text[row] = index if options[index] != options[answers.gold[row]] else -1
    rows = text >= 0
    return Conflict(answers=answers.take(rows), image=answers.gold[rows], text=text[rows])


def swapped_conflicts(answers: Answers, condition: str) -> Conflict:
    """Samples shown the picture of a donor which makes another of their options right.

    The image implies the donor's right answer, so that the donor's question must be the same
    (NLVR: one statement about pictures of either label), and the text goes with the sample's own.
    Samples whose options lack the donor's right answer are left out.
    """
    place = {uid: row for row, uid in enumerate(answers.uids)}
    image = np.full(len(answers), -1)
    for row, facts in enumerate(answers.shown.get(condition, ())):
        donor = place.get(facts.get("donor", ""))
        if donor is not None:
            options, implied = answers.options[row], answers.options[donor][answers.gold[donor]]
            if implied in options and implied != options[answers.gold[row]]:
                image[row] = options.index(implied)
    rows = image >= 0
    return Conflict(answers=answers.take(rows), image=image[rows], text=answers.gold[rows])


def prior_conflicts(answers: Answers, text_alone: str) -> Conflict:
    """Samples with a picture that is not as usual, and a model that expects the usual.

    A benchmark with priors tags such pictures `typical: no`. c_t is what the model says of the
    question without its picture, where that is one option, and not the right one.
    """
    text = np.full(len(answers), -1)
    if text_alone in answers.scores:
        top = top_set(answers.log_probabilities(text_alone))
        single = answers.valid(text_alone) & (top.sum(axis=1) == 1)
        unusual = np.array([tags.get(TYPICAL) == UNUSUAL for tags in answers.tags], dtype=bool)
        expected = top.argmax(axis=1)
        rows = single & unusual & (expected != answers.gold)
        text[rows] = expected[rows]
    rows = text >= 0
    return Conflict(answers=answers.take(rows), image=answers.gold[rows], text=text[rows])


def _same_assertion(answers: Answers, row: int, condition: str, others: Sequence[str]) -> None:
    asserted = answers.shown[condition][row]["asserted"]
    for other in set(others) & answers.shown.keys():
        said = answers.shown[other][row].get("asserted", asserted)
        if said != asserted:
            raise ValueError(
                f"{answers.uids[row]}: {condition} asserts option {asserted}, but {other} {said}"
            )


def follow(
    answers: Answers, condition: str, reruns: Sequence[str], floor: float
) -> dict[str, Estimate | int | None]:
    """Does the answer follow the picture when a picture with another right option is shown?

    `follow_rate` is the share of samples that prefer what the new picture implies (ties count 1/2),
    `follow_rate_when_right` that among samples which preferred their own label under their own
    picture, `follow_shift_nats` how far the margin moved.
    """
    conflict = swapped_conflicts(answers, condition)
    noise = conflict.noise(reruns, REFERENCE, floor)
    moved, own = conflict.margins(condition), conflict.margins(REFERENCE)
    followed = wins(moved, noise)
    columns = {
        "follow_rate": followed,
        "follow_rate_when_right": np.where(own < -noise, followed, np.nan),
        "follow_shift_nats": moved - own,
    }
    bounds = {"follow_rate": SHARE}
    estimates = estimate_columns(columns, conflict.answers.clusters, bounds)
    return {"follow_conflicts": len(conflict), **estimates}


def against_prior(
    answers: Answers, text_alone: str, reruns: Sequence[str], floor: float
) -> dict[str, Estimate | int | None]:
    """Does the picture beat what the model expects, when no text asserts anything?

    `prior_win_rate` is the share of samples that prefer what the picture shows (ties count 1/2),
    `prior_margin_nats` by how much, and `prior_shift_nats` how far the picture moved the margin.
    """
    conflict = prior_conflicts(answers, text_alone)
    noise = conflict.noise(reruns, REFERENCE, floor)
    shown = conflict.margins(REFERENCE)
    columns = {
        "prior_win_rate": wins(shown, noise),
        "prior_margin_nats": shown,
        "prior_shift_nats": shown - conflict.margins(text_alone),
    }
    bounds = {"prior_win_rate": SHARE}
    estimates = estimate_columns(columns, conflict.answers.clusters, bounds)
    return {"prior_conflicts": len(conflict), **estimates}
