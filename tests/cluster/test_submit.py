"""What `slurm/submit` plans and hands to sbatch; without a cluster."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Submit = Callable[..., subprocess.CompletedProcess[str]]

# Write down how they were called, one JSON list per line, and answer as the real ones do
SBATCH = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
number = sum(1 for _ in open({log!r}))
if number >= int(os.environ.get("REFUSED_FROM", "1000")):
    sys.exit("sbatch: error: Batch job submission failed")
print(number)
"""
SCONTROL = "#!/bin/sh\necho 'MaxArraySize            = 1001'\n"
PYTHON = """#!{python}
import json, os, sys
if sys.argv[1] == "-m":
    open({log!r} + ".own", "w").write(os.environ.get("SOLVENT_CONFIG_DIR", ""))
    with open({log!r}, "a") as log:
        log.write(json.dumps(sys.argv[2:]) + "\\n")
    print(open({plan!r}).read(), end="")
"""


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Runs it with a plan of so many tasks (two cells each)."""

    def run(*arguments: str, tasks: int = 3, studies: int = 1) -> subprocess.CompletedProcess[str]:
        rows = ["# task\thours\tcell\toverrides"]
        for task in range(tasks):
            study = tmp_path / "out puts" / f"study {task % studies}"
            rows += [f"{task}\t1.5\t{study}/tiny/shapes/{n}-0\tseed=0" for n in ("a", "b")]
        (tmp_path / "plan").write_text("".join(f"{row}\n" for row in rows))
        texts = {"sbatch": SBATCH, "scontrol": SCONTROL, "python": PYTHON}
        for name, text in texts.items():
            log, plan = str(tmp_path / f"{name}.log"), str(tmp_path / "plan")
            path = tmp_path / name
            path.write_text(text.format(python=sys.executable, log=log, plan=plan))
            path.chmod(0o755)
        return subprocess.run(
            [ROOT / "slurm" / "submit", *arguments],
            env=os.environ
            | {
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "SOLVENT_PYTHON": str(tmp_path / "python"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


def calls(folder: Path, name: str = "sbatch") -> list[list[str]]:
    return [json.loads(line) for line in (folder / f"{name}.log").read_text().splitlines()]


def test_the_array_covers_the_plan_and_the_comparison_waits(submit: Submit, tmp_path: Path) -> None:
    done = submit("experiment=demo", "--hours=0.5", "--gres=gpu:4", "--partition=gpu")
    assert done.returncode == 0, done.stderr
    array, compare = calls(tmp_path)
    assert {"--array=0-2", "--time=30", "--gres=gpu:4", "--partition=gpu"} <= set(array)
    script, plan, first = array[-3:]
    assert (script, first) == ("slurm/array.sbatch", "0")
    assert Path(plan).read_text() == (tmp_path / "plan").read_text()
    assert {"--dependency=afterany:1", "--partition=gpu"} <= set(compare)
    assert "--gres=gpu:4" not in compare  # it needs no GPU
    outputs = str(tmp_path / "out puts")
    assert compare[-3:] == ["slurm/compare.sbatch", outputs, "study 0"]
    assert "cells: 6, tasks: 3, array 1, then comparison 2" in done.stdout
    (progress,) = [line for line in done.stdout.splitlines() if "solvent status" in line]
    assert shlex.split(progress)[-1] == f"{outputs}/study 0"


def test_settings_arrive_as_they_were_typed(submit: Submit, tmp_path: Path) -> None:
    awkward = [
        "prompt.text='Is it, a cat? (yes/no) = b'",
        "layers=[1,2],[3]",
        'x="a  b"',
        "y=$HOME*",
    ]
    assert submit(*awkward, "--hours=2", "--gres=gpu:a100:4", "--nodes=2").returncode == 0
    asked = ["--hours", "2", "--processes", "8"]
    assert calls(tmp_path, "python") == [["solvent", "plan", *awkward, *asked]]


def test_more_tasks_than_an_array_may_have(submit: Submit, tmp_path: Path) -> None:
    assert submit("experiment=demo", "--throttle=8", tasks=2500).returncode == 0
    *arrays, compare = calls(tmp_path)
    assert [call[1] for call in arrays] == [
        "--array=0-1000%8",
        "--array=0-1000%8",
        "--array=0-497%8",
    ]
    assert [call[-1] for call in arrays] == ["0", "1001", "2002"]
    waits = [[x for x in call if x.startswith("--dependency")] for call in arrays]
    assert waits == [[], ["--dependency=afterany:1"], ["--dependency=afterany:2"]]
    assert "--dependency=afterany:1:2:3" in compare


def test_every_study_is_compared(submit: Submit, tmp_path: Path) -> None:
    assert submit("study=a,b", studies=2).returncode == 0
    assert [call[-1] for call in calls(tmp_path)[1:]] == ["study 0", "study 1"]


def test_a_dry_run_submits_and_writes_nothing(submit: Submit, tmp_path: Path) -> None:
    done = submit("experiment=demo", "--dry-run")
    assert done.returncode == 0
    assert "slurm/array.sbatch" in done.stderr
    assert "(dry run)" in done.stdout
    assert not (tmp_path / "sbatch.log").exists()
    assert not (tmp_path / "out puts").exists()


def test_nothing_is_left_to_do(submit: Submit, tmp_path: Path) -> None:
    done = submit("experiment=demo", tasks=0)
    assert (done.returncode, done.stdout) == (0, "Nothing to submit: every cell is finished.\n")
    assert not (tmp_path / "sbatch.log").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say what to run"),
        (("experiment=demo", "-p", "gpu"), "'-p' is neither"),
        (("experiment=demo", "--gres", "gpu:1"), "'gpu:1' is neither"),
        (("experiment=demo", "--hours=long"), "--hours=long is no time"),
    ],
)
def test_mistakes_are_refused_in_a_sentence(
    submit: Submit, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = submit(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "sbatch.log").exists()


def test_no_python(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "slurm" / "submit", "experiment=demo"],
        env=os.environ | {"SOLVENT_PYTHON": "/no/python"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "There is no Python at '/no/python'" in done.stderr


@pytest.mark.parametrize(
    ("option", "processes"),
    [("--gres=gpu:4", 4), ("--gres=gpu", 1), ("--gres=gpu:a100", 1), ("--gres=gpu:h100:2", 2),
     ("--gpus-per-node=h200", 1), ("--gpus-per-node=h200:8", 8), ("--gpus-per-node=3", 3)],
)  # fmt: skip
def test_gpus_may_have_a_kind(submit: Submit, tmp_path: Path, option: str, processes: int) -> None:
    done = submit("experiment=demo", option)
    assert done.returncode == 0, done.stderr
    (plan,) = calls(tmp_path, "python")
    assert plan[-2:] == ["--processes", str(processes)]
    assert option in calls(tmp_path)[0]


@pytest.mark.parametrize("refused", [2, 3])
def test_what_runs_is_named_when_a_later_job_is_refused(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    monkeypatch.setenv("REFUSED_FROM", str(refused))
    done = submit("experiment=demo", tasks=1500)  # two arrays, and the comparison
    assert done.returncode != 0
    arrays = " ".join(str(number) for number in range(1, refused))
    assert done.stderr.count(f"'scancel {arrays}'") == 1
    assert "array" not in done.stdout


def test_the_first_refusal_leaves_nothing_behind(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSED_FROM", "1")
    done = submit("experiment=demo")
    assert done.returncode != 0
    assert "scancel" not in done.stderr


def test_an_old_bash_is_refused(submit: Submit) -> None:
    text = (ROOT / "slurm" / "submit").read_text().replace("BASH_VERSINFO[1]", "-500")
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs bash 4.4 or newer" in done.stderr


def test_a_folder_of_the_user_s_own_is_seen_from_where_they_are(
    submit: Submit, tmp_path: Path
) -> None:
    done = submit("experiment=demo", "--config-dir=mine", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "python.log.own").read_text() == str(tmp_path / "mine")
    assert "--config-dir" not in done.stdout + done.stderr  # sbatch hears nothing of it
