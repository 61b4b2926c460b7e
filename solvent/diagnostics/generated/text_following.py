"""Whom an answer follows where a picture and a text beside it say different things."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Int

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.core.statistics import connected
from solvent.core.types import Facts, Prediction
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import PREDICTIONS, Finding, Seen, UsageTest
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate_columns,
    p_above,
)

OUTER = re.compile(r"^\W+|\W+$")

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class TextFollowing(UsageTest):
    """Text preference of answers as they were read: text / (text + image).

    There is a conflict where the answer to the picture alone and the answer to the text alone are
    both read and differ. Beside the text, an answer counts as image (text) where it equals the one
    given to the picture (text) alone; any other one is a third answer. Equal are texts that differ
    in letter case, spaces and outer punctuation only, and options of one index. Nothing is
    selected by the outcome. `eligible` are conflicts in which the picture alone leads to what is
    right: there the picture should win, which is `Override` for answers that were generated.

    PASS: of the conflicts that are decided the picture surely wins more than one half and the
    margin; FAIL: surely less than that.
    Source: Deng et al. (2025), Words or Vision, https://arxiv.org/abs/2503.02199.
    """

    both: str  # condition that shows the picture and the text
    text_alone: str  # condition that shows the text without the picture
    margin: float | None  # None: a control, of which nothing is judged
    most_invalid: float  # share of questions that failed
    name: ClassVar[str] = "text_following"
    facts: ClassVar[Facts] = Facts(
        asks="Does the answer go with the picture, not with the text beside it?",
        number="text_preference_all",
        unit="share of conflicts that follow the text",
        neutral=0.5,
        place=None,
    )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that are read."""
        return REFERENCE, self.both, self.text_alone

    @property
    def watches(self) -> dict[str, tuple[str, ...]]:  # type: ignore[override]
        """Answers as they were read, not probabilities of options."""
        return {PREDICTIONS: self.conditions}

    def judge(self, seen: Seen) -> Finding:
        """Preference, third answers and accuracies, over all conflicts and over eligible ones."""
        image, both, text = self._rows(seen.predictions)
        clusters = np.array(connected([row.groups for row in image]))
        failed = np.array(
            ["error" in {a.status, b.status, c.status}
             for a, b, c in zip(image, both, text, strict=True)]
        )  # fmt: skip
        conflict = ~failed & ~equal(image, text) & readable(image) & readable(text)
        right = np.array([row.credit for row in image])
        metrics: Metrics = {
            "n": len(image),
            "conflicts": int(conflict.sum()),
            "eligible": int((conflict & (right == 1)).sum()),
            "invalid": int(failed.sum()),
            **self._outcome(both, image, text, conflict, clusters, "all"),
            **self._outcome(both, image, text, conflict & (right == 1), clusters, "eligible"),
            **self._accuracies(image, both, text, failed, clusters),
        }
        if self.margin is not None:
            metrics["p_value"] = metrics["p_value_all"]
        verdict = self._verdict(metrics)
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=_strict(verdict, metrics),
            reason=_reason(verdict, metrics),
            metrics=metrics,
            series={},
        )

    def _rows(self, predictions: Mapping[str, Sequence[Prediction]]) -> list[list[Prediction]]:
        """Answers of the three conditions, in the order of the questions of `real`.

        Raises `ValueError` where a condition lacks a question.
        """
        uids = [row.uid for row in predictions[REFERENCE]]
        found = []
        for name in self.conditions:
            by_uid = {row.uid: row for row in predictions[name]}
            if missing := [uid for uid in uids if uid not in by_uid]:
                raise ValueError(
                    f"{name} has no answer to {missing[0]}, which {REFERENCE} has: answers can be "
                    "compared only question by question"
                )
            found.append([by_uid[uid] for uid in uids])
        return found

    def _outcome(
        self,
        both: Sequence[Prediction],
        image: Sequence[Prediction],
        text: Sequence[Prediction],
        rows: Bool[np.ndarray, " N"],
        clusters: Int[np.ndarray, " N"],
        suffix: str,
    ) -> Metrics:
        """What is answered in some of the conflicts."""
        to_image, to_text = equal(both, image), equal(both, text)
        decided = rows & (to_image | to_text)
        columns = {
            "text_preference": np.where(decided, to_text, np.nan),
            "win_rate": np.where(decided, to_image, np.nan),
            "third_answer_rate": np.where(rows, ~(to_image | to_text), np.nan),
        }
        won, margin = to_image[decided].astype(float), self.margin or 0.0
        found: Metrics = {
            "text": int((decided & to_text).sum()),
            "image": int((decided & to_image).sum()),
            **estimate_columns(columns, clusters, dict.fromkeys(columns, SHARE)),
            "p_value": p_above(won, clusters[decided], 0.5 + margin, SHARE),
            "loss_p": p_above(1 - won, clusters[decided], 0.5 - margin, SHARE),
        }
        return {f"{name}_{suffix}": value for name, value in found.items()}

    def _accuracies(
        self,
        image: Sequence[Prediction],
        both: Sequence[Prediction],
        text: Sequence[Prediction],
        failed: Bool[np.ndarray, " N"],
        clusters: Int[np.ndarray, " N"],
    ) -> Metrics:
        """Mean credit under the three conditions, and what the text beside the picture changes."""
        own, beside, alone = (
            np.where(failed, np.nan, [row.credit for row in rows]) for rows in (image, both, text)
        )
        columns = {
            "accuracy_image": own,
            "accuracy_both": beside,
            "accuracy_text": alone,
            "both_minus_image": beside - own,
        }
        bounds = {"accuracy": SHARE, "both_minus_image": DIFFERENCE}
        return dict(estimate_columns(columns, clusters, bounds))

    def _verdict(self, metrics: Metrics) -> Verdict:
        if metrics["invalid"] > self.most_invalid * metrics["n"]:
            return "ERROR"
        if self.margin is None:
            return "NOT APPLICABLE"
        return decide(metrics["win_rate_all"], 0.5 + self.margin)


def equal(one: Sequence[Prediction], other: Sequence[Prediction]) -> Bool[np.ndarray, " N"]:
    """Which answers are the same; answers that could not be read are nobody's."""
    pairs = zip(one, other, strict=True)
    return np.array([plain(a.parsed) == plain(b.parsed) != "" for a, b in pairs], dtype=bool)


def readable(rows: Sequence[Prediction]) -> Bool[np.ndarray, " N"]:
    """Which answers say anything."""
    return np.array([plain(row.parsed) != "" for row in rows], dtype=bool)


def plain(answer: int | str | None) -> int | str:
    """An answer as it is compared: an index as it is, of a text no case, spaces, outer marks."""
    if isinstance(answer, int):
        return answer
    return OUTER.sub("", " ".join((answer or "").casefold().split()))


def _strict(verdict: Verdict, metrics: Metrics) -> Verdict:
    """The image wins every conflict that is decided."""
    if verdict in ("ERROR", "NOT APPLICABLE"):
        return verdict
    return "PASS" if metrics["text_all"] == 0 else "FAIL"


def _reason(verdict: Verdict, metrics: Metrics) -> str:
    if verdict == "ERROR":
        return f"{metrics['invalid']} of {metrics['n']} questions have an answer that failed"
    preference = metrics["text_preference_all"]
    if preference is None:
        return "no answer beside the text equals one to the picture or to the text alone"
    return (
        f"answers follow the text in a share of {preference.value:.3f} {preference.interval} of "
        f"{preference.n:,} conflicts that are decided"
    )
