"""A finished cell that lost or changed files is never served as it is, and keeps nobody else."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure

from solvent.cells import run as session
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from solvent.reports.finished import FinishedCell, finished_places, read_cell, read_each
from solvent.storage.folder import CellFolder
from solvent.storage.records import encode
from solvent.storage.runs import runs
from solvent.studies.cell_status import statuses
from tests.comparison_of import comparison_of
from tests.reports.test_results import ROW


def read_cells(folder: Path) -> tuple[list[FinishedCell], list[str]]:
    found = [cell for _, cell in read_each(finished_places(folder))]
    cells = [cell for cell in found if isinstance(cell, FinishedCell)]
    return cells, [said for said in found if isinstance(said, str)]


Damage = Callable[[Path], None]
SMALL = ("limit=18", "batch_size=4")


def cell(output: Path, *overrides: str) -> tuple[CellFolder, dict[str, Any]]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", [*SMALL, f"output={output}", *overrides])
    metrics = run_cell(config, brief=True)
    (path,) = (output / "study/tiny/shapes").glob(f"{metrics['intervention']}-*")
    return CellFolder(path), metrics


def run_tested(output: Path) -> None:
    overrides = [f"output={output}", "limit=45", "batch_size=8", "study=tested"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", [*overrides, "diagnostic=[information]"])
    run_cell(config, brief=True)


@pytest.fixture(autouse=True)
def _undrawn(undrawn: None) -> None:
    """Figures take most of the time."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two finished cells, one of them tested."""
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).touch())
        run_tested(output)
        cell(output)
        cell(output, "intervention=permuted")
    return output


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def learned(output: Path) -> Path:
    (path,) = (output / "study/tiny/shapes").glob("learned-*")
    return path


def contents(path: Path) -> dict[str, bytes]:
    names = ("predictions.jsonl", "metrics.json", "identity.json", "DONE")
    return {name: (path / name).read_bytes() for name in names}


def parts_remain(path: Path) -> None:
    """As after a kill between DONE and the clearing up, and the merged file is lost since."""
    (path / "predictions.jsonl").rename(path / "part-0.jsonl")


def few_lines(path: Path) -> None:
    lines = (path / "predictions.jsonl").read_text().splitlines(keepends=True)
    (path / "predictions.jsonl").write_text("".join(lines[:6]))


LOST: dict[str, Damage] = {
    "predictions": lambda path: (path / "predictions.jsonl").unlink(),
    "predictions, but parts": parts_remain,
    "metrics": lambda path: (path / "metrics.json").unlink(),
    "timing": lambda path: (path / "timing.json").unlink(),
}


@pytest.mark.parametrize("lost", LOST)
def test_the_command_makes_good_what_is_lost(study: Path, lost: str) -> None:
    path = learned(study)
    before, answers = contents(path), runs(CellFolder(path))
    LOST[lost](path)
    assert not CellFolder(path).finished
    (found,) = [each for each in statuses(study, []) if each.path == path]
    assert found.state == "damaged"
    assert "is gone since it was done; its command makes it again" in found.why
    cell(study)
    assert contents(path) == before
    assert len(runs(CellFolder(path))) == len(answers)  # of those whose answers are there
    assert not list(path.glob("part-*"))


def line_with(field: str, value: Any) -> Damage:
    def edit(path: Path) -> None:
        place = path / "predictions.jsonl"
        lines = place.read_text().splitlines()
        lines[2] = json.dumps(json.loads(lines[2]) | {field: value})
        place.write_text("".join(f"{line}\n" for line in lines))

    return edit


def carriage_returns(path: Path) -> None:
    place = path / "predictions.jsonl"
    place.write_bytes(place.read_bytes().replace(b"\n", b"\r\n"))


def other_credit(path: Path) -> None:
    place = path / "predictions.jsonl"
    place.write_text(place.read_text().replace('"credit": 1.0', '"credit": 0.0', 1))


CHANGED: dict[str, Damage] = {
    "cut short": few_lines,
    "a credit": other_credit,
    "no number": line_with("credit", float("nan")),
    "ends of lines": carriage_returns,
    "a line less": lambda path: (
        (path / "predictions.jsonl").write_bytes(
            b"".join((path / "predictions.jsonl").read_bytes().splitlines(keepends=True)[1:])
        )
        and None
    ),
    "metrics": lambda path: (
        (path / "metrics.json").write_text(
            (path / "metrics.json").read_text().replace("1.0", "0.5", 1)
        )
        and None
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_was_changed_is_never_served_nor_compared(
    study: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = learned(study)
    CHANGED[what](path)
    with pytest.raises(ValueError, match=r"was changed since the cell was finished: restore it"):
        cell(study)
    with pytest.raises(ValueError, match=rf"1 of 2 cells are damaged and left out. {path}/"):
        comparison_of(study, "study", "permuted")
    assert "permuted" in capsys.readouterr().out
    assert {each.state for each in statuses(study, [])} <= {"done", "damaged"}


@pytest.mark.parametrize("field", ["credit", "uid", "gold"])
def test_a_line_that_was_changed_is_noticed_on_the_way(tmp_path: Path, field: str) -> None:
    """Before a cell is finished, nothing but the line itself can tell."""
    folder = CellFolder(tmp_path)
    folder.append([ROW, replace(ROW, uid="b")], 1.0, 0.5, 8)
    folder.append([replace(ROW, uid="c")], 1.0, 0.5, 8)
    part = folder.part(0)
    text = part.read_text()
    old, new = {"credit": ('"credit": 1.0', '"credit": NaN'), "uid": ('"uid": "b"', '"uid": "x"'),
                "gold": ('"gold": 0', '"gold": 1')}[field]  # fmt: skip
    part.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"part-0.jsonl, line [12], is not as it was written"):
        folder.resume()
    assert len(part.read_text().splitlines()) == 3  # nothing was thrown away
    part.write_text(text.replace("\n", "\r\n"))
    with pytest.raises(ValueError, match=r"part-0.jsonl, line 1, is not as it was written"):
        folder.resume()
    part.write_text(text)
    assert folder.resume() == {"a": False, "b": False, "c": False}


def test_a_line_of_before_checks_is_read_where_a_cell_is_finished(tmp_path: Path) -> None:
    row = json.loads(encode(ROW))
    del row["check"]
    (tmp_path / "predictions.jsonl").write_text(json.dumps(row) + "\n")
    assert CellFolder(tmp_path).predictions() == [ROW]
    (tmp_path / "predictions.jsonl").write_text(json.dumps(row | {"credit": float("nan")}) + "\n")
    with pytest.raises(ValueError, match=r"predictions.jsonl, line 1, .*NaN is no number of JSON"):
        CellFolder(tmp_path).predictions()


def test_lines_behind_a_torn_one_are_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CellFolder(tmp_path)
    folder.append([ROW, replace(ROW, uid="b"), replace(ROW, uid="c")], 1.0, 0.5, 8)
    part = folder.part(0)
    part.write_bytes(part.read_bytes().replace(b'{"uid": "b"', b"\0\0\0\0\0\0\0\0\0\0\0"))
    with caplog.at_level(logging.WARNING, logger="solvent"):
        assert folder.resume() == {"a": False}
    assert "is torn in the middle: 1 lines behind it are made again" in caplog.text


def test_metrics_of_other_predictions_are_refused(study: Path) -> None:
    """Both cut to 6 of 18 lines, and declared anew: a difference over 6 with `n 18` beside it."""
    for path in (study / "study/tiny/shapes").iterdir():
        few_lines(path)
        (path / "DONE").write_text('{"tracking": []}')  # as cells of before digests were kept
    cells, damaged = read_cells(study / "study")
    assert not cells
    assert all("has 6 lines, but metrics.json is of 18: restore it" in said for said in damaged)
    with pytest.raises(ValueError, match=r"no cell of the study 'study' can be read. "):
        comparison_of(study)


def test_a_uid_twice_is_refused(study: Path) -> None:
    path = learned(study)
    lines = (path / "predictions.jsonl").read_text().splitlines(keepends=True)
    (path / "predictions.jsonl").write_text("".join([*lines[:-1], lines[0]]))
    (path / "DONE").write_text('{"tracking": []}')
    with pytest.raises(ValueError, match=r"predictions.jsonl answers shapes\S+ twice: restore"):
        read_cell(path)


@pytest.mark.parametrize("name", ["metrics.json", "timing.json", "DONE"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_one_damaged_cell_keeps_nobody_from_the_others(
    study: Path, name: str, content: bytes
) -> None:
    path = learned(study)
    (path / name).write_bytes(content)
    states = {each.path: each.state for each in statuses(study / "study", [])}
    assert len(states) == 2
    unfinished = "stopped" if name == "DONE" else "damaged"  # its command looks at everything
    assert states[path] in (unfinished, "done")  # status reads no more than it shows
    cells, damaged = read_cells(study / "study")
    assert len(cells) + len(damaged) == 2
    assert {each.metrics["intervention"] for each in cells} >= {"permuted"}
    assert all(str(path) in said for said in damaged)


def test_a_condition_that_was_cut_is_answered_again(study: Path) -> None:
    tested = study / "tested"
    (path,) = (tested / "tiny/shapes").iterdir()
    places = sorted((path / "diagnostics").glob("*/predictions.jsonl"))
    before = [place.read_bytes() for place in places]
    few_lines(places[0].parent)
    with pytest.raises(ValueError, match=r"diagnostics/\S+/predictions.jsonl was changed since"):
        CellFolder(path).check()
    (path / "DONE").unlink()
    run_tested(study)
    assert [place.read_bytes() for place in places] == before


def test_a_folder_is_the_cell_that_its_identity_says(study: Path) -> None:
    """Renamed or copied, finished or not: nothing is taken from it."""
    path = learned(study)
    (permuted,) = path.parent.glob("permuted-*")
    shutil.rmtree(permuted)
    shutil.copytree(path, permuted)
    with pytest.raises(ValueError, match="is that of another cell, which was renamed or copied"):
        cell(study, "intervention=permuted")
    cells, (said,) = read_cells(study / "study")
    assert said == f"{permuted} is a copy of {path}: remove one of them"
    assert len(cells) == 1
    for name in ("DONE", "metrics.json"):
        (permuted / name).unlink()
    with pytest.raises(ValueError, match="is that of another cell, which was renamed or copied"):
        cell(study, "intervention=permuted")


def test_a_lost_file_does_not_bless_a_changed_one(study: Path) -> None:
    path = learned(study)
    (path / "metrics.json").unlink()
    few_lines(path)
    with pytest.raises(ValueError, match=r"predictions.jsonl was changed since the cell was fin"):
        cell(study)


@pytest.mark.parametrize("lost", ["findings.json", "blank/predictions.jsonl"])
def test_lost_answers_of_tests_are_made_again(study: Path, lost: str) -> None:
    (path,) = (study / "tested/tiny/shapes").iterdir()
    before = (path / "diagnostics" / lost).read_bytes()
    (path / "diagnostics" / lost).unlink()
    assert not CellFolder(path).finished
    run_tested(study)
    assert (path / "diagnostics" / lost).read_bytes() == before


def test_data_that_change_while_they_are_asked_condemn_the_answers(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = session.identify
    calls: list[int] = []

    def changed(config: Any) -> Any:
        calls.append(1)
        found = original(config)
        return found if len(calls) == 1 else replace(found, setting={**found.setting, "data": "x"})

    monkeypatch.setattr(session, "identify", changed)
    with pytest.raises(ValueError, match=r"^data changed while \S+ was computed, so that its answ"):
        cell(study, "seed=1")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="holds answers to data that were changed while they were"):
        cell(study, "seed=1")
