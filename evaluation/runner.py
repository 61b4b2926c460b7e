"""One cell: show every sample to the model under an intervention, read its answers, score them.

Batches are formed once, over all samples, in an order that depends on the samples alone. A run that
was interrupted computes a batch again as a whole when any of its samples is missing, so a resumed
cell equals an uninterrupted one bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evaluation.results import CellFolder
from evaluation.types import (
    VLM,
    Batch,
    Benchmark,
    Prediction,
    Prompt,
    Sample,
    VisualEntropy,
    VisualMass,
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one cell is made of."""

    model: VLM
    benchmark: Benchmark
    condition: str  # name of what the samples show
    samples: Sequence[Sample]  # as shown to the model
    intervention: (
        Any  # interventions.Intervention: this package sees plug-ins through protocols only
    )
    batch_size: int
    title: str


def run(cell: Cell, folder: CellFolder) -> dict[str, Any]:
    """Predict what is missing, then merge and score.

    Returns the metrics, which the caller makes final.
    """
    done = folder.recorded()
    batches = [
        batch
        for batch in form_batches(cell.samples, cell.benchmark, cell.batch_size)
        if any(sample.uid not in done for sample in batch)
    ]
    if batches:
        with progress_bar() as progress, cell.model.intervene(cell.intervention) as log:
            task = progress.add_task(cell.title, total=len(cell.samples), completed=len(done))
            for batch in batches:
                started, attending = time.monotonic(), log.seconds
                predictions = predict(cell, batch, log)
                check_edited(cell, predictions)
                missing = [row for row in predictions if row.uid not in done]
                seconds = time.monotonic() - started, log.seconds - attending
                folder.append(missing, *seconds)
                progress.advance(task, len(missing))
    predictions = folder.merge([sample.uid for sample in cell.samples])
    return summarise(cell, predictions, *folder.seconds())


def check_edited(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Stop at the first batch in which an intervention changed nothing, before hours are spent."""
    answered = [row for row in predictions if row.status != "error"]
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


def predict(cell: Cell, samples: Sequence[Sample], log: Any) -> list[Prediction]:
    """Answers of one batch; a sample whose image cannot be read becomes a recorded error."""
    readable, errors = prompts(cell.benchmark, samples)
    batch, refused = _encode(cell.model, readable)
    errors |= refused
    shown = [sample for sample in samples if sample.uid not in errors]
    predictions = [
        _failed(cell, sample, errors[sample.uid]) for sample in samples if sample.uid in errors
    ]
    if not shown:
        return predictions
    if cell.benchmark.mode(shown[0]) == "rank":
        answers = cell.model.rank(batch, [cell.benchmark.candidates(sample) for sample in shown])
    else:
        answers = cell.model.generate(batch, cell.benchmark.answer.max_new_tokens)
    measured = log.take()
    place = {uid: index for index, uid in enumerate(measured.uids)}
    for sample, answer in zip(shown, answers, strict=True):
        predictions.append(_answered(cell, sample, answer, measured, place[sample.uid]))
    return predictions


def prompts(benchmark: Benchmark, samples: Sequence[Sample]) -> tuple[list[Prompt], dict[str, str]]:
    """What the model is given, without the samples whose images cannot be read, and why not."""
    readable, errors = [], {}
    for sample in samples:
        try:
            images = tuple(image.load() for image in sample.images)
        except OSError as error:
            errors[sample.uid] = str(error)
            continue
        readable.append(
            Prompt(
                uid=sample.uid,
                images=images,
                text=benchmark.prompt(sample),
                regions=tuple(getattr(image, "regions", ()) for image in sample.images),
            )
        )
    return readable, errors


def _encode(model: VLM, prompts: Sequence[Prompt]) -> tuple[Batch | None, dict[str, str]]:
    """The batch without the prompts that the model refuses, and why it refuses them."""
    try:
        return (model.encode(prompts) if prompts else None), {}
    except ValueError:
        refused = {}
        for prompt in prompts:
            try:
                model.encode([prompt])
            except ValueError as error:
                refused[prompt.uid] = str(error)
        if not refused:
            raise
        kept = [prompt for prompt in prompts if prompt.uid not in refused]
        return (model.encode(kept) if kept else None), refused


def _answered(cell: Cell, sample: Sample, answer: Any, measured: Any, index: int) -> Prediction:
    ranked = cell.benchmark.mode(sample) == "rank"
    try:
        reading = (cell.benchmark.choose if ranked else cell.benchmark.read)(answer, sample)
    except ValueError as error:  # scores that are not numbers
        return _failed(cell, sample, str(error))
    return Prediction(
        uid=sample.uid,
        condition=cell.condition,
        raw=None if ranked else answer,
        scores=tuple(answer) if ranked else None,
        parsed=reading.value,
        gold=sample.gold,
        status=reading.status,
        credit=cell.benchmark.credit(reading, sample),
        visual_mass=_mass(measured, index),
        cells_edited=int(measured.cells_edited[index]),
        cells_by_phase={
            "prefill": int(measured.cells_edited_prefill[index]),
            "decode": int(measured.cells_edited_decode[index]),
        },
        visual_entropy=_entropy(measured, index),
        groups=dict(sample.groups),
        tags=dict(sample.tags),
        options=sample.options,
        guessed=reading.guessed,
    )


def _mass(measured: Any, index: int) -> VisualMass | None:
    before, after = measured.layer_mass_before[index], measured.layer_mass_after[index]
    if np.isnan(before).any():  # no row saw an image
        return None
    return VisualMass(before=tuple(before.tolist()), after=tuple(after.tolist()))


def _entropy(measured: Any, index: int) -> VisualEntropy | None:
    before, after = measured.layer_entropy_before[index], measured.layer_entropy_after[index]
    if np.isnan(before).any():
        return None
    return VisualEntropy(before=tuple(before.tolist()), after=tuple(after.tolist()))


def _failed(cell: Cell, sample: Sample, error: str) -> Prediction:
    return Prediction(
        uid=sample.uid,
        condition=cell.condition,
        raw=None,
        scores=None,
        parsed=None,
        gold=sample.gold,
        status="error",
        credit=0.0,
        visual_mass=None,
        cells_edited=0,
        cells_by_phase={"prefill": 0, "decode": 0},
        groups=dict(sample.groups),
        tags=dict(sample.tags),
        options=sample.options,
        error=error,
    )


def summarise(
    cell: Cell, predictions: Sequence[Prediction], seconds: float, attention_seconds: float
) -> dict[str, Any]:
    """The content of `metrics.json`: a pure function of the predictions, apart from the time."""
    return {
        **scored(cell.benchmark, predictions),
        "visual_mass": by_layer([row.visual_mass for row in predictions]),
        "visual_entropy_nats": by_layer([row.visual_entropy for row in predictions]),
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
