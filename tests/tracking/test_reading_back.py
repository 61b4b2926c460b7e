"""Cells that were logged to W&B come back as they were, or one sentence says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from pandas.testing import assert_frame_equal

from solvent import results
from solvent.cells.run import run_cell
from solvent.commands import compare
from solvent.core.paths import CONF
from solvent.storage.folder import CellFolder
from solvent.tracking.reading_back import read_back
from tests.cells.followed import (
    IDENTITY,
    METRICS,
    PREDICTIONS,
    SAMPLES,
    follow,
    weights_and_biases,
)
from tests.conftest import Run
from tests.tracking.compared import told
from tests.tracking.served import Api, Served, ServedRun

PROJECT = "team/solvent"
SECRET = '{"uid": "shapes/0", "raw": "password=hunter22hunter22"}\n'


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of another machine: two cells, one of them with a modality-usage test, that were
    logged, and a comparison of them.
    """
    place = tmp_path_factory.mktemp("origin")
    for overrides in (["intervention=learned"], ["intervention=uniform", "diagnostic=consistency"]):
        given = [f"output={place}", "limit=18", "tracking=wandb", *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            run_cell(compose("evaluate", given), brief=True)
    assert told(weights_and_biases(place / "study"), place / "study/comparison")
    return place


@pytest.fixture
def api(origin: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    served = Api.of(PROJECT, origin / "study/wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("wandb.login", lambda **_: True)
    monkeypatch.setattr("wandb.Api", lambda **_: served)
    return served


def run_of(api: Api, name: str) -> ServedRun:
    (found,) = [run for run in api.runs_there if run.name.startswith(name)]
    return found


def files(folder: Path) -> dict[str, bytes]:
    places = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in places}


def test_cells_come_back_as_they_were(api: Api, origin: Path, tmp_path: Path) -> None:
    said = read_back(PROJECT, tmp_path, "study")
    assert said.startswith("2 cells fetched from W&B's team/solvent, 0 in ")
    for place in (tmp_path / "study").glob("*/*/*"):
        there = origin / place.relative_to(tmp_path)
        known = files(there)
        assert files(place) == {name: known[name] for name in files(place)}
        left = {name.rpartition(".")[2] for name in known.keys() - files(place).keys()}
        assert left <= {"png", "npz"}
    assert [each.name for each in (tmp_path / "study").iterdir()] == ["tiny"]
    for table in (results.cells, results.samples):
        here, there = table(tmp_path), table(origin)
        assert_frame_equal(here.drop(columns="folder"), there.drop(columns="folder"))
    assert len(here["condition"].unique()) > 1  # those of the test came, too


def test_what_is_here_is_not_fetched_and_what_was_interrupted_goes_on(
    api: Api, tmp_path: Path
) -> None:
    first, second = (run for run in api.runs_there if run.job_type != "compare")
    whole = second.artifacts
    second.artifacts = [Torn(second.cell.name, "cell", second.cell.files)]
    with pytest.raises(ValueError, match=r"W&B could not be read \(the network is gone\)"):
        read_back(PROJECT, tmp_path, "study")
    assert len(results.cells(tmp_path)) == 1  # no half of a cell
    second.artifacts = whole
    first.cell.downloads.clear()
    assert read_back(PROJECT, tmp_path, "study").startswith("1 cell fetched")
    assert first.cell.downloads == ["DONE"]
    assert read_back(PROJECT, tmp_path, "study").startswith("0 cells fetched")


def test_compare_fetches_and_compares(api: Api, run: Run, tmp_path: Path) -> None:
    code, out, err = run("study=study", f"from_wandb={PROJECT}", "figures=[]", command=compare)
    assert (code, err) == (0, "")
    assert "2 cells fetched from W&B's team/solvent" in out
    assert (tmp_path / "study/comparison/arms.csv").exists()
    code, _, err = run("study=study", "from_wandb=3", command=compare)
    assert (code, err) == (2, "from_wandb is 3; expected a text or null: put it in quotes "
                              "(\"'...'\" on a command line)\n")  # fmt: skip


class Torn(Served):
    """An artifact of which a file arrives, and then nothing."""

    def download(self, root: str, skip_cache: bool) -> str:
        self.get_entry("metrics.json").download(root, skip_cache)
        raise ConnectionError("the network is gone")


def spoil(cell: Served, name: str, place: Path) -> None:
    """Let one file of an artifact hold something else."""
    place.write_bytes(cell.files[name].read_bytes() + b"\n")
    cell.files = {**cell.files, name: place}


def test_damage_is_told_and_all_others_are_fetched(api: Api, tmp_path: Path) -> None:
    spoil(run_of(api, "learned").cell, "predictions.jsonl", tmp_path / "spoilt")
    with pytest.raises(ValueError, match=r"1 of 2 cells could not be fetched.* came damaged"):
        read_back(PROJECT, tmp_path / "here", "study")
    assert [*results.cells(tmp_path / "here")["intervention"]] == ["uniform"]


def changed(place: Path) -> None:
    """Another answer, declared as it stands."""
    metrics = place / "metrics.json"
    metrics.write_text(metrics.read_text() + "\n")
    CellFolder(place).finish([])


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (changed, "differs from cell-.* in metrics.json: move one of them away"),
        (lambda place: (place / "DONE").unlink(), "was begun here and is not finished"),
        (lambda place: (place / "timing.json").unlink(), "lacks timing.json: run its command"),
    ],
)
def test_another_cell_in_its_place_stays(
    what: Callable[[Path], None], expected: str, api: Api, tmp_path: Path
) -> None:
    read_back(PROJECT, tmp_path, "study")
    (place,) = (tmp_path / "study").glob("*/*/learned-*")
    what(place)
    before = files(tmp_path)
    with pytest.raises(ValueError, match=expected):
        read_back(PROJECT, tmp_path, "study")
    assert files(tmp_path) == before


def test_secrets_that_were_not_uploaded_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell whose answers hold a secret is the same here and there."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = tmp_path / "here/known/tiny/shapes" / IDENTITY
    cell.mkdir(parents=True)
    contents = {"predictions.jsonl": SECRET, "timing.json": "{}", "metrics.json": "{}"}
    for name, text in contents.items():
        (cell / name).write_text(text)
    with follow(weights_and_biases(tmp_path), cell) as followed:
        assert followed.finish(
            metrics=METRICS,
            predictions=PREDICTIONS,
            samples=SAMPLES,
            figures=[],
            files=[cell / name for name in contents],
        )
    CellFolder(cell).finish([])
    served = Api.of(PROJECT, tmp_path / "wandb")
    assert "hunter22" not in served.runs_there[0].cell.files["predictions.jsonl"].read_text()
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr("wandb.login", lambda **_: True)
    monkeypatch.setattr("wandb.Api", lambda **_: served)
    assert read_back(PROJECT, tmp_path / "here", "known").startswith("0 cells fetched")
    assert read_back(PROJECT, tmp_path / "there", "known").startswith("1 cell fetched")


@pytest.mark.parametrize(
    ("project", "study", "expected"),
    [
        ("team/other", "study", "there is no project team/other on W&B, or it is not yours"),
        ("a/b/c", "study", "from_wandb is 'a/b/c'; expected ENTITY/PROJECT"),
        (PROJECT, "stduy", "no cells of the group 'stduy': did you mean 'study'"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    project: str, study: str, expected: str, api: Api, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=expected):
        read_back(project, tmp_path, study)
    assert not list(tmp_path.iterdir())


def test_nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(ValueError, match="WANDB_MODE is offline: unset it"):
        read_back(PROJECT, tmp_path, "study")
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match="nobody is logged in: run `wandb login`"):
        read_back(PROJECT, tmp_path, "study")


def test_a_run_decides_no_place_outside_the_study(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(api, "learned")
    run.config = {"cell": f"/x/../../{run.name}"}
    other = run_of(api, "uniform")
    other.cell.files = {**other.cell.files, "../../x": other.cell.files["DONE"]}
    with pytest.raises(ValueError, match="2 of 2 cells") as refused:
        read_back(PROJECT, tmp_path, "study")
    assert "does not say where its cell belongs" in str(refused.value)
    assert "holds ../../x, which no cell has" in str(refused.value)
    run.state = "crashed"
    with pytest.raises(ValueError, match="1 of 1 cells"):
        read_back(PROJECT, tmp_path, "study")
    assert "1 of 2 runs of the group study did not finish" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
