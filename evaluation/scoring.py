"""What the predictions of a cell say: pure functions of what is stored, one pass each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from evaluation.types import Benchmark, Prediction, VisualEntropy, VisualMass


def summarise(benchmark: Benchmark, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The content of `metrics.json`."""
    return {
        **scored(benchmark, predictions),
        "visual_mass": by_layer(row.visual_mass for row in predictions),
        "visual_entropy_nats": by_layer(row.visual_entropy for row in predictions),
        "image_tokens": image_tokens(predictions),
        "cells_edited": sum(row.cells_edited for row in predictions),
        "cells_by_phase": cells_by_phase(predictions),
    }


def scored(benchmark: Benchmark, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The part of the metrics that depends on how answers are read and scored."""
    scores = benchmark.score(predictions)
    return {
        "score": scores.pop("score"),
        "scores": scores,
        "chance": benchmark.chance,
        "unparsed": sum(row.status in ("none", "ambiguous") for row in predictions),
        "guessed": sum(row.guessed for row in predictions),
        "errors": sum(row.status == "error" for row in predictions),
    }


def by_layer(measured: Iterable[VisualMass | VisualEntropy | None]) -> dict[str, Any]:
    """Mean over samples, per layer and over layers; None where no sample shows an image."""
    count, sums = 0, {}
    for values in measured:
        if values is None:
            continue
        count += 1
        for when in ("before", "after"):
            layers = getattr(values, when)
            sofar = sums.get(when) or [0] * len(layers)
            sums[when] = [a + b for a, b in zip(sofar, layers, strict=True)]
    if not count:
        return {"before": None, "after": None, "before_by_layer": [], "after_by_layer": []}
    layers = {when: [total / count for total in totals] for when, totals in sums.items()}
    means = {when: sum(values) / len(values) for when, values in layers.items()}
    return {**means, **{f"{when}_by_layer": values for when, values in layers.items()}}


def image_tokens(predictions: Iterable[Prediction]) -> dict[str, float] | None:
    """Image tokens of a prompt: fewest, mean and most; None where no sample shows an image."""
    counts = [row.n_image_tokens for row in predictions if row.n_image_tokens]
    if not counts:
        return None
    return {"min": min(counts), "mean": sum(counts) / len(counts), "max": max(counts)}


def cells_by_phase(predictions: Iterable[Prediction]) -> dict[str, int] | None:
    """Cells edited in prompt rows and in generated rows; None where some predictions lack them."""
    sums = {"prefill": 0, "decode": 0}
    for row in predictions:
        if row.cells_by_phase is None:
            return None
        sums = {phase: sums[phase] + row.cells_by_phase[phase] for phase in sums}
    return sums
