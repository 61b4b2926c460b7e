"""What `python -m solvent status` says of every state that a cell can be in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from solvent.commands import status
from solvent.commands.commandline import Command
from solvent.storage import claims
from solvent.studies.cell_status import DIED, status_of
from solvent.studies.sweep import PlannedCell, plan_text


def begun(output: Path, name: str, answered: int = 0, failed: int = 0) -> Path:
    """A cell that was begun, with some answers."""
    folder = output / "demo" / "tiny" / "shapes" / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    rows = [{"uid": f"s{n}", "status": "error" if n < failed else "ok"} for n in range(answered)]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "part-0.jsonl").write_text(f'{lines}{{"uid": "torn')
    return folder


def claim(folder: Path, **changes: object) -> None:
    """Say that somebody works on a cell."""
    made = replace(claims.mine(1), **{"done": 40, "total": 160, **changes})
    (folder / "claim-1.json").write_text(json.dumps(asdict(made)))


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def finish(folder: Path, errors: int = 0) -> None:
    (folder / "metrics.json").write_text(json.dumps({"score": {"rows": 18}, "errors": errors}))
    (folder / "timing.json").write_text('{"seconds": 1.0}')
    (folder / "predictions.jsonl").touch()
    (folder / "DONE").write_text('{"tracking": []}')


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`call("outputs")` is `python -m solvent status outputs`: exit code, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["status", *map(str, arguments)])
        monkeypatch.setattr(status, "command", Command())
        with pytest.raises(SystemExit) as ended:
            status.command.run(status.main)
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_living_process_is_shown_with_its_progress(tmp_path: Path) -> None:
    folder = begun(tmp_path, "uniform-1", answered=3, failed=1)
    claim(folder, doing="tiny on shapes: uniform", job="12_3")
    found = status_of(folder)
    assert (found.state, found.done, found.total, found.failed) == ("running", 40, 160, 1)
    assert found.doing == ""  # which cell it is says its path
    assert found.where.endswith(f"pid {os.getpid()}, job 12_3")


def test_a_process_that_is_gone_died_without_a_word(tmp_path: Path) -> None:
    folder = begun(tmp_path, "uniform-1")
    claim(folder, pid=ended_pid())
    found = status_of(folder)
    assert (found.state, found.why) == ("stopped", DIED)


@pytest.mark.parametrize(("age", "state"), [(5, "running"), (300, "stopped")])
def test_on_another_machine_silence_tells(tmp_path: Path, age: int, state: str) -> None:
    folder = begun(tmp_path, "uniform-1")
    claim(folder, machine="node07/x", host="node07", pid=1)
    path = folder / "claim-1.json"
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert status_of(folder).state == state


def test_an_outcome_is_told_in_its_own_words(tmp_path: Path) -> None:
    folder = begun(tmp_path, "uniform-1", answered=7)
    text = json.dumps({"state": "failed", "why": "no space is left", "total": 90})
    (folder / "outcome.json").write_text(text)
    found = status_of(folder)
    assert (found.state, found.why, found.done, found.total) == (
        "failed", "no space is left", 7, 90,
    )  # fmt: skip


def test_nobody_and_nothing_said(tmp_path: Path) -> None:
    found = status_of(begun(tmp_path, "uniform-1", answered=2))
    assert (found.state, found.done) == ("stopped", 2)
    assert "nobody works on it" in found.why


def test_a_condition_of_the_tests_is_named(tmp_path: Path) -> None:
    folder = begun(tmp_path, "uniform-1", answered=2)
    (folder / "part-0.jsonl").rename(folder / "predictions.jsonl")
    (folder / "diagnostics/swap").mkdir(parents=True)
    (folder / "diagnostics/swap/part-0.jsonl").write_text('{"uid": "s1", "status": "ok"}\n')
    found = status_of(folder)
    assert (found.doing, found.done) == ("swap", 1)
    claim(folder, doing="swap, condition 2 of 3")
    assert status_of(folder).doing == "swap, condition 2 of 3"


def test_the_table_names_what_needs_attention_and_counts_the_rest(call, tmp_path: Path) -> None:
    for number in range(3):
        finish(begun(tmp_path, f"learned-{number}"), errors=1)
    claim(begun(tmp_path, "uniform-1"))
    failed = begun(tmp_path, "knockout-1", answered=4)
    (failed / "outcome.json").write_text('{"state": "failed", "why": "no [bold] space"}')
    folder = tmp_path / "demo/tiny/shapes/gaussian-1"
    plan = tmp_path / "sweep.tsv"
    cell = PlannedCell(task=0, hours=None, folder=str(folder), overrides=("seed=0",))
    plan.write_text(plan_text([cell]))
    code, output, _ = call(tmp_path, "--plan", plan)
    assert code == 0
    assert "cells: 6, of these 3 done, 1 waiting, 1 running, 1 failed" in output
    assert "demo/tiny/shapes/3 cells" in output
    assert "40 of 160, 25 %" in output
    assert "no [bold] space" in output
    assert output.index("knockout-1") < output.index("uniform-1") < output.index("gaussian-1")
    code, output, _ = call(tmp_path, "--json")
    assert {each["state"] for each in json.loads(output)} == {"done", "running", "failed"}


def test_no_cell_is_said(call, tmp_path: Path) -> None:
    code, _, errors = call(tmp_path / "nowhere")
    assert code == 2
    assert "There is no cell below" in errors


def test_it_needs_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "solvent", "status", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "pandas", "matplotlib"}
