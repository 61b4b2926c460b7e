"""How fast questions are answered, beside a plain loop: `python -m evaluation.benchmark --help`.

The plain loop is the usual one: for every sample the processor, `model.generate` on a batch of one,
and the decoder of the tokenizer. The evaluator answers the same samples with the same model in the
same process, everything included that it does for a result: measuring attention, reading answers,
writing every batch to disk.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Table

from evaluation.answering import Cell
from evaluation.provenance import ROOT
from evaluation.results import CellFolder
from evaluation.runner import run
from evaluation.session import load_benchmark, load_model
from evaluation.types import Benchmark, Sample

GOAL = 5.0  # times as fast as the plain loop


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one way of answering took, and how well it did."""

    label: str
    seconds: float
    samples: int
    accuracy: float

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds


def plain_loop(
    model: Any, benchmark: Benchmark, samples: Sequence[Sample], max_new_tokens: int
) -> Timing:
    """One sample at a time with the calls that the documentation of transformers shows."""
    processor, network = model.processor, model.model
    right, started = 0.0, time.perf_counter()
    for sample in track(samples, "plain loop, batch of one"):
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
        right += benchmark.credit(benchmark.read(raw, sample), sample)
    seconds = time.perf_counter() - started
    return Timing(
        label="plain loop: processor, generate, decode",
        seconds=seconds,
        samples=len(samples),
        accuracy=right / len(samples),
    )


def evaluated(config: DictConfig, samples: Sequence[Sample], mode: str) -> Timing:
    """The same samples through the evaluator, into a folder that is thrown away."""
    benchmark, _ = load_benchmark(config.benchmark)
    intervention = instantiate(config.intervention, _convert_="all")
    label = f"evaluator: {mode}, batches of {config.batch_size}, {intervention.name}"
    cell = Cell(
        model=load_model(config.model),
        benchmark=benchmark,
        condition="real",
        samples=samples,
        intervention=intervention,
        batch_size=config.batch_size,
        title=label,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = CellFolder(Path(place))
        folder.open("", {})
        started = time.perf_counter()
        run(cell, folder)
        seconds = time.perf_counter() - started
        rows = folder.predictions()
    return Timing(
        label=label,
        seconds=seconds,
        samples=len(rows),
        accuracy=sum(row.credit for row in rows) / len(rows),
    )


def show(console: Console, timings: Sequence[Timing], title: str) -> None:
    """One line per way; the first is what the others are compared with."""
    table = Table(
        "way", "samples / s", "times the plain loop", f"goal {GOAL:g}", "accuracy", title=title
    )
    for timing in timings:
        ratio = timing.rate / timings[0].rate
        verdict = "" if timing is timings[0] else "reached" if ratio >= GOAL else "missed"
        table.add_row(
            timing.label,
            f"{timing.rate:.1f}",
            f"{ratio:.1f}",
            verdict,
            f"{100 * timing.accuracy:.1f} %",
            style="red" if verdict == "missed" else None,
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=1000, help="questions (default 1000)")
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

    config = composed("benchmark.answer.mode=generate")
    model = load_model(config.model)
    benchmark, samples = load_benchmark(config.benchmark)
    tokens = config.benchmark.answer.max_new_tokens
    timings = [plain_loop(model, benchmark, samples, tokens)]
    timings += [
        evaluated(composed(f"benchmark.answer.mode={mode}"), samples, mode)
        for mode in ("generate", "rank")
    ]
    title = (
        f"{settings.model} on {len(samples):,} questions of {settings.benchmark}, {model.device}"
    )
    show(Console(), timings, title)


if __name__ == "__main__":
    main()
