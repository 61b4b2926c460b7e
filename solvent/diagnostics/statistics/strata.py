"""Samples with one meaning of the answer: what a conditional test compares with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from solvent.diagnostics.answers import REFERENCE, Answers

Label = Literal["gold", "predicted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Strata:
    """The samples that are used, the stratum of each, and why others are not used."""

    uids: tuple[str, ...]
    names: tuple[str, ...]  # of every sample's stratum
    clusters: Int[np.ndarray, " N"]
    left_out: dict[str, int]  # reason -> samples


def stratify(answers: Answers, *, label: Label, tags: Sequence[str], smallest: int) -> Strata:
    """Strata of equal answer text and equal tags, with `smallest` samples at least.

    The answer is what it says ("yes", "red"), never its letter or place. Small strata of one answer
    are merged over their tags, never over answers, which would let the answer itself couple image
    and text. Of samples that share an image inside a stratum the first is used: states of one image
    are duplicates of each other. A tie of predicted answers has no stratum.
    """
    words = _answers(answers, label)
    reasons, chosen = Counter[str](), {}
    seen: set[tuple[str, int]] = set()
    for row, word in enumerate(words):
        if word is None:
            reasons["tied answer"] += 1
            continue
        name = " / ".join([word, *(answers.tags[row].get(tag, "") for tag in tags)])
        if (name, answers.clusters[row]) in seen:
            reasons["image seen before"] += 1
            continue
        seen.add((name, answers.clusters[row]))
        chosen[row] = name
    sizes = Counter(chosen.values())
    merged: dict[int, str] = {}
    for row, name in chosen.items():
        if sizes[name] >= smallest:
            merged[row] = name
        elif (words[row], answers.clusters[row]) in seen and tags:
            reasons["image seen before"] += 1
        else:
            merged[row] = words[row]
            seen.add((words[row], answers.clusters[row]))
    sizes = Counter(merged.values())
    kept = {row: name for row, name in merged.items() if sizes[name] >= smallest}
    reasons["small class"] = len(merged) - len(kept)
    rows = list(kept)
    return Strata(
        uids=tuple(answers.uids[row] for row in rows),
        names=tuple(kept.values()),
        clusters=answers.clusters[rows],
        left_out={reason: count for reason, count in reasons.items() if count},
    )


def _answers(answers: Answers, label: Label) -> list[str | None]:
    """What every sample's right or likeliest answer says, in lower case."""
    if label == "gold":
        places = [int(place) for place in answers.gold]
    elif label == "predicted":
        scores = np.nan_to_num(answers.scores[REFERENCE], nan=-np.inf)
        tied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1
        places = [None if tie else int(row.argmax()) for tie, row in zip(tied, scores, strict=True)]
    else:
        raise ValueError(f"label must be gold or predicted, found {label!r}")
    return [
        None if place is None else " ".join(options[place].lower().split()).strip(".")
        for place, options in zip(places, answers.options, strict=True)
    ]
