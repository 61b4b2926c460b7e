"""How fast questions are answered, beside a plain loop.

    python -m tools.answering_speed --help
    python -m torch.distributed.run --standalone --nproc_per_node 2 -m tools.answering_speed

The plain loop is the usual one: for every sample the processor, `model.generate` on a batch of one,
and the decoder of the tokenizer. The evaluator answers the same samples with the same model, in as
many processes as were launched, everything included that it does for a result: measuring attention,
reading answers, writing every batch to disk, merging. Both have all cores of the CPU, or the GPUs
of their processes. They take turns over all samples, so that whatever else the machine does meets
them alike; the ratio is the median over turns.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Table

from solvent.cells.answering import Cell
from solvent.cells.batches import run
from solvent.cells.building import build
from solvent.cells.loading import load_benchmark, load_model
from solvent.cells.processes.parallel import team
from solvent.cells.request import parse
from solvent.core.paths import ROOT
from solvent.core.types import Benchmark, Sample
from solvent.storage.folder import CellFolder

GOAL = 5.0  # times as fast as the plain loop


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one way of answering took for some samples, and how well it did."""

    seconds: float
    samples: int
    right: float

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds


def plain_loop(
    model: Any, benchmark: Benchmark, samples: Sequence[Sample], max_new_tokens: int
) -> Timing:
    """One sample at a time with the calls that the documentation of transformers shows.

    In the main process; the others wait.
    """
    if not team().main:
        team().exchange()
        return Timing(seconds=0.0, samples=0, right=0.0)
    torch.set_num_threads(cores())
    processor, network = model.processor, model.model
    right, started = 0.0, time.perf_counter()
    for sample in samples:
        content = [{"type": "image"}] * len(sample.images)
        content += [{"type": "text", "text": benchmark.prompt(sample)}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        images = [image.load() for image in sample.images]
        inputs = processor(images=images or None, text=text, return_tensors="pt")
        inputs = inputs.to(network.device, network.dtype)
        with torch.inference_mode():
            output = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        new = output[0, inputs["input_ids"].shape[1] :]
        raw = processor.tokenizer.decode(new, skip_special_tokens=True)
        right += benchmark.credit(benchmark.parse(raw, sample), sample)
    seconds = time.perf_counter() - started
    team().exchange()
    return Timing(seconds=seconds, samples=len(samples), right=right)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def evaluated(config: DictConfig, samples: Sequence[Sample]) -> Timing:
    """The same samples through the evaluator, into a folder that is thrown away."""
    torch.set_num_threads(max(1, cores() // team().size))
    benchmark, _ = load_benchmark(parse(config).benchmark)
    intervention = build(parse(config).intervention, "intervention")
    cell = Cell(
        model=load_model(parse(config).model),
        benchmark=benchmark,
        condition="real",
        samples=samples,
        intervention=intervention,
        batch_size=config.batch_size,
        title="",
        measured=True,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = CellFolder(Path(team().once(lambda: place)))
        started = time.perf_counter()
        run(cell, folder)
        seconds = time.perf_counter() - started
        right = team().once(lambda: sum(row.credit for row in folder.stored()))
    return Timing(seconds=seconds, samples=len(samples), right=right)


def show(console: Console, timings: Mapping[str, Sequence[Timing]], title: str) -> None:
    """One line per way; the first is what the others are compared with."""
    table = Table(
        "way", "samples / s", f"times the plain loop, goal {GOAL:g}", "accuracy", title=title
    )
    (_, plain), *_ = timings.items()
    for label, turns in timings.items():
        ratios = [ours.rate / theirs.rate for ours, theirs in zip(turns, plain, strict=True)]
        ratio, samples = statistics.median(ratios), sum(turn.samples for turn in turns)
        compared = f"{ratio:.1f}  ({min(ratios):.1f} to {max(ratios):.1f})"
        table.add_row(
            label,
            f"{samples / sum(turn.seconds for turn in turns):.1f}",
            "1" if turns is plain else compared,
            f"{100 * sum(turn.right for turn in turns) / samples:.1f} %",
            style="red" if turns is not plain and ratio < GOAL else None,
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=1000, help="questions (default 1000)")
    parser.add_argument("--turns", type=int, default=3, help="of every way (default 3)")
    parser.add_argument("--model", default="tiny", help="conf/model/*.yaml (default tiny)")
    parser.add_argument("--benchmark", default="shapes", help="conf/benchmark/*.yaml")
    parser.add_argument("--intervention", default="learned", help="of the evaluator's lines")
    parser.add_argument("--batch-size", type=int, default=32, help="of the evaluator's lines")
    settings = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            names = ("model", "benchmark", "intervention", "batch_size")
            chosen = [f"{name}={getattr(settings, name)}" for name in names]
            return compose("evaluate", [*chosen, f"limit={settings.samples}", *overrides])

    generating, ranking = (composed(f"benchmark.answer.mode={m}") for m in ("generate", "rank"))
    model = load_model(parse(generating).model)
    benchmark, samples = load_benchmark(parse(generating).benchmark)
    tokens = generating.benchmark.answer.max_new_tokens
    setup = f"{settings.intervention}, batches of {settings.batch_size}, processes {team().size}"
    ways: dict[str, Callable[[Sequence[Sample]], Timing]] = {
        "plain loop": lambda part: plain_loop(model, benchmark, part, tokens),
        f"generate: {setup}": lambda part: evaluated(generating, part),
        f"rank: {setup}": lambda part: evaluated(ranking, part),
    }
    timings: dict[str, list[Timing]] = {label: [] for label in ways}
    for way in ways.values():
        way(samples[: settings.batch_size])  # warming up
    todo = [*ways.items()] * settings.turns
    for label, way in track(todo, "turns", disable=not team().main):
        timings[label].append(way(samples))
    if not team().main:
        return
    title = (
        f"{settings.model} on {len(samples):,} questions of {settings.benchmark}, {model.device}"
    )
    show(Console(), timings, title)


if __name__ == "__main__":
    main()
