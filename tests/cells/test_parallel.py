"""Several processes, and processes that are killed: the same bytes as one that nobody disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solvent.cells.processes.parallel import RemoteError, Team
from solvent.core.stopping import Stopped
from tests.processes import ROOT, complete, contents, finish, said, start
from tests.stress import SCORED, stress, stress_changes

pytestmark = pytest.mark.xdist_group("processes")  # which share one server

GAUSSIAN = ("batch_size=4", "intervention=gaussian")
TESTS = ("diagnostic=[consistency]", "diagnostic.consistency.dimensions=1",
         "diagnostic.consistency.sweep=[1]", "diagnostic.consistency.permutations=19",
         "diagnostic.consistency.halves=10")  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        (["limit=27", *GAUSSIAN, *TESTS], (1, 2, 3)),  # 7 batches, one of 3
        (["limit=5", *GAUSSIAN], (1, 3)),  # 2 batches: one process has none
    ],
    ids=["tests", "more processes than batches"],
)
def test_any_number_of_processes_writes_the_same_bytes(
    settings: list[str], sizes: tuple[int, ...], tmp_path: Path
) -> None:
    found = {}
    for size in sizes:
        complete([*settings, f"output={tmp_path / str(size)}"], size)
        found[size] = contents(tmp_path / str(size))
    names = {name.partition("-")[2].partition("/")[2] for name in found[1]}
    assert {"predictions.jsonl", "metrics.json", "DONE"} <= names
    if TESTS[0] in settings:
        assert {"diagnostics/findings.json", "diagnostics/swap/predictions.jsonl"} <= names
        assert any("states" in name for name in names)
    for size in sizes[1:]:
        assert found[size].keys() == found[1].keys()
        assert [name for name in found[1] if found[size][name] != found[1][name]] == []


def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    tally = stress(10, [SCORED], tmp_path, seed=3)
    assert tally.kills == 10
    assert tally.finished >= 1


def test_what_is_changed_between_kills_is_never_mixed(tmp_path: Path) -> None:
    tally = stress_changes(6, tmp_path, seed=1)
    assert (tally.kills, tally.finished) == (6, 4)


def test_what_fails_in_one_process_ends_all_and_is_said_once(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "study").write_text("a file where the main process wants a folder")
    codes = finish(start(["limit=27", f"output={output}"], 2))
    assert codes[0] == 2
    assert codes[1] != 0
    assert said(output).count("cannot be written (Not a directory)") == 1


def test_accelerate_launches_processes_that_share_a_cell(tmp_path: Path) -> None:
    """`torch.distributed.run`, which it calls, is used by the tests of the cluster."""
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1",
                "--num_processes", "2", "--main_process_port", "0", "--mixed_precision", "no",
                "--dynamo_backend", "no"]  # fmt: skip
    command = [sys.executable, "-m", *launcher, "evaluate.py", "limit=9", "batch_size=2",
               f"output={tmp_path}"]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (cell,) = (tmp_path / "study/tiny/shapes").iterdir()
    assert json.loads((cell / "provenance.json").read_text())[0]["processes"] == 2
    assert done.stdout.count("9/9") == 1


def test_alone_everything_is_done_at_once() -> None:
    team = Team()
    assert team.exchange("here") == ["here"]
    assert team.once(lambda: 3) == 3
    with pytest.raises(KeyError), team.together():
        raise KeyError("as it is")


def test_failures_of_others_come_before_their_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    from solvent.cells.processes.parallel import Failure

    stop, fail = Failure.of(Stopped("asked", 75), "p0"), Failure.of(ValueError("broken"), "p1")
    monkeypatch.setattr(Team, "_meet", lambda *_: [(None, stop), (None, fail), (1, None)])
    with pytest.raises(RemoteError, match="p1: broken"):
        Team(rank=2, size=3).exchange(1)
    monkeypatch.setattr(Team, "_meet", lambda *_: [(None, stop), (1, None)])
    with pytest.raises(Stopped) as stopped:
        Team(rank=1, size=2).exchange(1)
    assert stopped.value.code == 75
