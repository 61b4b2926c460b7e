"""Full disks, read-only folders, damaged files, clocks, hangs: a sentence, and nothing damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.cells.asking import identify
from solvent.cells.identity import cell_folder
from solvent.cells.mistakes import sentence
from solvent.cells.request import parse
from solvent.cells.run import run_cell
from solvent.core.files import DiskError, make_folder
from solvent.storage.folder import CellFolder
from tests.processes import Death, complete, contents, finish, kill, said, start, stuck

pytestmark = pytest.mark.xdist_group("processes")  # which share one server

SETTINGS = ("limit=27", "batch_size=3", "intervention=gaussian")
Compose = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole") / "out"
    complete([*SETTINGS, f"output={output}"], 1)
    return contents(output)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path, but: int) -> Path:
    """Fill a disk up to so many bytes."""
    filler = disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(disk).free - but))
    return filler


def test_a_disk_that_fills_up_keeps_what_it_has_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, whole: dict[str, bytes], composed: Compose
) -> None:
    config = composed(*SETTINGS, f"output={small_disk}")
    filler = fill(small_disk, but=45_000)
    with pytest.raises(
        DiskError, match=r"no space is left for .*make room and run the same command"
    ):
        run_cell(config)
    (cell,) = (small_disk / "study/tiny/shapes").iterdir()
    kept = len(CellFolder(cell).resume())
    assert 0 < kept < 27
    assert not (cell / "predictions.jsonl").exists()
    assert list(cell.glob("claim-*")) == []
    filler.unlink()
    run_cell(config)
    assert contents(small_disk) == whole


def test_a_full_disk_is_refused_before_anything_is_computed(small_disk: Path) -> None:
    fill(small_disk, but=50_000)
    with pytest.raises(DiskError, match=r"0.0 MiB left, but the results take at least 0.2 MiB"):
        make_folder(small_disk / "cell", needed=200_000)


def test_a_read_only_folder_is_refused_in_a_sentence(small_disk: Path, composed: Compose) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DiskError) as refused:
        run_cell(composed(*SETTINGS, f"output={small_disk}"))
    assert sentence(refused.value).startswith(f"{small_disk}/study/tiny/shapes/gaussian-")
    assert "cannot be written (Read-only file system)" in sentence(refused.value)
    assert list(small_disk.iterdir()) == []


def test_so_is_one_that_is_there_already(small_disk: Path, composed: Compose) -> None:
    config = composed(*SETTINGS, f"output={small_disk}")
    folder = cell_folder(parse(config), identify(parse(config))).path
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DiskError) as refused:
        run_cell(config)
    said = f"{folder} cannot be written (Read-only file system): choose another place with output="
    assert sentence(refused.value).startswith(said)


def test_a_finished_cell_is_shown_from_a_disk_that_cannot_be_written(
    small_disk: Path, composed: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    config = composed(*SETTINGS, f"output={small_disk}")
    metrics = run_cell(config)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    capsys.readouterr()
    assert run_cell(config) == metrics
    assert "already finished" in capsys.readouterr().out


OPENS = """
import sys
from pathlib import Path
from solvent.core.files import make_folder
opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments) if event == "open" else None)
make_folder(Path(sys.argv[1]), 1)
sys.exit(str(opened) if opened else 0)
"""


def test_making_a_folder_makes_no_file_that_a_kill_could_leave(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "cell"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", OPENS, folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert folder.is_dir()


def test_a_damaged_file_of_an_earlier_run_is_named_and_left_alone(
    tmp_path: Path, composed: Compose
) -> None:
    config = composed(*SETTINGS)
    run_cell(config)
    (cell,) = (tmp_path / "study/tiny/shapes").iterdir()
    (cell / "DONE").unlink()
    (cell / "config.yaml").write_text("model: {name: tiny")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        run_cell(config)
    assert contents(tmp_path) == before
    assert (cell / "config.yaml").read_text() == "model: {name: tiny"


def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, whole: dict[str, bytes], composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(10**6, 0, -1))
    monkeypatch.setattr(time, "time", lambda: float(next(moments)))
    run_cell(composed(*SETTINGS))
    assert contents(tmp_path) == whole


def test_of_two_tasks_on_one_cell_one_does_it_and_the_other_says_so(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    output = tmp_path / "out"
    both = [start([*SETTINGS, f"output={output}"], 1) for _ in range(2)]
    codes = sorted(finish(processes)[0] for processes in both)
    assert codes in ([0, 75], [0, 0])  # or one came when the other was through
    if codes == [0, 75]:
        assert "is being worked on by process" in said(output)
    assert contents(output) == whole


def test_a_process_that_answers_no_more_is_named_and_the_run_ends(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """Its threads live; see `test_signs` for one that is stopped."""
    output = tmp_path / "out"
    settings = [*SETTINGS, "batch_size=1", f"output={output}"]
    hangs = Death(rank=1, change=4, cause=stuck)  # before its third batch is kept
    main, other = start([*settings, "stuck_minutes=0.1"], 2, hangs)
    main.join(120)
    assert main.exitcode == 70
    kill([other])
    assert f"process 1 (pid {other.pid} on " in said(output)
    assert "hangs: it has answered nothing for 0.1 minutes and has 11 samples to" in said(output)
    (outcome,) = output.rglob("outcome.json")
    assert json.loads(outcome.read_text())["state"] == "failed"
    complete(settings, 2)
    assert list(output.rglob("DONE"))
