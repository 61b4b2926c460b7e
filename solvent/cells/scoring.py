"""What the predictions of a cell say: pure functions of what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from solvent.core.over_layers import over_layers
from solvent.core.types import Benchmark, Prediction, VisualEntropy, VisualMass


def summarise(benchmark: Benchmark, predictions: Iterable[Prediction]) -> dict[str, Any]:
    """The content of `metrics.json`.

    Looks at every prediction once, as they may come from a disk, and keeps only what scoring needs.
    """
    masses, entropies, entries, tokens = LayerMeans(), LayerMeans(), EditedEntries(), Tokens()
    answers, thoughts = [], []
    for row in predictions:
        masses.add(row.visual_mass)
        entropies.add(row.visual_entropy)
        entries.add(row)
        tokens.add(row.n_image_tokens)
        answers.append(replace(row, visual_mass=None, visual_entropy=None, thought=None))
        thoughts += [] if row.thought_tokens is None else [row.thought_tokens]
    return {
        **scored(benchmark, answers),
        "visual_mass": masses.means(),
        "visual_entropy_nats": entropies.means(),
        "image_tokens": tokens.spread(),
        "cells_edited": entries.edited,
        "cells_by_phase": entries.by_phase,
        **({"thought_tokens": sum(thoughts) / len(thoughts)} if thoughts else {}),
    }


def scored(benchmark: Benchmark, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The part of the metrics that depends on how answers are read and scored."""
    scores = benchmark.score(predictions)
    return {
        "score": scores.pop("score"),
        "scores": scores,
        "chance": benchmark.guessed(predictions),
        "unparsed": sum(row.status in ("none", "ambiguous") for row in predictions),
        "guessed": sum(row.guessed for row in predictions),
        "errors": sum(row.status == "error" for row in predictions),
        **_cut(predictions),
    }


def _cut(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Answers that ran into the limit of tokens; nothing where none says whether it did."""
    known = [row.cut for row in predictions if row.cut is not None]
    return {"cut": sum(known)} if known else {}


@dataclass
class LayerMeans:
    """Means over samples, per layer and over the layers where something was measured."""

    sums: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, measured: VisualMass | VisualEntropy | None) -> None:
        """One sample; None where it shows no image."""
        if measured is None:
            return
        for when in ("before", "after"):
            layers = getattr(measured, when)
            sums = self.sums.setdefault(when, [0] * len(layers))
            counts = self.counts.setdefault(when, [0] * len(layers))
            for layer, value in enumerate(layers):
                if value is not None:
                    sums[layer] += value
                    counts[layer] += 1

    def means(self) -> dict[str, Any]:
        """None where no sample shows an image, and for a layer where nothing was measured."""
        if not self.sums:
            return {"before": None, "after": None, "before_by_layer": [], "after_by_layer": []}
        layers = {
            when: [
                total / count if count else None
                for total, count in zip(sums, self.counts[when], strict=True)
            ]
            for when, sums in self.sums.items()
        }
        means = {when: over_layers(values) for when, values in layers.items()}
        return {**means, **{f"{when}_by_layer": values for when, values in layers.items()}}


@dataclass
class Tokens:
    """Image tokens of a prompt."""

    counts: list[int] = field(default_factory=list)

    def add(self, count: int | None) -> None:
        """Of one sample; None or 0 where it shows no image."""
        if count:
            self.counts.append(count)

    def spread(self) -> dict[str, float] | None:
        """Fewest, mean and most; None where no sample shows an image."""
        if not self.counts:
            return None
        mean = sum(self.counts) / len(self.counts)
        return {"min": min(self.counts), "mean": mean, "max": max(self.counts)}


@dataclass
class EditedEntries:
    """Entries of the attention that were edited, in all, and in prompt rows and generated rows.

    `by_phase` is None where a prediction lacks it.
    """

    edited: int = 0
    by_phase: dict[str, int] | None = field(default_factory=lambda: {"prefill": 0, "decode": 0})

    def add(self, row: Prediction) -> None:
        """Of one sample."""
        self.edited += row.cells_edited
        if self.by_phase is None or row.cells_by_phase is None:
            self.by_phase = None
            return
        self.by_phase = {k: count + row.cells_by_phase[k] for k, count in self.by_phase.items()}
