"""Which ends of a task that was asked to stop lead to another start; without a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.slurm import ROOT, wait_until

# What is requeued is ended at once, as by the real one; here by a signal to the script
SCONTROL = """#!/bin/sh
case $* in
  requeue*) echo "$*" >>'{log}'; kill "$PPID" ;;
  *) echo "JobId=7 JobState=RUNNING" ;;
esac
"""
# The real Python and the real launcher; only the task is another
PYTHON = """#!/bin/bash
exec '{python}' "${{@/#solvent/tests.cluster.asked}}"
"""


@dataclass(frozen=True, kw_only=True)
class End:
    """How a task ended."""

    code: int
    log: str
    requeued: list[str]
    left: list[str]  # files beside the plan


Ask = Callable[..., End]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """`ask("hears", "breaks")`: two processes are asked to stop, and end like this."""

    def run(*endings: str) -> End:
        plans, ready, log = (tmp_path / name for name in ("a plan", "ready", "requeued"))
        plans.mkdir()
        ready.mkdir()
        log.touch()
        texts = {"scontrol": SCONTROL.format(log=log), "py": PYTHON.format(python=sys.executable)}
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        inherited = {key: value for key, value in os.environ.items() if key[:5] != "SLURM"}
        with (tmp_path / "log").open("w") as output:
            script = subprocess.Popen(
                ["bash", "slurm/array.sbatch", str(plans / "sweep.tsv")],
                cwd=ROOT,
                env={
                    **inherited,
                    "PATH": f"{tmp_path}:{os.environ['PATH']}",
                    "PYTHONPATH": str(ROOT),
                    "SOLVENT_PYTHON": str(tmp_path / "py"),
                    "SLURM_JOB_ID": "7",
                    "SLURM_ARRAY_JOB_ID": "7",
                    "SLURM_ARRAY_TASK_ID": "0",
                    "SLURM_GPUS_ON_NODE": str(len(endings)),
                    "ENDINGS": " ".join(endings),
                    "READY": str(ready),
                },
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(lambda: len(list(ready.iterdir())) == len(endings), 120)
            script.send_signal(signal.SIGUSR1)
            code = script.wait(120)
        finally:
            if script.poll() is None:
                os.killpg(script.pid, signal.SIGKILL)
                script.wait()
        left = [path.name for path in plans.iterdir()]
        said = (tmp_path / "log").read_text()
        return End(code=code, log=said, requeued=log.read_text().splitlines(), left=left)

    return run


@pytest.mark.parametrize(
    "endings",
    [("hears",), ("SIGKILL",), ("SIGTERM",), ("hears", "waits"), ("SIGKILL", "waits")],
    ids=" ".join,
)
def test_a_stop_that_was_heard_is_requeued(ask: Ask, endings: tuple[str, ...]) -> None:
    end = ask(*endings)
    assert end.requeued == ["requeue 7_0"], end.log
    assert "stopped (USR1, job state RUNNING): requeued" in end.log
    assert end.left == []


@pytest.mark.parametrize(
    ("endings", "code"),
    [(("refuses",), 2), (("breaks",), 1), (("breaks", "waits"), 1), (("waits", "refuses"), 1)],
    ids=str,
)
def test_a_failure_after_the_signal_is_not(ask: Ask, endings: tuple[str, ...], code: int) -> None:
    """Also where the launcher then stops the others, which hear that."""
    end = ask(*endings)
    assert (end.code, end.requeued) == (code, []), end.log
    said = f"exit code {code}, not requeued: it was asked to stop (USR1), but a process failed"
    assert said in end.log
    assert end.left == []
