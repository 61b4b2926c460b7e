"""A forward of a real model that breaks off, and one that is not to be measured, leave no trace."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

import interventions
from solvent.cells.answering import Cell, predict, prepare, prompts
from solvent.cells.loading import load_benchmark, load_model
from solvent.cells.processes.memory import GLIBC, Room, release
from solvent.cells.request import parse
from solvent.core.types import Prediction
from solvent.models.prefill import Prefill


@pytest.fixture
def cell(composed: Callable[..., DictConfig]) -> Cell:
    config = composed("limit=18", "benchmark.answer.normalise=minus_blind")
    benchmark, samples = load_benchmark(parse(config).benchmark)
    return Cell(
        model=load_model(parse(config).model),
        benchmark=benchmark,
        condition="real",
        samples=samples[:6],
        intervention=interventions.load("gaussian", seed=1),
        batch_size=6,
        title="test",
        measured=True,
    )


def ranked(cell: Cell, room: Room) -> tuple[list[Prediction], tuple[int, int]]:
    with cell.model.intervene(cell.intervention) as log:
        predictions = predict(cell, cell.samples, log, room)
        return predictions, (log.entries_edited_prefill, log.entries_edited_decode)


def test_what_broke_off_is_not_measured_when_it_runs_again(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory runs out after the prompts and the first candidates were booked."""
    expected, cells = ranked(cell, Room(3))
    score, calls = Prefill.score, []

    def breaking(prefill: Prefill, column: Any) -> torch.Tensor:
        calls.append(len(column))
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(prefill, column)

    monkeypatch.setattr(Prefill, "score", breaking)
    predictions, cells_again = ranked(cell, room := Room(6))
    assert calls[:3] == [6, 6, 3]
    assert room.size == 3
    assert predictions == expected
    assert cells_again == cells


def test_memory_may_run_out_inside_the_decoder(cell: Cell) -> None:
    expected, cells = ranked(cell, Room(3))
    block, calls = cell.model.model.get_decoder().layers[3], []

    def breaking(module: Any, arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = block.register_forward_pre_hook(breaking)
    try:
        predictions, cells_again = ranked(cell, Room(6))
    finally:
        handle.remove()
    assert predictions == expected
    assert cells_again == cells


def test_the_blind_pass_is_the_untouched_models_and_nobody_measures_it(cell: Cell) -> None:
    prepared = prepare(cell, cell.samples)
    assert not any(prepared.blind.image_tokens)
    candidates = [cell.benchmark.candidates(sample) for sample in cell.samples]
    plain = cell.model.rank(prepared.blind, candidates)
    everything = interventions.load("knockout", keys=["image", "question", "system"])
    with cell.model.intervene(everything) as log:
        with log.paused():
            assert cell.model.rank(prepared.blind, candidates) == plain
        assert log.take().uids == ()
        assert (log.forwards, log.entries_edited) == (0, 0)
        assert cell.model.rank(prepared.blind, candidates) != plain
        measured = log.take()
    assert measured.uids == prepared.batch.uids
    assert (measured.entries_edited > 0).all()
    rows, _ = ranked(cell, Room(6))
    blind = {row.uid: list(row.blind_scores) for row in rows}
    assert [blind[sample.uid] for sample in cell.samples] == plain
    assert all(np.isfinite(row.visual_mass.after).all() for row in rows)


@pytest.mark.skipif(
    not GLIBC or torch.accelerator.is_available(), reason="there memory is left alone"
)
def test_freed_memory_is_kept_for_the_next_batch_and_given_back_when_there_is_none(
    composed: Callable[..., DictConfig],
) -> None:
    """Counted in pages that the kernel has to provide for a batch, over and over."""
    config = composed("limit=36")
    model = load_model(parse(config).model)
    batch = model.encode(prompts(*load_benchmark(parse(config).benchmark))[0])

    def faults(times: int) -> float:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(times):
            model.generate(batch, 2)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / times

    faults(3)
    assert faults(3) < 1000
    release()
    assert faults(1) > 4000
