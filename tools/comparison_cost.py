"""What `python compare.py` takes on a study of made-up answers: seconds, and greatest memory.

python -m tools.comparison_cost                                  # 300 cells of 1,000 questions
python -m tools.comparison_cost --cells 10000 --folder /scratch/study   # 12 GB
python -m tools.comparison_cost --profile compare.prof           # and where the time goes

A study is written below the folder and kept there, so that it is there the next time and can be
grown; without `--folder` it is written for one measurement. `tools.synthetic_study` says what is in
it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tools.synthetic_study import Study

ROOT = Path(__file__).resolve().parent.parent
LARGE = 1000  # cells from which on there are more models and benchmarks


@dataclass(frozen=True)
class Cost:
    """Of one command."""

    seconds: float
    mebibytes: float  # the greatest that one of its processes had at a time
    processor_seconds: float  # of all its processes


def measured(study: Path, profile: Path | None, log: Path) -> Cost:
    """Compare a study in a process of its own. Raises `RuntimeError` where that fails.

    Args:
        study: its folder.
        profile: where to write what `python -m pstats` reads; the time is longer then.
        log: where the output of the command goes.
    """
    profiled = ["-m", "cProfile", "-o", str(profile)] if profile else []
    settings = [f"output={study.parent}", f"study={study.name}"]
    command = [sys.executable, *profiled, "compare.py", *settings]
    started = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # else it is waited for again
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed; {log} says why")
    return Cost(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cells", type=int, default=300, help="in all (default 300)")
    parser.add_argument("--samples", type=int, default=1000, help="of a cell (default 1000)")
    parser.add_argument("--models", type=int, help="default 3, of 1,000 cells or more 10")
    parser.add_argument("--benchmarks", type=int, help="likewise")
    parser.add_argument("--per-image", type=int, default=2, help="questions (default 2)")
    parser.add_argument("--folder", type=Path, help="keeps the study (default: nowhere)")
    parser.add_argument("--profile", type=Path, help="file of a profile")
    given = parser.parse_args()
    many = 10 if given.cells >= LARGE else 3
    screen = Console()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(given.folder or place).resolve()
        study = Study(
            folder=folder, cells=given.cells, samples=given.samples,
            models=given.models or many, benchmarks=given.benchmarks or many,
            per_image=given.per_image,
        )  # fmt: skip
        started = time.perf_counter()
        written = study.write()
        screen.print(f"{written:,} cells written in {time.perf_counter() - started:.0f} s")
        cost = measured(folder, given.profile, folder / "compare.log")
    screen.print(
        f"{given.cells:,} cells of {given.samples:,} questions: {cost.seconds:.1f} s "
        f"({cost.processor_seconds:.1f} s of processors), at most {cost.mebibytes:,.0f} MiB",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
