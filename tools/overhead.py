"""What everything but the model costs: `python -m tools.overhead --help`.

A stand-in for a model answers at once, so that all that is left is ours: preparing batches, reading
answers, writing every batch to disk, progress, a tracker, merging, scoring. Memory is looked at ten
times between the first batch and the last.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from solvent.cells.answering import Cell
from solvent.cells.batches import run
from solvent.cells.processes.monitor import Monitor
from solvent.core.types import CandidateScore, Prediction, Sample
from solvent.storage.folder import CellFolder
from solvent.tracking.lines import JsonLines

GOAL = 1.0  # milliseconds per sample, at most
LAYERS, OPTIONS, POINTS = 28, ("a cat", "a dog", "a cow", "none of them"), 10


@dataclass(eq=False)
class StandIn:
    """A model that likes the first option, whose attention was measured in 28 layers."""

    total: int
    answered: int = 0
    memory: dict[int, float] = field(default_factory=dict)  # samples answered -> MiB
    _uids: list[str] = field(default_factory=list)

    def encode(self, prompts: Sequence[Any]) -> Any:
        """The prompts as they are."""
        uids = [prompt.uid for prompt in prompts]
        return SimpleNamespace(uids=uids, image_tokens=[576] * len(uids))

    def rank(self, batch: Any, candidates: Sequence[Any]) -> list[list[CandidateScore]]:
        """The same scores for everybody; looks at the memory now and then."""
        self._uids = batch.uids
        self.answered += len(batch.uids)
        if self.answered * POINTS // self.total > len(self.memory):
            self.memory[self.answered] = psutil.Process().memory_info().rss / 2**20
        scores = [CandidateScore(log_probability=-1.5 - k, tokens=2) for k in range(len(OPTIONS))]
        return [scores] * len(candidates)

    @contextmanager
    def intervene(self, intervention: Any, *, must_edit: bool = True) -> Iterator[Any]:
        """The log of an intervention that edited every sample."""
        yield SimpleNamespace(take=self._measured, seconds=0.0)

    def _measured(self) -> Any:
        values = np.random.default_rng(self.answered).random((len(self._uids), LAYERS))
        counts = np.ones(len(self._uids), dtype=int)
        names = ("mass_before", "mass_after", "entropy_before", "entropy_after")
        return SimpleNamespace(
            uids=self._uids,
            entries_edited=counts,
            entries_edited_prefill=counts,
            entries_edited_decode=counts,
            **{f"layer_{name}": values for name in names},
        )


@dataclass(frozen=True, kw_only=True)
class Questions:
    """A benchmark of text alone, scored by the mean."""

    name: str = "overhead"
    subtracts_blind: bool = False

    def mode(self, sample: Sample) -> str:
        return "rank"

    def prompt(self, sample: Sample) -> str:
        return sample.text

    def candidates(self, sample: Sample) -> Sequence[str]:
        return sample.options

    def choose(self, scores: Any, sample: Sample, blind: Any) -> Any:
        return SimpleNamespace(value=0, status="ok", guessed=False)

    def credit(self, reading: Any, sample: Sample) -> float:
        return float(reading.value == sample.gold)

    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        return {"score": {"value": float(np.mean([row.credit for row in predictions]))}}

    def guessed(self, predictions: Sequence[Prediction]) -> float:
        return 1 / len(OPTIONS)


def measured(count: int, batch_size: int) -> tuple[float, float, StandIn]:
    """Seconds for so many samples, those of a processor, and the stand-in with what it saw."""
    samples = [
        Sample(uid=f"overhead/{n:07d}", images=(), text="What is it?", options=OPTIONS, gold=n % 4)
        for n in range(count)
    ]
    model = StandIn(total=count)
    cell = Cell(
        model=model,
        benchmark=Questions(),
        condition="real",
        samples=samples,
        intervention=SimpleNamespace(name="none", is_identity=False),
        batch_size=batch_size,
        title="overhead",
        measured=True,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = CellFolder(Path(place))
        folder.make(count)
        started, worked = time.perf_counter(), time.process_time()
        follows = JsonLines(seconds_between_points=1.0).follow(
            identity=cell.title,
            folder=folder.path,
            study=cell.title,
            config={},
            labels={},
            provenance={},
            total=count,
        )
        with follows as tracker:
            metrics = run(cell, folder, Monitor(progress=tracker.progress))
            stored = folder.stored()
            tracker.finish(
                metrics=metrics, predictions=stored, samples=samples, figures=(), files=()
            )
        return time.perf_counter() - started, time.process_time() - worked, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=10_000, help="at least 10 (default 10,000)")
    parser.add_argument("--batch-size", type=int, default=32, help="(default 32)")
    settings = parser.parse_args()
    seconds, processor, model = measured(settings.samples, settings.batch_size)
    each, own = (1000 * value / settings.samples for value in (seconds, processor))
    console = Console()
    table = Table("samples answered", "resident memory, MiB", title="memory")
    for answered, memory in model.memory.items():
        table.add_row(f"{answered:,}", f"{memory:,.0f}")
    console.print(table)
    console.print(
        f"{each:.3f} ms per sample at batches of {settings.batch_size}, goal {GOAL:g}: "
        f"{'reached' if each < GOAL else 'missed'} ({own:.3f} ms of them on a processor; the rest "
        "is waiting for the disk or for other programs)"
    )


if __name__ == "__main__":
    main()
