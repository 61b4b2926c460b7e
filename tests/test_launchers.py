"""Jobs that a launcher of Hydra runs in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solvent.commands.commandline import Command

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "hydra_plugins.hydra_submitit_launcher"


def test_a_job_elsewhere_raises_and_one_here_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    command = Command()
    with command.job():
        raise ValueError("no cheese")
    assert (command.code, capsys.readouterr().err) == (2, "no cheese\n")
    command = Command()
    command.process = os.getpid() + 1  # as it arrives where the launcher's job runs
    with pytest.raises(ValueError, match="no cheese"), command.job():
        raise ValueError("no cheese")


def test_a_bad_job_of_submitit_fails_the_command_and_not_the_others(tmp_path: Path) -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_submitit_launcher", reason="needs pip install .[slurm]"
    )
    sweep = ["intervention=knockout", "intervention.layers=[77],[1]", "limit=9"]
    done = subprocess.run(
        [sys.executable, "evaluate.py", "-m", "hydra/launcher=submitit_local", *sweep,
         f"output={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "The model has 6 layers" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    (path,) = tmp_path.glob("study/tiny/shapes/*/metrics.json")
    assert json.loads(path.read_text())["layers"] == "[1]"


def test_slurm_settings_compose(tmp_path: Path) -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_submitit_launcher", reason="needs pip install .[slurm]"
    )
    done = subprocess.run(
        [sys.executable, "evaluate.py", "hydra/launcher=slurm", "--cfg", "hydra", "--package",
         "hydra.launcher"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "max_num_timeout: 20" in done.stdout
    assert "SlurmLauncher" in done.stdout
