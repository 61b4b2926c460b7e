"""Cells of whole models of seven billion parameters and more, from a folder to the scores.

A random checkpoint of every shape is written as the hub has it, with the processor of its family,
and goes through the evaluator: named by its content, loaded, checked, asked. What it says is noise,
what it costs is not.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from hydra import compose, initialize_config_dir

from solvent.cells import loading
from solvent.cells import run as running
from solvent.cells.processes.memory import release
from solvent.core.checkpoints import content
from solvent.core.paths import ROOT
from solvent.models import vlm
from solvent.models.features import FeatureCache
from solvent.models.prefill import Prefill
from tools.gpu.clock import seconds, synchronize
from tools.gpu.job import Job
from tools.gpu.scores import quiet
from tools.gpu.whole_checkpoints import WHOLE, Whole, narrow, write

GIB = 2**30
BEHIND = "tokens behind them, those of options too"
PARTS: dict[str, tuple[Any, str]] = {
    "loading weights": (vlm, "load_weights"),
    "checking": (vlm, "check"),
    "preparing (another thread)": (vlm.VLM, "encode"),
    "features of pictures": (FeatureCache, "fill"),
    "prompts": (Prefill, "__init__"),
    "options behind them": (Prefill, "score"),
    BEHIND: (Prefill, "extend"),
    "all of answering": (running, "answer_all"),
}
ARMS = (  # what is asked, and under which intervention; the first loads, and warms up
    ("rank", "learned"), ("rank", "learned"), ("rank", "uniform"),
    ("generate", "learned"), ("generate", "uniform"),
)  # fmt: skip


def check(job: Job) -> None:
    """Every shape: written, named, loaded, asked, and deleted."""
    for name, whole in WHOLE.items():
        whole = narrow(whole) if job.quick else whole
        with job.step(f"whole cells, {name}"), tempfile.TemporaryDirectory() as place:
            try:
                asked(job, name, whole, Path(place))
            finally:
                loading._model.cache_clear()
                release()


def asked(job: Job, name: str, whole: Whole, place: Path) -> None:
    """All arms of one shape."""
    section, folder = f"Whole cells, {name}", place / name
    dtype = torch.float32 if job.quick else torch.bfloat16
    folder.mkdir()
    started = time.perf_counter()
    size = write(whole, folder, dtype, job.device)
    job.report.add(section, "weights", "GiB", size / GIB)
    job.report.add(section, "writing", "s", time.perf_counter() - started)
    taken = seconds(job.device, lambda: content(str(folder), False))
    job.report.add(section, "naming by content", "s", taken)
    for turn, (mode, intervention) in enumerate(ARMS[-1:] if job.quick else ARMS):
        what = f"{mode}, {intervention}"
        with job.step(f"whole cells, {name}, {what}"), timed(job) as (times, counts):
            if job.cuda:
                torch.cuda.reset_peak_memory_stats()
            cell(job, name, folder, dtype, mode, intervention, place / str(turn))
        if not times["all of answering"]:
            return  # the step says why
        if turn == 0:
            for part in ("loading weights", "checking"):
                job.report.add(section, part, "s", times[part])
            if not job.quick:
                continue
        noted(job, section, what, times, counts)


def cell(
    job: Job, name: str, folder: Path, dtype: torch.dtype, mode: str, arm: str, output: Path
) -> None:
    """One cell, as `evaluate.py` computes it."""
    count, tokens = (2, 2) if job.quick else (64, 16)
    with quiet(), initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        chosen = (
            "model=hub", f"model.checkpoint={folder}", f"model.name={name}",
            "model.feature_cache_mb=0",
            f"model.dtype={str(dtype).removeprefix('torch.')}",
            f"model.device={job.device.type}", f"intervention={arm}", "batch_size=16",
            f"benchmark.answer.mode={mode}", f"benchmark.answer.max_new_tokens={tokens}",
            f"limit={count}", f"output={output}",
        )  # fmt: skip
        running.run_cell(compose("evaluate", list(chosen)))


def noted(job: Job, section: str, what: str, times: Counter[str], counts: Counter[str]) -> None:
    """Rates, memory, and where the time goes."""
    add, each = job.report.add, 1000 / counts["prompts"]
    add(section, f"{what}: questions", "1/s", counts["prompts"] / times["all of answering"])
    rate = counts["prompt tokens"] / times["prompts"]
    mean = counts["prompt tokens"] / counts["prompts"]
    add(section, f"{what}: prompt tokens", "1/s", rate, note=f"{mean:.0f} in a prompt")
    if times[BEHIND]:
        add(section, f"{what}: tokens behind prompts", "1/s", counts["more"] / times[BEHIND])
    if job.cuda:
        add(section, f"{what}: peak memory", "GiB", torch.cuda.max_memory_allocated() / GIB)
    for part in list(PARTS)[2:]:
        add(section, f"{what}: {part}", "ms a question", times[part] * each)


@contextmanager
def timed(job: Job) -> Iterator[tuple[Counter[str], Counter[str]]]:
    """Seconds in every part inside the block, waiting for the device; and what was counted."""
    times, counts = Counter[str](), Counter[str]()

    def around(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any, **kwargs: Any) -> Any:
            waits = "another thread" not in name
            if waits:
                synchronize(job.device)
            started = time.perf_counter()
            try:
                return act(*args, **kwargs)
            finally:
                if waits:
                    synchronize(job.device)
                times[name] += time.perf_counter() - started
                counted(name, args)

        return timing

    def counted(name: str, args: tuple[Any, ...]) -> None:
        if name == "prompts":
            counts["prompts"] += len(args[2].uids)
            counts["prompt tokens"] += sum(args[2].prompt_tokens)
        elif name == BEHIND:
            counts["more"] += args[1].numel()

    patches = [
        patch.object(owner, method, around(name, getattr(owner, method)))
        for name, (owner, method) in PARTS.items()
    ]
    for each in patches:
        each.start()
    try:
        yield times, counts
    finally:
        for each in patches:
            each.stop()
