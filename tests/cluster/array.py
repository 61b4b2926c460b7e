"""Arrays of tasks on the test's Slurm."""

from __future__ import annotations

import re
from pathlib import Path

from solvent.studies.sweep import PlannedCell, plan_text
from tests.cluster.slurm import Slurm

SMALL = ("--cpus-per-task=1", "--mem=1G")


def submit(slurm: Slurm, *arguments: str) -> tuple[str, str]:
    """Numbers of the array and of the comparison that `slurm/submit` makes."""
    shown = slurm.call("slurm/submit", *arguments, *SMALL)
    match = re.search(r"array (\d+), then comparison (\d+)", shown)
    assert match, shown
    return match[1], match[2]


def by_hand(slurm: Slurm, plan: Path, cells: list[list[str]], *options: str) -> str:
    """Number of an array of one task that runs these cells, without planning, which takes long."""
    lines = [
        PlannedCell(task=0, hours=None, folder="-", overrides=tuple(overrides))
        for overrides in cells
    ]
    plan.write_text(plan_text(lines))
    options = (f"--output={plan}.out", *SMALL, *options)
    script = ("slurm/array.sbatch", str(plan))
    return slurm.call("sbatch", "--parsable", "--array=0", *options, *script)


def rows(folder: Path) -> int:
    """Answers that are recorded below a folder in cells that are not finished."""
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("part*.jsonl"))


def running(slurm: Slurm, array: str) -> list[dict[str, str]]:
    """Its tasks that run now."""
    tasks = [job for job in slurm.jobs() if job.get("ArrayJobId") == array]
    return [job for job in tasks if job["JobState"] == "RUNNING"]


def ended(slurm: Slurm, *names: str) -> bool:
    """All of these jobs have come to their end."""
    return all(slurm.job(name)["JobState"] in ("COMPLETED", "FAILED") for name in names)
