"""Arrays of tasks on the test's Slurm."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.slurm import Slurm


def submit(slurm: Slurm, *arguments: str) -> tuple[str, str]:
    """Numbers of the array and of the comparison."""
    shown = slurm.call("slurm/submit", *arguments, "--cpus-per-task=1", "--mem=1G")
    match = re.search(r"array (\d+), then comparison (\d+)", shown)
    assert match, shown
    return match[1], match[2]


def rows(folder: Path) -> int:
    """Answers that are recorded below a folder, finished or not."""
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("part*.jsonl"))


def running(slurm: Slurm, array: str) -> list[dict[str, str]]:
    tasks = [job for job in slurm.jobs() if job.get("ArrayJobId") == array]
    return [job for job in tasks if job["JobState"] == "RUNNING"]


def ended(slurm: Slurm, *numbers: str) -> bool:
    return all(slurm.job(n)["JobState"] in ("COMPLETED", "FAILED") for n in numbers)
