"""`tiny` through the evaluator: the same scores on the device as on the CPU, every time."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from hydra import compose, initialize_config_dir

from solvent.cells.run import run_cell
from solvent.core.paths import ROOT
from tools.gpu.job import Job

INTERVENTIONS = ("learned", "uniform", "gaussian", "knockout")
ROUNDING = {"float32": 2e-3, "bfloat16": 0.5}  # of a log-probability, largest difference in nats
SECTION = "Scores of `tiny`"


def check(job: Job) -> None:
    """Every precision: the device against the CPU, a second run, batches of one."""
    limit = 24 if job.quick else 120
    for intervention in INTERVENTIONS[1:2] if job.quick else INTERVENTIONS:
        asked = (f"intervention={intervention}", f"limit={limit}")
        cpu = predictions(*asked, "model.device=cpu", "model.dtype=float32")
        for dtype in ROUNDING:
            here = (*asked, f"model.device={job.device.type}", f"model.dtype={dtype}")
            with job.step(f"{intervention}, {dtype}"):
                first = predictions(*here)
                compare(
                    job, f"{intervention}, {dtype}: device and CPU in float32", first, cpu, dtype
                )
                again = predictions(*here)
                what = f"{intervention}, {dtype}: second run"
                job.report.add(SECTION, what, "lines that differ", differing(first, again), 0)
                single = predictions(*here, "batch_size=1")
                what = f"{intervention}, {dtype}: batches of 32 and of 1"
                compare(job, what, first, single, dtype)


def predictions(*overrides: str) -> list[str]:
    """Lines of predictions.jsonl of one cell, computed anew."""
    with (
        tempfile.TemporaryDirectory() as place,
        quiet(),
        initialize_config_dir(str(ROOT / "conf"), version_base="1.3"),
    ):
        run_cell(compose("evaluate", [f"output={place}", *overrides]), brief=True)
        (path,) = Path(place).rglob("predictions.jsonl")
        return path.read_text().splitlines()


@contextmanager
def quiet() -> Iterator[None]:
    """Without the tables of the evaluator."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def differing(first: list[str], second: list[str]) -> int:
    return sum(one != other for one, other in zip(first, second, strict=True))


def compare(job: Job, what: str, ours: list[str], theirs: list[str], dtype: str) -> None:
    """The largest difference of any candidate's log-probability, and of the accuracies."""
    pairs = [(json.loads(a), json.loads(b)) for a, b in zip(ours, theirs, strict=True)]
    gaps = [
        abs(a["log_probability"] - b["log_probability"])
        for one, other in pairs
        for a, b in zip(one["scores"], other["scores"], strict=True)
    ]
    flipped = sum(one["parsed"] != other["parsed"] for one, other in pairs)
    note = f"{flipped} of {len(pairs)} answers differ"
    largest = max(gaps) if all(map(math.isfinite, gaps)) else math.nan
    job.report.add(SECTION, what, "nats, largest", largest, ROUNDING[dtype], note)
