"""What all modality-usage tests cost beside the plain score: `python -m tools.diagnostics_cost`.

Both are the command that a user gives, one after the other, each in a process of its own: time from
start to end, and the greatest memory of the process. Then the tests of twice as many questions,
whose memory should be the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
GOAL = 7.0  # times the plain score, at most


def measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds and MiB of one command. Raises `RuntimeError` when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "evaluate.py", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # else it is waited for again
    if process.returncode:
        raise RuntimeError(f"evaluate.py {' '.join(arguments)} failed; run it alone to see why")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=500, help="questions (default 500)")
    parser.add_argument("--model", default="tiny", help="conf/model/*.yaml (default tiny)")
    parser.add_argument("--benchmark", default="shapes", help="conf/benchmark/*.yaml")
    given = parser.parse_args()
    table = Table("command", "questions", "seconds", f"times the score, goal {GOAL:g}", "MiB")
    plain = 0.0
    with tempfile.TemporaryDirectory() as place, Console().status("running"):
        for tests, samples in (
            ("", given.samples),
            ("all", given.samples),
            ("all", 2 * given.samples),
        ):
            settings = [f"model={given.model}", f"benchmark={given.benchmark}", f"limit={samples}"]
            seconds, memory = measured([*settings, f"diagnostic=[{tests}]", f"output={place}"])
            plain = plain or seconds
            ratio = f"{seconds / plain:.1f}" if samples == given.samples else ""
            name = "score and all tests" if tests else "score"
            table.add_row(name, f"{samples:,}", f"{seconds:.1f}", ratio, f"{memory:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
