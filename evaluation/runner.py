"""One cell: show every sample to the model under an intervention, read its answers, score them.

Batches are formed once, over all samples, in an order that depends on the samples alone. A run that
was interrupted computes a batch again as a whole when any of its samples is missing, so a resumed
cell equals an uninterrupted one bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evaluation.answering import Cell, Prepared, needs_blind, predict, prepare
from evaluation.memory import Room
from evaluation.prefetch import prefetched
from evaluation.results import CellFolder
from evaluation.types import Benchmark, Prediction, Sample, VisualEntropy, VisualMass
from evaluation.watching import gather, watched

AHEAD = 1  # batches that are prepared while the model runs


def run(cell: Cell, folder: CellFolder) -> dict[str, Any]:
    """Predict what is missing, then merge and score.

    Returns the metrics, which the caller makes final.
    """
    predictions = answer_all(cell, folder)
    metrics = summarise(cell, predictions, *folder.seconds())
    return metrics | {"batch_size": folder.smallest_batch(cell.batch_size)}


def answer_all(cell: Cell, folder: CellFolder) -> list[Prediction]:
    """Predict what is missing, then merge."""
    check_shows_images(cell)
    done = folder.recorded()
    batches = form_batches(cell.samples, cell.benchmark, cell.batch_size)
    missing = {
        number: batch
        for number, batch in enumerate(batches)
        if any(sample.uid not in done for sample in batch)
    }
    if missing:
        with progress_bar() as progress, watched(cell, folder) as watch:
            log = watch.log
            task = progress.add_task(cell.title, total=len(cell.samples), completed=len(done))
            room, started = Room(cell.batch_size), time.monotonic()

            def make(number: int) -> Prepared | None:
                batch = missing[number]
                return prepare(cell, batch) if len(batch) <= room.size else None

            with closing(prefetched(missing, make, AHEAD)) as coming:
                for number, prepared in coming:
                    attending = log.seconds
                    predictions = predict(cell, missing[number], log, room, prepared)
                    check_edited(cell, predictions)
                    watch.keep(number)
                    new = [row for row in predictions if row.uid not in done]
                    ended = time.monotonic()
                    folder.append(new, ended - started, log.seconds - attending, room.size)
                    progress.advance(task, len(new))
                    started = ended
    gather(cell, folder, len(batches))
    return folder.merge([sample.uid for sample in cell.samples])


def check_shows_images(cell: Cell) -> None:
    """Refuse to subtract what is said without an image from the very same."""
    without = [
        sample.uid
        for sample in cell.samples
        if not sample.images and needs_blind(cell.benchmark, sample)
    ]
    if without:
        raise ValueError(
            "benchmark.answer.normalise=minus_blind subtracts what the model says without the "
            f"image, but {len(without):,} samples, first {without[0]}, show none (condition "
            f"{cell.condition!r}): set normalise to sum or mean"
        )


def check_edited(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Stop at the first batch in which an intervention changed nothing, before hours are spent."""
    answered = [row for row in predictions if row.status != "error"]
    if not (cell.measured or any(row.n_image_tokens for row in answered)):
        return  # a test wants to know what is said without an image
    if answered and not cell.intervention.is_identity and not any(r.cells_edited for r in answered):
        raise ValueError(
            f"the intervention {cell.intervention.name!r} edited no attention in a whole batch of "
            f"{len(answered)} samples (condition {cell.condition!r}): choose rows, keys and phase "
            "that meet, and a condition that shows an image"
        )


def form_batches(
    samples: Sequence[Sample], benchmark: Benchmark, batch_size: int
) -> list[list[Sample]]:
    """Alike samples side by side: little is wasted on padding, in prompts and in candidates.

    The samples of a batch are answered in one mode.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")

    def shape(sample: Sample) -> tuple[int, int, int, str]:
        text = benchmark.prompt(sample)
        return len(sample.images), len(sample.options), len(text), sample.uid

    modes: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=shape):
        modes.setdefault(benchmark.mode(sample), []).append(sample)
    return [
        order[start : start + batch_size]
        for _, order in sorted(modes.items())
        for start in range(0, len(order), batch_size)
    ]


def summarise(
    cell: Cell, predictions: Sequence[Prediction], seconds: float, attention_seconds: float
) -> dict[str, Any]:
    """The content of `metrics.json`: a pure function of the predictions, apart from the time."""
    return {
        **scored(cell.benchmark, predictions),
        "visual_mass": by_layer([row.visual_mass for row in predictions]),
        "visual_entropy_nats": by_layer([row.visual_entropy for row in predictions]),
        "image_tokens": image_tokens(predictions),
        "cells_edited": sum(row.cells_edited for row in predictions),
        "cells_by_phase": cells_by_phase(predictions),
        "seconds": round(seconds, 2),
        "attention_seconds": round(attention_seconds, 2),  # measuring and editing, of these
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


def by_layer(measured: Sequence[VisualMass | VisualEntropy | None]) -> dict[str, Any]:
    """Mean over samples, per layer and over layers; None where no sample shows an image."""
    known = [values for values in measured if values is not None]
    if not known:
        return {"before": None, "after": None, "before_by_layer": [], "after_by_layer": []}
    layers = {
        when: [
            sum(layer) / len(known)
            for layer in zip(*(getattr(m, when) for m in known), strict=True)
        ]
        for when in ("before", "after")
    }
    means = {when: sum(values) / len(values) for when, values in layers.items()}
    return {**means, **{f"{when}_by_layer": values for when, values in layers.items()}}


def image_tokens(predictions: Sequence[Prediction]) -> dict[str, float] | None:
    """Image tokens of a prompt: fewest, mean and most; None where no sample shows an image."""
    counts = [row.n_image_tokens for row in predictions if row.n_image_tokens]
    if not counts:
        return None
    return {"min": min(counts), "mean": sum(counts) / len(counts), "max": max(counts)}


def cells_by_phase(predictions: Sequence[Prediction]) -> dict[str, int] | None:
    """Cells edited in prompt rows and in generated rows; None where some predictions lack them."""
    counts = [row.cells_by_phase for row in predictions]
    if any(count is None for count in counts):
        return None
    return {phase: sum(count[phase] for count in counts) for phase in ("prefill", "decode")}


def progress_bar() -> Progress:
    """How far, how long, and how much longer."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
