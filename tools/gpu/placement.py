"""Where a model and its activations are: compiled, off-loaded, out of memory, two on one card."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from interventions import intervene, load
from solvent.cells.processes.memory import release
from solvent.core.paths import ROOT
from tests.random_models import random_inputs, random_model
from tools.gpu.job import Job
from tools.gpu.scores import compare, predictions

SECTION = "Placement"
NAMES = ("uniform", "gaussian", "knockout", "adapt_vis")
CLOSE = 1e-3  # of logits, float32
ROOM = 96 * 2**20  # bytes that a batch of 512 does not fit into


def check(job: Job) -> None:
    """Each by itself; what needs CUDA is left out elsewhere."""
    for act in (compiled, off_loaded, out_of_memory, two_on_one_card):
        if not job.cuda:
            job.report.leave_out(SECTION, f"{act.__name__.replace('_', ' ')}: needs CUDA")
            continue
        with job.step(act.__name__.replace("_", " ")):
            act(job)


@torch.no_grad()
def compiled(job: Job) -> None:
    """A compiled model under an intervention gives what the plain one gives."""
    model = random_model("llava").to(job.device)
    inputs = on_device(model, random_inputs(model, (9, 6)))
    plain = {name: logits(model, inputs, name) for name in NAMES}
    model.compile()
    started = time.perf_counter()
    for name in NAMES:
        gap = (logits(model, inputs, name) - plain[name]).abs().max().item()
        job.report.add(SECTION, f"torch.compile, {name}: and plain", "logits, largest", gap, CLOSE)
    job.report.add(
        SECTION, "torch.compile: compiling and running", "s", time.perf_counter() - started
    )


@torch.no_grad()
def off_loaded(job: Job) -> None:
    """A model of which a part lies in host memory, placed by device_map="auto"."""
    folder, found = ROOT / "solvent/models/checkpoints/tiny", []
    for memory in (None, {0: 2 * 2**20, "cpu": 8 * 2**30}):
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, device_map="auto", max_memory=memory
        ).eval()
        devices = set(map(str, getattr(model, "hf_device_map", {}).values()))
        inputs = tiny_inputs(model)
        found.append({name: logits(model, inputs, name).cpu() for name in NAMES[:3]})
    if "cpu" not in devices:
        job.report.fail(SECTION, f"nothing was off-loaded: {sorted(devices)}")
    for name, here in found[0].items():
        gap = (here - found[1][name]).abs().max().item()
        job.report.add(SECTION, f"off-loaded, {name}: and placed", "logits, largest", gap, CLOSE)


def out_of_memory(job: Job) -> None:
    """A batch that does not fit is halved until it does, and the scores are those of small ones."""
    asked = ("limit=512", "intervention=uniform", "model.device=cuda")
    small = predictions(*asked, "batch_size=16")
    with little_room(job.device), Halvings() as halvings:
        large = predictions(*asked, "batch_size=512")
    job.report.add(SECTION, "memory runs out: batches halved", "times", halvings.count)
    if not halvings.count:
        job.report.fail(SECTION, "memory was to run out with 512 prompts at once, but did not")
    compare(job, "after halving, and batches of 16", large, small, "float32")


def two_on_one_card(job: Job) -> None:
    """Two tasks side by side on one device, against one after the other."""
    alone = sum(together(job, [name]) for name in NAMES[:2])
    both = together(job, list(NAMES[:2]))
    job.report.add(
        SECTION, "two tasks on one card: both, and one after the other", "x", both / alone
    )


def together(job: Job, names: list[str]) -> float:
    """Seconds until all tasks, started at once, are done."""
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        tasks = [
            subprocess.Popen(
                [sys.executable, str(ROOT / "evaluate.py"), f"intervention={name}", "limit=120",
                 f"model.device={job.device.type}", f"output={place}"],
                cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            for name in names
        ]  # fmt: skip
        try:
            for task in tasks:
                _, errors = task.communicate()
                if task.returncode:
                    raise RuntimeError(errors.decode().strip().splitlines()[-1])
            return time.perf_counter() - started
        finally:  # the time may be over
            for task in tasks:
                task.kill()
                task.wait()


def logits(model: Any, inputs: dict[str, Any], name: str) -> torch.Tensor:
    with intervene(model, load(name)) as log:
        log.expect([f"row {row}" for row in range(len(inputs["input_ids"]))])
        return model(**inputs).logits


def on_device(model: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.to(model.device) for key, value in inputs.items()}


def tiny_inputs(model: Any) -> dict[str, torch.Tensor]:
    """A prompt for `tiny`: 64 image tokens in a text."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 600, (2, 90), generator=draw)
    settings = json.loads((ROOT / "solvent/models/checkpoints/tiny/config.json").read_text())
    ids[:, 5:69] = settings["image_token_index"]
    pixels = torch.randn(2, 3, 64, 64, generator=draw)
    device = torch.device("cuda")
    return {
        "input_ids": ids.to(device),
        "attention_mask": torch.ones_like(ids).to(device),
        "pixel_values": pixels.to(device),
    }


@contextmanager
def little_room(device: torch.device) -> Iterator[None]:
    """The allocator refuses more than a little beyond what is taken."""
    release()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


class Halvings(logging.Handler):
    """Counts how often the evaluator says that memory ran out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "out of memory" in record.getMessage()

    def __enter__(self) -> Halvings:
        logging.getLogger("solvent").addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        logging.getLogger("solvent").removeHandler(self)
