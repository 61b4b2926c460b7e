"""Plans: exactly the cells that Hydra would run, each once, grouped so that models load rarely."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import solvent.models.vlm
from solvent.cells import loading
from solvent.cells import run as session
from solvent.cells.asking import build_tests
from solvent.cells.request import Settings, parse
from solvent.commands import evaluate, plan, task
from solvent.commands.commandline import Command
from solvent.core.stopping import RemoteError, Stopped
from solvent.studies import planning
from solvent.studies.composing import compose_cell, composing, expand
from solvent.studies.planning import Plan
from solvent.studies.planning import plan as make_plan
from solvent.studies.sweep import PlannedCell, load_plan, of_task, plan_text

Call = Callable[..., tuple[int, str, str]]
AWKWARD = [
    "+note='Is it, a cat? (yes/no) = b'",
    "intervention.layers=[0,1],[2,3]",
    "intervention=uniform",
]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """`call(plan, "seed=0,1")` is `python -m solvent plan seed=0,1`: code, output, errors."""

    def run(module: object, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        monkeypatch.setattr(module, "command", Command())
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            module.command.run(module.main)
        return ended.value.code, *capfd.readouterr()

    return run


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[DictConfig]:
    """Configurations that came to `run_cell`, which only loads the model, and is told none."""
    seen: list[DictConfig] = []

    def stand_in(config: DictConfig) -> None:
        loading.load_model(parse(config).model)
        seen.append(config)

    monkeypatch.setattr(session, "run_cell", stand_in)
    return seen


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were loaded, in order; no weights are read."""
    names: list[str] = []
    model = SimpleNamespace(rank=None)
    monkeypatch.setattr(
        solvent.models.vlm, "load", lambda **settings: names.append(settings["name"]) or model
    )
    loading._model.cache_clear()
    yield names
    loading._model.cache_clear()


def containers(configs: list[DictConfig]) -> list[dict]:
    return [OmegaConf.to_container(config, resolve=True) for config in configs]


def finish(folder: str, config: str, rows: int, seconds: float) -> None:
    """A finished cell."""
    model, benchmark = Path(folder).parts[-3:-1]
    metrics = {"model": model, "benchmark": benchmark, "seconds": seconds, "score": {"rows": rows}}
    path = Path(folder)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(config)
    (path / "predictions.jsonl").touch()
    for name in ("metrics.json", "timing.json"):
        (path / name).write_text(json.dumps(metrics))
    (path / "DONE").write_text('{"tracking": []}')


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=demo", "seed=3", "intervention=uniform", "intervention.layers=early,late"],
        ["model=tiny,tiny_blind", *AWKWARD],
    ],
    ids=["experiment", "awkward"],
)
def test_cells_are_those_that_hydra_runs(
    call: Call, ran: list[DictConfig], loads: list[str], tmp_path: Path, overrides: list[str]
) -> None:
    overrides = [*overrides, f"output={tmp_path}"]
    code, _, errors = call(evaluate, "-m", *overrides)
    assert code == 0, errors
    with composing():
        planned = [compose_cell(cell) for cell in expand(overrides)]
    assert containers(planned) == containers(ran)
    assert not HydraConfig.initialized()


def test_a_plan_survives_being_a_file(tmp_path: Path) -> None:
    cells = [
        PlannedCell(task=0, hours=None, folder="outputs/a b/c", overrides=tuple(AWKWARD)),
        PlannedCell(task=1, hours=0.25, folder="outputs/d", overrides=('a="x  y"', "b={c: [1]}")),
    ]
    path = tmp_path / "sweep.tsv"
    path.write_text(plan_text(cells))
    assert load_plan(path) == cells
    assert of_task(load_plan(path), 1) == cells[1:]


@pytest.mark.parametrize("mark", ["\t", "\n"])
def test_a_tab_in_a_value_is_refused(mark: str) -> None:
    cell = PlannedCell(task=0, hours=None, folder="a", overrides=(f"note='x{mark}y'",))
    with pytest.raises(ValueError, match="holds a tab"):
        plan_text([cell])


def planned(*overrides: str, hours: float = 4.0, processes: int = 1) -> Plan:
    return make_plan(overrides, hours, processes, lambda cells, found: found)


def test_groups_duplicates_and_finished_cells(tmp_path: Path) -> None:
    output = f"output={tmp_path}"
    both = ["model=tiny,tiny_blind", "benchmark=shapes,shapes_prior"]
    first = planned(*both, "intervention.layers=early,late", output)  # of nothing that is edited
    assert (first.asked, first.same, first.finished) == (8, 4, 0)
    assert [(cell.task, *Path(cell.folder).parts[-3:-1]) for cell in first.cells] == [
        (0, "tiny", "shapes"),
        (1, "tiny", "shapes_prior"),
        (2, "tiny_blind", "shapes"),
        (3, "tiny_blind", "shapes_prior"),
    ]
    assert all(cell.hours is None for cell in first.cells)
    finish(first.cells[0].folder, "benchmark: {limit: null}", rows=100, seconds=7200.0)
    second = planned("intervention=learned,uniform,gaussian", output)
    assert (second.finished, second.same) == (1, 0)
    assert [cell.hours for cell in second.cells] == [2.0, 2.0]
    assert [cell.task for cell in second.cells] == [0, 1]  # 4 hours exceed 80 % of 4 hours
    third = planned(*both, "limit=50", output, processes=2)
    hours = [cell.hours for cell in third.cells]
    assert hours == [0.5, 0.5, None, None]  # half the questions, two processes


def test_many_cells_are_composed_by_several_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    overrides = ("intervention=gaussian", "seed=0,1,2,3", f"output={tmp_path}")
    alone = planned(*overrides)
    monkeypatch.setattr(planning, "MANY", 2)
    assert planned(*overrides) == alone
    with pytest.raises(ValueError, match="early"):
        planned("intervention=gaussian", "intervention.layers=early,erly", f"output={tmp_path}")


@pytest.mark.parametrize("name", ["metrics.json", "timing.json", "config.yaml", "DONE"])
@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "[1", "word"])
def test_a_damaged_cell_keeps_nothing_from_being_planned(
    tmp_path: Path, name: str, content: str
) -> None:
    output = f"output={tmp_path}"
    (learned,) = planned(output).cells
    finish(learned.folder, "benchmark: {limit: null}", rows=100, seconds=360.0)
    (Path(learned.folder) / name).write_text(content)
    (cell,) = planned("intervention=uniform", output).cells
    assert cell.hours is None


def test_tests_count_once_per_condition(tmp_path: Path) -> None:
    plain = planned(f"output={tmp_path}")
    finish(plain.cells[0].folder, "benchmark: {limit: null}", rows=100, seconds=360.0)
    overrides = [f"output={tmp_path}", "diagnostic=dependency"]
    (cell,) = planned(*overrides).cells
    conditions = len(loading.needed_conditions(*_tests(overrides)))
    assert conditions > 1
    assert cell.hours == pytest.approx(0.1 * conditions)


def _tests(overrides: list[str]) -> tuple:
    with composing():
        request = parse(compose_cell(overrides))
    return request.conditions, build_tests(request.tests)


def test_models_load_once_per_task_and_once_per_model_in_one_process(
    call: Call,
    ran: list[DictConfig],
    loads: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """2 models x 2 benchmarks x 6 interventions: 4 tasks of a plan, or one basic multirun."""
    monkeypatch.setattr(BasicSweeper, "validate_batch_is_legal", lambda *_: None)  # composes twice
    names = "learned,uniform,gaussian,knockout,reversed,permuted"
    overrides = ["model=tiny,tiny_blind", "benchmark=shapes,shapes_prior", f"intervention={names}",
                 f"output={tmp_path}"]  # fmt: skip
    code, output, errors = call(plan, *overrides)
    assert code == 0, errors
    assert "cells: 24 asked, 0 finished, 24 to run; tasks: 4" in errors
    assert "sbatch --array=0-3 --time=1440 slurm/array.sbatch" in errors
    path = tmp_path / "sweep.tsv"
    path.write_text(output)
    for number in range(4):
        loading._model.cache_clear()  # every task is a process of its own
        code, _, errors = call(task, path, number)
        assert code == 0, errors
    assert loads == ["tiny", "tiny", "tiny_blind", "tiny_blind"]
    by_plan = containers(ran)
    assert len(by_plan) == 24
    ran.clear()
    loads.clear()
    loading._model.cache_clear()
    code, _, errors = call(evaluate, "-m", *overrides)
    assert code == 0, errors
    assert loads == ["tiny", "tiny_blind"]
    assert containers(ran) == by_plan


def test_image_features_are_kept_from_cell_to_cell(call: Call, tmp_path: Path) -> None:
    loading._model.cache_clear()
    overrides = ["intervention=learned,uniform", "model.feature_cache_mb=64", "limit=9",
                 f"output={tmp_path}"]  # fmt: skip
    path = tmp_path / "sweep.tsv"
    path.write_text(call(plan, *overrides)[1])
    encoded = []
    load = session.load_model

    def watched(settings: Settings) -> object:
        model = load(settings)
        encoded.append(model.features.encoded)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", watched)
        code, _, errors = call(task, path, 0)
    assert code == 0, errors
    before, after_first = encoded
    assert (before, after_first) == (0, 9)
    with composing():
        request = parse(compose_cell(overrides[1:]))
    assert load(request.model).features.encoded == 9


def test_a_stop_ends_the_task_and_not_only_the_cell(
    call: Call,
    ran: list[DictConfig],
    loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "sweep.tsv"
    path.write_text(call(plan, "intervention=gaussian", "seed=0,1", f"output={tmp_path}")[1])
    monkeypatch.setenv("SOLVENT_STOP_FILE", str(path))
    code, _, errors = call(task, path, 0)
    assert (code, ran) == (75, [])
    assert "Stopped: asked to end" in errors
    assert Path(f"{path}.heard").exists()


@pytest.mark.parametrize(
    ("error", "asked", "code", "word"),
    [
        (ValueError("made of cheese"), False, 2, [".failed"]),
        (RemoteError("another process has said so"), False, 2, []),
        (ValueError("made of cheese"), True, 75, [".heard"]),  # the next cell waits for its turn
        (Stopped("a signal", 143), False, 143, [".heard"]),
        (None, False, 0, []),
    ],
    ids=str,
)
def test_how_a_process_ends_stands_beside_the_stop_file(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException | None,
    asked: bool,
    code: int,
    word: list[str],
) -> None:
    """Where a launcher makes one exit code of all."""
    path, stop = tmp_path / "sweep.tsv", tmp_path / "stops" / "stop"
    stop.parent.mkdir()

    def stand_in(config: DictConfig) -> None:
        if config.seed == 0 and asked:
            stop.touch()
        if config.seed == 0 and error:
            raise error

    monkeypatch.setattr(session, "run_cell", stand_in)
    monkeypatch.setenv("SOLVENT_STOP_FILE", str(stop))
    path.write_text(call(plan, "intervention=gaussian", "seed=0,1", f"output={tmp_path}")[1])
    assert call(task, path, 0)[0] == code
    stop.unlink(missing_ok=True)
    assert [path.suffix for path in stop.parent.iterdir()] == word


def test_a_word_that_cannot_be_left_changes_nothing_else(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOLVENT_STOP_FILE", str(tmp_path / "no such folder" / "stop"))
    assert call(task, tmp_path / "no.tsv", 0)[0] == 2
    assert "stop.failed cannot be written (" in caplog.text


def test_a_bad_cell_of_a_task_does_not_stop_the_others(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def stand_in(config: DictConfig) -> None:
        seen.append(config.seed)
        if config.seed == 1:
            raise ValueError("the disk is made of cheese")

    monkeypatch.setattr(session, "run_cell", stand_in)
    path = tmp_path / "sweep.tsv"
    path.write_text(call(plan, "intervention=gaussian", "seed=0,1,2", f"output={tmp_path}")[1])
    code, _, errors = call(task, path, 0)
    assert (code, seen) == (2, [0, 1, 2])
    assert "made of cheese" in errors


@pytest.mark.parametrize(
    ("text", "number", "sentence"),
    [
        (None, 0, "There is no plan"),
        ("model: tiny\n", 0, "is no whole plan"),
        ("#task\thours\tfolder\toverrides\n0\t?\ta\tseed=0\n1\t?", 0, "is no whole plan"),
        ("#task\thours\tfolder\toverrides\n0\t?\n", 0, "line 2 of"),
        ("#task\thours\tfolder\toverrides\n0\t?\ta\tseed=0\n", 1, "the plan has tasks 0 to 0"),
        ("#task\thours\tfolder\toverrides\n", 0, "the plan has no task at all"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(
    call: Call, tmp_path: Path, text: str | None, number: int, sentence: str
) -> None:
    path = tmp_path / "sweep.tsv"
    if text is not None:
        path.write_text(text)
    code, _, errors = call(task, path, number)
    assert code == 2
    assert sentence in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["intervention=unifrom"], "did you mean 'uniform'?"),
        (["bach_size=3"], "There is no setting 'bach_size'"),
        (["seed=0", "--processes", "0"], "--processes is 0"),
        (["intervention=donor"], "make it with `python -m solvent calibrate"),
    ],
)
def test_what_cannot_be_planned_is_said(call: Call, arguments: list[str], sentence: str) -> None:
    code, output, errors = call(plan, *arguments)
    assert (code, output) == (2, "")
    assert sentence in errors
