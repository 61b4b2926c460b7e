"""How much captions make up, over all pictures: CHAIR, AMBER's generative scores, and others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from solvent.benchmarks.captions.naming import absent, marked
from solvent.benchmarks.captions.vocabulary import count_words
from solvent.benchmarks.reducers.leaves import Leaves, score
from solvent.benchmarks.reducers.means import Mean
from solvent.benchmarks.reducers.pooled import pooled
from solvent.benchmarks.reducers.units import Unit
from solvent.core.types import Accepted, Prediction

COUNTS = ("captions", "with_absent", "mentions", "absent", "distinct", "true", "named", "usual",
          "usual_named", "words")  # fmt: skip
Kind = Literal["with_absent", "absent", "recall", "precision", "f1", "usual", "words"]
RATIOS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {  # what is added up above and below the line
        "with_absent": (("with_absent",), ("captions",)),
        "absent": (("absent",), ("mentions",)),
        "recall": (("named",), ("true",)),
        "precision": (("named",), ("distinct",)),
        "f1": (("named", "named"), ("true", "distinct")),
        "usual": (("usual_named",), ("usual",)),
        "words": (("words",), ("captions",)),
    }
)
BETTER = MappingProxyType(
    {
        **dict.fromkeys(("with_absent", "absent", "usual"), "lower"),
        **dict.fromkeys(("recall", "precision", "f1"), "higher"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Hallucination:
    """The share of captions that name no absent object, and ratios over all captions as `measures`.

    Sums run over captions, each with its own picture:

    with_absent  captions that name an absent object / captions
    absent       mentions of absent objects / mentions of objects
    recall       objects of pictures that are named / objects of pictures
    precision    objects of pictures that are named / different objects that are named
    f1           harmonic mean of these two
    usual        absent objects that one would expect, named / all of them (`gold.prior`)
    words        words / captions

    Each says whether lower or higher is better. A ratio of nothing, as of no mention at all, is
    undefined (None). An empty answer is a caption without mentions, and counts as such in all
    measures, but earns nothing in the score; a failed sample is no caption. Intervals are over
    pictures. The score also says what was asked, as other words or another length change all of it.
    Sources: Rohrbach et al. (2018), https://arxiv.org/abs/1809.02156; Wang et al. (2023),
    https://arxiv.org/abs/2311.07397.

    Attributes:
        measures: name -> which of these it is.
        safe: objects that are neither there nor absent, whatever the picture; they count as
            mentions.
        max_new_tokens: longest caption, in tokens; written beside the score.
    """

    measures: Mapping[str, Kind]
    safe: Sequence[str]
    max_new_tokens: int

    def __call__(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The score. Raises `ValueError` without predictions."""
        leaves = self.leaves(predictions)
        captions = [unit for unit in leaves[()] if unit.rows[0].status != "error"]
        questions = {row.question for row in predictions}
        return {
            **score(leaves),
            "measures": self._measured(captions),
            "asked": {
                "question": questions.pop() if len(questions) == 1 else None,
                "max_new_tokens": self.max_new_tokens,
            },
        }

    def leaves(self, predictions: Sequence[Prediction]) -> Leaves:
        """All captions in one leaf."""
        return Mean().leaves(predictions)

    def _measured(self, captions: Sequence[Unit]) -> dict[str, Any]:
        clusters = sorted({unit.cluster for unit in captions})
        place = {cluster: row for row, cluster in enumerate(clusters)}
        table = np.zeros((len(clusters), len(COUNTS)))
        for unit in captions:
            table[place[unit.cluster]] += counts_of(unit.rows[0], self.safe)
        return {name: _measure(kind, table, len(captions)) for name, kind in self.measures.items()}


def counts_of(row: Prediction, safe: Sequence[str]) -> tuple[int, ...]:
    """Of one caption, in the order of `COUNTS`."""
    gold = row.gold
    if not isinstance(gold, Accepted):
        raise ValueError(f"{row.uid} has options; expected a picture to describe and its objects")
    named = json.loads(str(row.parsed)) if row.status == "ok" else []
    wrong = absent(named, gold, safe)
    return (
        1,
        int(bool(wrong)),
        len(named),
        len(wrong),
        len(set(named)),
        len(gold.answers),
        len(marked(named, gold.answers, safe)),
        len(gold.prior),
        len(marked(named, gold.prior, safe)),
        count_words(row.raw or ""),
    )


def _measure(kind: str, table: np.ndarray, n: int) -> dict[str, Any]:
    above, below = (sum(table[:, COUNTS.index(name)] for name in names) for names in RATIOS[kind])
    if kind == "words":
        return {**pooled(above, below, n, bounds=None), "unit": "words"}
    return {**pooled(above, below, n), "better": BETTER[kind]}
