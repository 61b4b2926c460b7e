"""Questions a second: the evaluator against a plain loop of `generate`, and where the time goes.

A random model of LLaVA 1.5's shape answers questions about drawn scenes; what it says is noise,
what it costs is not.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from hydra import compose, initialize_config_dir

from interventions import load
from solvent.cells.answering import Cell
from solvent.cells.batches import run
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.core.paths import ROOT
from solvent.core.types import Benchmark, Sample
from solvent.models.checkpoint import Source, read_config
from solvent.models.features import FeatureCache
from solvent.models.prefill import Prefill
from solvent.models.processor import load_processor
from solvent.models.vlm import VLM
from solvent.storage.folder import CellFolder
from tools.answering_speed import plain_loop
from tools.gpu.clock import synchronize
from tools.gpu.job import Job
from tools.gpu.scores import quiet
from tools.gpu.shapes import CLIP_LARGE, SHAPES, llava, smaller

SECTION = "Questions a second, LLaVA-1.5-7B's shape"
PARTS: dict[str, tuple[Any, str]] = {
    "preparing (another thread)": (VLM, "encode"),
    "features of pictures, host copies included": (FeatureCache, "fill"),
    "prompts": (Prefill, "__init__"),
    "options behind them": (Prefill, "score"),
    "tokens behind them, those of options too": (Prefill, "extend"),
}


def check(job: Job) -> None:
    """Ranking and generating, in batches, with features kept and without."""
    count, tokens = (8, 2) if job.quick else (128, 8)
    shape = SHAPES["llava_1_5_7b"]
    shape = smaller(shape) if job.quick else replace(shape, tower=CLIP_LARGE)
    model = llava(shape, job.device, torch.float32 if job.quick else torch.bfloat16)
    benchmark, samples = questions(count, tokens)
    with job.step("plain loop"):
        alone = samples[: max(4, count // 4)]
        plain_loop(wrapped(model, 0), benchmark, alone[:2], tokens)  # warming up
        rate = plain_loop(wrapped(model, 0), benchmark, alone, tokens).rate
        job.report.add(SECTION, "plain loop of generate, batches of 1", "questions/s", rate)
    for megabytes in (0, 4096):
        for mode in ("generate", "rank"):
            asked = replace(benchmark, answer=replace(benchmark.answer, mode=mode))
            for intervention in ("learned",) if job.quick else ("learned", "uniform"):
                what = f"{mode}, {intervention}, features {'kept' if megabytes else 'not kept'}"
                with job.step(what):
                    vlm = wrapped(model, megabytes)
                    answered(vlm, asked, samples, intervention)  # warming up, and the features
                    turns = range(1 if job.quick else 2)
                    rates = [answered(vlm, asked, samples, intervention) for _ in turns]
                    with timed(job) as parts:
                        answered(vlm, asked, samples, intervention)
                    note = f"{max(rates) / rate:.1f} x the loop"
                    job.report.add(SECTION, what, "questions/s", rates, note=note)
                    for part, taken in parts.items():
                        each = 1000 * taken / count
                        job.report.add(SECTION, f"{what}: {part}", "ms a question", each)


def questions(count: int, tokens: int) -> tuple[Benchmark, Sequence[Sample]]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        chosen = [f"limit={count}", f"benchmark.answer.max_new_tokens={tokens}"]
        return load_benchmark(parse(compose("evaluate", chosen)).benchmark)


def wrapped(model: Any, megabytes: int) -> VLM:
    """A random model behind the interface of a checkpoint, with the processor of `tiny`."""
    folder = str(ROOT / "solvent/models/checkpoints/tiny")
    source = Source(location=folder, revision=None, trust_remote_code=False)
    processor = load_processor(
        read_config(source), folder, image_backend="pil", image_settings={}, **source.hub
    )
    side = model.config.vision_config.image_size
    processor.image_processor.size = {"height": side, "width": side}
    processor.patch_size = model.config.vision_config.patch_size
    processor.num_additional_image_tokens = 1  # CLIP's class token, which is dropped
    processor.vision_feature_select_strategy = "default"
    return VLM(
        name="random",
        source=source,
        model=model,
        processor=processor,
        image_backend="pil",
        chat_template=None,
        thinking=0,
        feature_cache_mb=megabytes,
    )


def answered(vlm: VLM, benchmark: Any, samples: Sequence[Sample], intervention: str) -> float:
    """Questions a second of the evaluator, writing included."""
    cell = Cell(
        model=vlm,
        benchmark=benchmark,
        condition="real",
        samples=samples,
        intervention=load(intervention),
        batch_size=32,
        title="",
        measured=True,
    )
    with tempfile.TemporaryDirectory() as place, quiet():
        started = time.perf_counter()
        run(cell, CellFolder(Path(place)))
        return len(samples) / (time.perf_counter() - started)


@contextmanager
def timed(job: Job) -> Iterator[Counter[str]]:
    """Seconds in every part, inside the block; waiting for the device makes the whole slower."""
    times: Counter[str] = Counter()

    def around(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any, **kwargs: Any) -> Any:
            synchronize(job.device)
            started = time.perf_counter()
            try:
                return act(*args, **kwargs)
            finally:
                synchronize(job.device)
                times[name] += time.perf_counter() - started

        return timing

    patches = [
        patch.object(owner, method, around(name, getattr(owner, method)))
        for name, (owner, method) in PARTS.items()
    ]
    for each in patches:
        each.start()
    try:
        yield times
    finally:
        for each in patches:
            each.stop()
