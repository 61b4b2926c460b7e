"""One batch: from samples to what the model reads, and from what it says to predictions.

A sample that cannot be shown, or that does not fit into memory alone, becomes a recorded error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from solvent.cells.processes.memory import Room, out_of_memory, release
from solvent.core.image_places import without_image_places
from solvent.core.redaction import redacted_text
from solvent.core.types import (
    VLM,
    Batch,
    Benchmark,
    CandidateScore,
    Lens,
    Prediction,
    Prompt,
    RefusedError,
    Response,
    Sample,
    VisualEntropy,
    VisualMass,
)

# Of a message: where an object lies, and what else a GPU holds, with the numbers of processes
PASSING = re.compile(r" at 0x[0-9a-fA-F]+|(?<=\.) GPU \d+ has a total capacity .*")

BEGUN = "begun"  # key of what a condition did: the part of an answer before other pictures came


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
    measured: bool  # whether attention is measured where nothing is edited; edits always are
    watches: Collection[str] = ()  # what is kept of the inside of the model: states, shares, ...
    lens: Lens | None = None  # what is measured where updates of the residual stream are watched
    altered: Callable[[VLM], AbstractContextManager[Any]] | None = None  # the model, in a block
    max_failed: float = 1.0  # share of the samples that may fail before the cell stops


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A batch, ready for the model."""

    samples: Sequence[Sample]  # that are shown
    batch: Batch | None  # None: none of them can be shown
    blind: Batch | None  # the same without images, where its scores are subtracted
    later: Batch | None  # the same with the pictures that are shown from the second sentence on
    failed: list[Prediction]


def prepare(cell: Cell, samples: Sequence[Sample]) -> Prepared:
    """Decode the images, word and encode the prompts. May run beside the model, in a thread."""
    readable, errors = prompts(cell.benchmark, samples)
    batch, refused = _encode(cell.model, readable)
    errors |= refused
    later, unseen_later = _later(cell, [each for each in samples if each.uid not in errors])
    if unseen_later:
        errors |= unseen_later
        kept = prepare(cell, [sample for sample in samples if sample.uid not in errors])
        lost = [failed(cell, each, errors[each.uid]) for each in samples if each.uid in errors]
        return replace(kept, failed=[*kept.failed, *lost])
    shown = [sample for sample in samples if sample.uid not in errors]
    unseen = [blind(prompt) for prompt in readable if prompt.uid not in errors]
    subtracts = bool(shown) and needs_blind(cell.benchmark, shown[0])
    return Prepared(
        samples=shown,
        batch=batch,
        blind=cell.model.encode(unseen) if subtracts else None,
        later=later,
        failed=[
            failed(cell, sample, errors[sample.uid]) for sample in samples if sample.uid in errors
        ],
    )


def _later(cell: Cell, shown: Sequence[Sample]) -> tuple[Batch | None, dict[str, str]]:
    """Prompts with the pictures that come midway, None where none do; and what failed, and why."""
    if not any(sample.later for sample in shown):
        return None, {}
    views = [replace(sample, images=sample.later or sample.images) for sample in shown]
    readable, errors = prompts(cell.benchmark, views)
    batch, refused = _encode(cell.model, readable)
    return batch, errors | refused


def needs_blind(benchmark: Benchmark, sample: Sample) -> bool:
    """Whether a sample's candidates are also ranked without its images."""
    return benchmark.subtracts_blind and benchmark.mode(sample) == "rank"


def blind(prompt: Prompt) -> Prompt:
    """The same prompt without images, and without the places where they stood."""
    return replace(prompt, images=(), regions=(), text=without_image_places(prompt.text))


def predict(
    cell: Cell,
    samples: Sequence[Sample],
    log: Any,
    room: Room,
    prepared: Callable[[], Prepared] | None = None,
) -> list[Prediction]:
    """Answers of some samples, at most `room.size` at once.

    Where memory runs out, what was measured half is dropped and the batch is halved, down to one
    sample, which then is a recorded error. So is a sample that the model refuses after all, for
    its candidates say; the others are answered without it.
    """
    if len(samples) <= room.size:
        try:
            return answer(cell, (prepared or partial(prepare, cell, samples))(), log)
        except RefusedError as refused:
            log.drop()
            others = [sample for sample in samples if sample.uid != refused.uid]
            (sample,) = (sample for sample in samples if sample.uid == refused.uid)
            return [failed(cell, sample, str(refused)), *predict(cell, others, log, room)]
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            said = (str(error) or type(error).__name__).splitlines()[0]
            reason = f"does not fit into memory: {said}"
        prepared = None  # outside of the handler: a traceback would hold what must be freed
        log.drop()
        release()
        if len(samples) == 1:
            return [failed(cell, samples[0], reason)]
        room.halve(len(samples))
    parts = [samples[start : start + room.size] for start in range(0, len(samples), room.size)]
    return [row for part in parts for row in predict(cell, part, log, room)]


def answer(cell: Cell, prepared: Prepared, log: Any) -> list[Prediction]:
    """What the model says to a prepared batch. The blind pass is neither edited nor measured."""
    predictions, shown, batch = list(prepared.failed), prepared.samples, prepared.batch
    if not shown:
        return predictions
    blind_scores: Sequence[Any] = [None] * len(shown)
    unmeasured = cell.intervention.is_identity and not (cell.measured or cell.watches)
    ranks = cell.benchmark.mode(shown[0]) == "rank"
    candidates = [cell.benchmark.candidates(sample) for sample in shown] if ranks else []
    with log.paused() if unmeasured else nullcontext():
        answers: Sequence[Any] = (
            cell.model.rank(batch, candidates) if ranks else _respond(cell, prepared, log)
        )
    if prepared.blind is not None:
        with log.paused():
            blind_scores = cell.model.rank(prepared.blind, candidates)
    measured = None if unmeasured else log.take()
    place = {uid: index for index, uid in enumerate(measured.uids if measured else batch.uids)}
    tokens = dict(zip(batch.uids, batch.image_tokens, strict=True))
    for sample, given, unseen in zip(shown, answers, blind_scores, strict=True):
        row = _answered(cell, sample, given, unseen, measured, place[sample.uid])
        predictions.append(replace(row, n_image_tokens=tokens[sample.uid]))
    return predictions


def _respond(cell: Cell, prepared: Prepared, log: Any) -> Sequence[Any]:
    """Generated answers; where other pictures come midway, what is measured is what reads them."""
    longest = cell.benchmark.max_new_tokens
    if prepared.later is None:
        return cell.model.respond(prepared.batch, longest)
    begun = cell.model.begin(prepared.batch, longest)
    log.drop()
    return cell.model.respond(prepared.later, longest, begun)


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
                regions=tuple(image.regions for image in sample.images),
                filler=sample.filler,
                noise=sample.noise,
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


def _answered(
    cell: Cell,
    sample: Sample,
    given: Any,
    unseen: Sequence[CandidateScore] | None,
    measured: Any,
    index: int,
) -> Prediction:
    ranked = cell.benchmark.mode(sample) == "rank"
    try:
        reading = (
            cell.benchmark.choose(given, sample, unseen)
            if ranked
            else cell.benchmark.parse(given.answer, sample)
        )
    except ValueError as error:  # scores that are not numbers
        return failed(cell, sample, str(error))
    return Prediction(
        uid=sample.uid,
        condition=cell.condition,
        raw=None if ranked else given.answer,
        scores=tuple(given) if ranked else None,
        blind_scores=None if unseen is None else tuple(unseen),
        parsed=reading.value,
        gold=sample.gold,
        status=reading.status,
        credit=cell.benchmark.credit(reading, sample),
        visual_mass=_mass(measured, index),
        cells_edited=int(measured.entries_edited[index]) if measured else 0,
        cells_by_phase={
            "prefill": int(measured.entries_edited_prefill[index]) if measured else 0,
            "decode": int(measured.entries_edited_decode[index]) if measured else 0,
        },
        visual_entropy=_entropy(measured, index),
        groups=dict(sample.groups),
        tags=dict(sample.tags) | ({} if ranked else _went_on(given)),
        options=sample.options,
        shown=_shown(sample, None if ranked else given.begun),
        guessed=reading.guessed,
        thought=None if ranked else given.thought,
        thought_tokens=None if ranked else given.thought_tokens,
        cut=None if ranked else given.cut,
        question=None if sample.options else sample.text,
    )


def _shown(sample: Sample, begun: str | None) -> dict[str, str] | None:
    """What the condition did, and with which words of the answer it began."""
    return {**sample.shown, **({} if begun is None else {BEGUN: begun})} or None


def _went_on(given: Response) -> dict[str, str]:
    """Where an answer was begun before other pictures came: whether anything was said to these, so
    that scores of the two are told apart.
    """
    if given.begun is None:
        return {}
    return {"went_on": "no" if given.answer.strip() == given.begun.strip() else "yes"}


def _mass(measured: Any, index: int) -> VisualMass | None:
    if measured is None:
        return None
    before, after = measured.layer_mass_before[index], measured.layer_mass_after[index]
    if np.isnan(before).all():  # no row saw an image
        return None
    return VisualMass(before=_by_layer(before), after=_by_layer(after))


def _entropy(measured: Any, index: int) -> VisualEntropy | None:
    if measured is None:
        return None
    before, after = measured.layer_entropy_before[index], measured.layer_entropy_after[index]
    if np.isnan(before).all():
        return None
    return VisualEntropy(before=_by_layer(before), after=_by_layer(after))


def _by_layer(values: np.ndarray) -> tuple[float | None, ...]:
    """None for layers where nothing was measured, as those without attention."""
    return tuple(None if math.isnan(value) else value for value in values.tolist())


def failed(cell: Cell, sample: Sample, error: str) -> Prediction:
    """A sample without an answer, and why, as any other run of the cell would say it."""
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
        shown=dict(sample.shown) or None,
        error=redacted_text(PASSING.sub("", error)),
    )
