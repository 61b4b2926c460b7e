"""A folder of the user's own, outside of the repository: definitions, modules, weights."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from interventions import available, load
from solvent.cells.asking import identify
from solvent.cells.recomputing import recompute
from solvent.cells.request import parse
from solvent.commands import calibrate, compare, evaluate, plan, show, task
from solvent.commands.commandline import Command
from solvent.core.own_code import _first_seen
from solvent.core.paths import OWN, ROOT
from solvent.studies.composing import compose_cell, composing
from solvent.studies.own_folder import own_definitions, taken_out
from tests.conftest import Run, last_sentence

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

from interventions.methods.patterns import Uniform
from solvent.diagnostics.measures import Measures


@dataclass(frozen=True, kw_only=True)
class Even(Uniform):
    strength: float


@dataclass(frozen=True, kw_only=True)
class Mine(Measures):
    name: ClassVar[str] = "worth"
"""
INTERVENTION = """
# Mine.
defaults: [learned, _self_]
name: even_more
pattern: {_target_: own_parts.Even, strength: 2.0}
"""
FITTED = """
defaults: [learned, _self_]
name: fitted
pattern:
  _target_: interventions.methods.patterns.Stored
  file: ${oc.env:SOLVENT_CONFIG_DIR}/fitted.safetensors
"""
CALIBRATION = "defaults: [fixed_mean, _self_]\nsamples: 4\n"
DIAGNOSTIC = "# @package diagnostic.worth\n"
BENCHMARK = """
defaults: [kind/base@_here_, _self_]
name: pets
source:
  _target_: solvent.benchmarks.source.LocalFiles
  root: pictures # of this folder
  file: pets.json
  format: array
  obtain: draw them
  unroll: {}
  sample:
    _target_: solvent.benchmarks.sample.Columns
    uid: "pets/{file}"
    images: [{from: file}]
    text: What colour is it?
    context: null
    options: [red, blue]
    gold: {from: colour, as: option}
    groups: {}
    tags: {}
    meta: {}
chance: 0.5
"""
MODEL = "defaults: [tiny, _self_]\nname: own_tiny\ncheckpoint: weights/tiny\n"
ASKED = ("model=own_tiny", "benchmark=pets", "intervention=even_more")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where somebody works elsewhere; nothing of it is left in this process."""
    place = tmp_path / "mine"
    shutil.copytree(ROOT / "solvent/models/checkpoints/tiny", place / "weights/tiny")
    measures = (ROOT / "conf/diagnostic/measures.yaml").read_text().partition("_target_:")[2]
    settings = measures.partition("\n")[2]
    for name, text in {
        "own_parts.py": MODULE,
        "intervention/even_more.yaml": INTERVENTION,
        "intervention/fitted.yaml": FITTED,
        "calibration/fitted.yaml": CALIBRATION,
        "diagnostic/worth.yaml": f"{DIAGNOSTIC}_target_: own_parts.Mine\n{settings}",
        "benchmark/pets.yaml": BENCHMARK,
        "model/own_tiny.yaml": MODEL,
        "pictures/pets.json": json.dumps([{"file": f"{name}-{n}.png", "colour": name}
                                          for n in range(4) for name in ("red", "blue")]),
        "wandb/__init__.py": "raise ImportError('of somebody else')",
    }.items():  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    for n in range(4):
        for colour in ("red", "blue"):
            picture = Image.new("RGB", (64, 64), colour)
            picture.putpixel((n, n), (0, 0, 0))  # no two are the same
            picture.save(place / f"pictures/{colour}-{n}.png")
    monkeypatch.delenv(OWN, raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield place
    sys.modules.pop("own_parts", None)


def cell(study: Path, name: str = "even_more") -> Path:
    (found,) = study.glob(f"own_tiny/pets/{name}-*")
    return found


@pytest.mark.usefixtures("undrawn")
def test_one_cell_of_all_that_is_own(run: Run, folder: Path, tmp_path: Path) -> None:
    """From a working directory that is neither theirs nor ours."""
    own = f"--config-dir={folder}"
    code, _, errors = run(own, "-m", *ASKED[:2], "intervention=learned,even_more",
                          "diagnostic=[measures,worth]")  # fmt: skip
    assert code == 0, errors
    metrics = json.loads((cell(tmp_path / "study") / "metrics.json").read_text())
    assert metrics["score"]["n"] == 8
    assert (metrics["model"], metrics["variant"]) == ("own_tiny", "")  # as its file says
    worth, measures = (metrics["diagnostics"][name]["metrics"] for name in ("worth", "measures"))
    assert worth["perceptual_score"]["n"] == 8
    assert worth["perceptual_score"] == measures["perceptual_score"]
    definition = json.loads((cell(tmp_path / "study") / "identity.json").read_text())
    assert "model.safetensors" in definition["model"]["checkpoint"]  # found, and not on the hub
    assert OWN not in os.environ
    assert str(folder) not in sys.path
    code, output, _ = run(own, command=compare)
    assert code == 0
    assert "even_more" in output
    code, output, errors = run(own, *ASKED[:2], "n=1", command=show)
    assert code == 0, errors
    assert "pets/red-0.png" in output
    with pytest.raises(ValueError, match="or of your own folder, named by --config-dir"):
        recompute(cell(tmp_path / "study"), [])
    with own_definitions(folder):
        again = recompute(cell(tmp_path / "study"), [])
    assert again["worth"]["verdict"] == metrics["diagnostics"]["worth"]["verdict"]


@pytest.mark.parametrize("helper", ["own_help.py", "own_help/part.py", "own_help/__init__.py"])
def test_other_code_makes_another_cell(folder: Path, helper: str) -> None:
    """Also where a module only imports what has changed; a cell of ours stays what it is."""
    (folder / "own_parts.py").write_text(f"import own_help\n{MODULE}")
    (folder / helper).parent.mkdir(exist_ok=True)
    (folder / helper).write_text("A = 1\n")
    asked = (
        ("model=tiny",),
        ("intervention=even_more",),
        ("diagnostic=[measures,worth]", "limit=60"),
        ("diagnostic=[measures]", "limit=60"),
    )

    def folders() -> list[str]:
        _first_seen.cache_clear()  # as in another process
        with own_definitions(folder), composing():
            return [identify(parse(compose_cell([*each]))).folder for each in asked]

    before = folders()
    (folder / helper).write_text("A = 2\n")
    assert [one == two for one, two in zip(before, folders(), strict=True)] == [
        True, False, False, True,
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_a_plan_remembers_the_folder(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    code, planned, errors = run("--config-dir", str(folder), *ASKED, command=plan)
    assert code == 0, errors
    assert planned.splitlines()[1] == f"#config-dir\t{folder}"
    (tmp_path / "sweep.tsv").write_text(planned)

    def ends(*options: str) -> int:
        given = ["solvent task", str(tmp_path / "sweep.tsv"), "0", *options]
        monkeypatch.setattr(sys, "argv", given)
        monkeypatch.setattr(task, "command", Command())
        with pytest.raises(SystemExit) as ended:
            task.command.run(task.main)
        return ended.value.code

    assert ends() == 0, capfd.readouterr().err
    assert (cell(tmp_path / "study") / "DONE").exists()
    moved = folder.rename(folder.with_name("moved"))
    assert ends() == 2
    assert ends("--config-dir", str(moved)) == 0, capfd.readouterr().err


def test_a_file_of_its_own_is_made(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("model=own_tiny", "intervention=fitted", "limit=9")
    code, _, errors = run(f"--config-dir={folder}", *asked)
    assert code == 2
    assert f"solvent calibrate --config-dir={folder}" in last_sentence(errors)
    monkeypatch.setenv(OWN, str(folder))  # the other way to say it
    code, _, errors = run(*asked, command=calibrate)
    assert code == 0, errors
    assert (folder / "fitted.safetensors").is_file()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["intervention=even_mor"], "did you mean 'even_more'"),
        (["diagnostic=[wort]"], "did you mean 'worth'"),
        (["--config-dir=nowhere"], "there is no folder"),
        (["--config-dir="], "--config-dir names no folder"),
        (["--config-dir=~nobody-at-all/mine"], "leads nowhere"),
    ],
)
def test_what_is_mistaken_is_said(run: Run, folder: Path, asked: list[str], said: str) -> None:
    given = asked if asked[0].startswith("--") else [f"--config-dir={folder}", *asked]
    code, _, errors = run(*given, command=evaluate)
    assert code == 2
    assert said in last_sentence(errors)


def test_the_option_counts_rather_than_the_environment(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the environment names is not there, or has a module of the same name."""
    asked = ("intervention=even_more", "limit=2", f"output={tmp_path / 'results'}")
    monkeypatch.setenv(OWN, str(tmp_path / "nowhere"))
    code, _, errors = run(*asked, command=evaluate)
    assert code == 2
    assert "there is no folder" in last_sentence(errors)
    assert "Traceback" not in errors
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere/own_parts.py").write_text("raise ImportError('the other folder')")
    code, _, errors = run(f"--config-dir={folder}", *asked, command=evaluate)
    assert code == 0, errors


@pytest.mark.parametrize("wrong", ["def", "1 / 0", "from os import nothing", "a = '\\0'"])
def test_a_module_that_cannot_be_imported_is_named(run: Run, folder: Path, wrong: str) -> None:
    (folder / "torn_parts.py").write_text(wrong.replace("\\0", "\0"))
    asked = ("intervention=even_more", "intervention.pattern._target_=torn_parts.Even")
    code, _, errors = run(f"--config-dir={folder}", *asked, command=evaluate)
    assert code == 2
    assert "'torn_parts.Even', and torn_parts cannot be imported (" in last_sentence(errors)
    assert "Traceback" not in errors


def test_no_name_of_ours_is_taken(run: Run, folder: Path) -> None:
    (folder / "intervention/uniform.yaml").write_text(INTERVENTION)
    code, _, errors = run(f"--config-dir={folder}", "intervention=uniform")
    assert code == 2
    assert "uniform.yaml has the name of a definition that comes with" in last_sentence(errors)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "intervention/even_mure.yaml",
            INTERVENTION,
            "even_more; write name: even_mure",
        ),
        ("benchmark/toys.yaml", "defaults: [kind/base@_here_]", "says no name; write name: toys"),
        ("diagnostic/price.yaml", "_target_: own_parts.Mine", "'# @package diagnostic.price'"),
    ],
)
def test_files_are_called_what_they_say(
    run: Run, folder: Path, file: str, text: str, said: str
) -> None:
    (folder / file).write_text(text)
    group, _, name = file.removesuffix(".yaml").partition("/")
    chosen = f"{group}=[{name}]" if group == "diagnostic" else f"{group}={name}"
    code, _, errors = run(f"--config-dir={folder}", "limit=9", chosen)
    assert code == 2
    assert said in last_sentence(errors)


def test_a_notebook_loads_a_file_by_its_path(folder: Path) -> None:
    path = str(folder / "intervention/even_more.yaml")
    with pytest.raises(ValueError, match="no module 'own_parts', which the part"):
        load(path)
    with own_definitions(folder):
        made = load(path, layers="early", **{"pattern.strength": 3.0})
    assert (made.name, made.layers, made.pattern.strength) == ("even_more", "early", 3.0)
    assert path in available(folder=folder / "intervention")
    with pytest.raises(ValueError, match=f"no file '.*even_mor.yaml'; did you mean '{path}'"):
        load(path.replace("more", "mor"))
    (folder / "intervention/lost.yaml").write_text("name: lost")
    with pytest.raises(ValueError, match="makes no intervention; begin it with `defaults"):
        load(folder / "intervention/lost.yaml")


def test_the_option_is_taken_out() -> None:
    assert taken_out(["a=1", "-cd", "x", "-m"]) == ("x", ["-m", "a=1"])
    assert taken_out(["--config-dir=x=y", "b"]) == ("x=y", ["b"])
    assert taken_out(["+a=--config-dir"]) == (None, ["+a=--config-dir"])
