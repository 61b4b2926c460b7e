"""Nothing that comes from data, checkpoints or stored results is executed or obeyed."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

from solvent.benchmarks.hub import HubTable
from solvent.benchmarks.images import FileImage, StoredImage
from solvent.benchmarks.transforms import literal_list
from solvent.cells import rescoring as rescore
from solvent.cells import shown as show
from solvent.cells.building import build
from solvent.cells.configuration import COMPUTING, check_targets, stored_config, with_change
from solvent.cells.loading import load_benchmark
from solvent.cells.recomputing import recompute
from solvent.cells.request import resolved
from solvent.commands.commandline import Command
from solvent.core.paths import CONF
from solvent.core.text import marked, spreadsheet, visible
from solvent.models.refusals import ModelError
from solvent.models.vlm import load
from solvent.reports import contact, figures, findings, table, usage_comparison
from tests.conftest import ROOT
from tests.models.conftest import SETTINGS

PACKAGES = ("interventions", "solvent")
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "torch.load", "torch.save", "yaml.load", "os.system",
    "os.popen", "pd.read_pickle", "joblib.load",
}  # fmt: skip
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_ARGUMENTS = {"trust_remote_code", "allow_pickle", "shell"}  # as True
HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07 \x9b2J \r \u202e [red]x[/] [/] $\\frac{ $ ${oc.env:HOME} =1+1 \\"
)
OBEYED = ("\x1b", "\x07", "\x9b", "\r", "\u202e")  # by a terminal


def sources() -> Iterator[tuple[str, ast.AST]]:
    folders = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    for path in [*ROOT.glob("*.py"), *folders]:
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it stands there; of a longer expression the end."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def wrong(node: ast.AST) -> str | None:
    """What is forbidden in a node."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names]
        modules = names if isinstance(node, ast.Import) else [node.module or ""]
        found = {name.partition(".")[0] for name in modules} & FORBIDDEN_MODULES
        return f"imports {found}" if found else None
    if not isinstance(node, ast.Call):
        return None
    name = dotted(node.func)
    if name in FORBIDDEN_CALLS:
        return f"calls {name}"
    for given in node.keywords:
        true = isinstance(given.value, ast.Constant) and given.value.value is True
        if given.arg in FORBIDDEN_ARGUMENTS and true:
            return f"calls {name} with {given.arg}=True"
    return None


def test_no_source_executes_data() -> None:
    assert not [f"{place} {said}" for place, node in sources() if (said := wrong(node))]


@pytest.mark.parametrize(
    "line",
    ["torch.load(p)", "eval(x)", "import pickle", "from dill import loads", "yaml.load(f)",
     "np.load(p, allow_pickle=True)", "run(c, shell=True)", "load(trust_remote_code=True)"],
)  # fmt: skip
def test_what_is_forbidden_is_found(line: str) -> None:
    assert any(wrong(node) for node in ast.walk(ast.parse(line)))


def test_no_configuration_trusts_code_from_the_hub() -> None:
    found = [
        path for path in (ROOT / "conf").rglob("*.yaml") if "trust_remote_code" in path.read_text()
    ]
    assert found
    for path in found:
        values = [yaml.safe_load(path.read_text()).get("trust_remote_code")]
        assert values == [False], path


def planted(folder: Path) -> str:
    """Python that leaves a trace when somebody runs it."""
    return f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n"


def test_code_beside_a_data_set_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "evil.py").write_text(planted(tmp_path))
    table = HubTable(
        id=str(folder), configs=[None], split="test", revision="main", local=None, where={},
        unroll={}, sample=None,
    )  # fmt: skip
    with pytest.raises(Exception, match=r"."):
        table()
    assert not (tmp_path / "executed").exists()


def test_code_beside_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    classes = {"AutoConfig": "code.Evil", "AutoModelForImageTextToText": "code.Evil"}
    config = {"model_type": "evil", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(planted(tmp_path))
    with pytest.raises(ModelError):
        load(**SETTINGS | {"name": "evil", "checkpoint": str(folder)})
    assert not (tmp_path / "executed").exists()


OUTSIDE = ("../secret.png", "/etc/hostname", "a/../../secret.png", "a\0b")


@pytest.mark.parametrize("path", OUTSIDE)
def test_pictures_lie_below_their_folder(tmp_path: Path, path: str) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="below the data folder"):
        FileImage(root=tmp_path / "data", path=path)
    stored = StoredImage(
        entries=lambda column, row: {"bytes": None, "path": path},
        column="image", row=0, place=None, folder=tmp_path / "data", table=None,
    )  # fmt: skip
    with pytest.raises(OSError, match="below the data folder"):
        stored.load()


def test_a_link_below_the_folder_is_the_users_own(tmp_path: Path) -> None:
    Image.new("RGB", (2, 3)).save(tmp_path / "a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    assert FileImage(root=tmp_path / "data", path="link/a.png").load().size == (2, 3)


def test_a_list_in_a_cell_is_read_not_run() -> None:
    for text in ("[__import__('os').getcwd()]", "[" * 10_000, "[1, x]"):
        with pytest.raises(ValueError, match="not a list"):
            literal_list(text)


def test_text_is_written_out() -> None:
    assert visible("a\x1b[0m\tb\nc\x9b\ud800") == "a\\x1b[0m\tb\nc\\x9b\\ud800"
    screen = Console(file=StringIO(), width=500)
    screen.print(f"[bold]{marked(HOSTILE)}[/bold]", highlight=False)
    harmless(screen.file.getvalue())


def harmless(shown: str) -> None:
    """Literally there, and nothing that a terminal would obey."""
    assert not [sign for sign in OBEYED if sign in shown]
    assert "[red]x[/] [/]" in " ".join(shown.split())


def metrics(name: str) -> dict[str, Any]:
    """Of a cell whose every text is hostile."""
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 4, "rows": 4, "none": 0,
                "ambiguous": 0, "errors": 0}  # fmt: skip
    score = estimate | {"by_tag": {name: {name: estimate}}, "measures": {name: estimate}}
    nothing = {"before": None, "after": None}
    reason = {"verdict": name, "strict": "", "reason": name, "metrics": {name: 1.0}, "series": {}}
    return {
        "model": name, "benchmark": name, "intervention": name, "variant": name, "layers": name,
        "condition": name, "seed": 1, "compat": name, "score": score, "scores": {name: score},
        "chance": 0.5, "unparsed": 0, "errors": 0, "visual_mass": nothing, "cells_edited": 0,
        "visual_entropy_nats": nothing, "seconds": 1.0, "diagnostics": {"information": reason},
    }  # fmt: skip


@pytest.mark.parametrize(
    "print_",
    [
        lambda screen: table.show_cell(screen, metrics(HOSTILE)),
        lambda screen: table.show_line(screen, metrics(HOSTILE)),
        lambda screen: findings.show_findings(screen, metrics(HOSTILE)["diagnostics"]),
        lambda screen: rescore._show(screen, metrics(HOSTILE), metrics(HOSTILE)),
        lambda screen: usage_comparison._show(
            screen, [metrics(HOSTILE)], usage_comparison.shown([metrics(HOSTILE)])
        ),
    ],
)
def test_tables_show_hostile_text_literally(print_: Callable[[Console], None]) -> None:
    screen = Console(file=StringIO(), width=2000)
    print_(screen)
    harmless(screen.file.getvalue())


def test_figures_draw_hostile_text_literally(tmp_path: Path) -> None:
    """Half a formula would stop the drawing."""
    figures.draw_cell(metrics(HOSTILE), tmp_path)
    picture = Image.new("RGB", (2, 2))
    sheet = contact.contact_sheet([([picture], f"{HOSTILE}\n" * 500)], HOSTILE, tmp_path / "a.png")
    with Image.open(sheet) as drawn:
        assert drawn.height < 4000
    with matplotlib.rc_context(figures.STYLE):
        assert not matplotlib.text.Text(text="$x$").get_parse_math()


def test_samples_are_shown_literally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those whose picture cannot be read."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("show", [f"output={tmp_path}", "benchmark.source.questions=1", "n=2"])
    benchmark, samples = load_benchmark(resolved(config)["benchmark"])
    words = {"text": HOSTILE, "groups": {"image": HOSTILE}, "tags": {"kind": HOSTILE}}
    rewritten = [
        replace(sample, uid=f"{HOSTILE}{number}", options=(HOSTILE, "b"), gold=0, **words)
        for number, sample in enumerate(samples[:2])
    ]
    broken = SimpleNamespace(identity="broken", regions=(), load=unreadable)
    rewritten[1] = replace(rewritten[1], images=(broken,))
    monkeypatch.setattr(show, "load_benchmark", lambda settings: (benchmark, rewritten))
    show.show(config)
    shown = capsys.readouterr().out
    harmless(shown)
    assert "cannot be read" in shown


def unreadable() -> Image.Image:
    raise OSError(f"{HOSTILE} cannot be read")


def test_errors_are_said_literally(capsys: pytest.CaptureFixture[str]) -> None:
    command = Command()
    with command.job():
        raise ValueError(HOSTILE)
    said = capsys.readouterr().err
    harmless(said)
    assert command.code == 2


def test_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame([{"name": "=1+1", "other": "@x", "value": -0.5, "none": None}])
    spreadsheet(frame).to_csv(tmp_path / "a.csv", index=False)
    assert (tmp_path / "a.csv").read_text() == "name,other,value,none\n'=1+1,'@x,-0.5,\n"


def test_a_stored_configuration_is_taken_literally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "password")
    (tmp_path / "config.yaml").write_text("benchmark: {text: 'a ${oc.env:SECRET} ${b}'}\n")
    assert stored_config(tmp_path / "config.yaml")["benchmark"]["text"] == "a ${oc.env:SECRET} ${b}"


@pytest.mark.parametrize("backslashes", ["", "\\", "\\\\", "\\\\\\"])
def test_what_settings_say_is_not_looked_up(
    backslashes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backslash in front is an escape to omegaconf, and two are none."""
    monkeypatch.setenv("SECRET", "password")
    text = f"a\\b {backslashes}${{oc.env:SECRET}} ${{b}}"
    settings = {"_target_": "collections.UserString", "seq": text}
    assert str(build(settings, "benchmark")) == text
    assert with_change({"benchmark": settings}, "benchmark.seq=1")["benchmark"]["seq"] == 1
    changed = with_change({"benchmark": {**settings, "other": 0}}, "benchmark.other=1")
    assert changed["benchmark"]["seq"] == text


@pytest.mark.parametrize(
    "target",
    ["os.system", "solvent.models.vlm.load", "solvent.benchmarks.source.Path",
     "solvent.core.paths.resolve", "solvent.benchmarks.source.json.loads",
     "solvent.benchmarks.prompts.Nothing", "solvent.benchmarks.reducers.${oc.env:HOME}"],
)  # fmt: skip
def test_a_stored_configuration_calls_only_classes_of_ours(tmp_path: Path, target: str) -> None:
    path = tmp_path / "config.yaml"
    definition = {"a": [{"_target_": "solvent.benchmarks.prompts.Layout"}, {"_target_": target}]}
    path.write_text(yaml.safe_dump({"benchmark": definition, "diagnostic": definition}))
    with pytest.raises(ValueError, match="would call"):
        check_targets(stored_config(path)["benchmark"], ("solvent.benchmarks",), path)
    (tmp_path / "DONE").write_text('{"tracking": []}')
    with pytest.raises(ValueError, match="would call"):
        rescore.rescore(tmp_path, [], label=None, write=False)
    with pytest.raises(ValueError, match="would call"):
        recompute(tmp_path, [])


def modules_of(name: str) -> Iterator[ModuleType]:
    """A module, and those inside it where it is a package."""
    module = importlib.import_module(name)
    yield module
    for _, inner, _ in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        yield importlib.import_module(inner)


COMPUTING_CLASSES = sorted(
    {
        found
        for name in COMPUTING
        for module in modules_of(name)
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__
    },
    key=lambda found: f"{found.__module__}.{found.__qualname__}",
)
HARMFUL = ("open", "socket.", "subprocess.", "os.", "shutil.", "urllib.")  # audit events


@pytest.fixture(scope="module")
def harm() -> Iterator[list[str]]:
    """What a process does to the outside, from now on: audit hooks cannot be removed."""
    done: list[str] = []
    active = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active[0] and event.startswith(HARMFUL):
            done.append(f"{event} {arguments[:2]}")

    sys.addaudithook(hook)
    yield done
    active[0] = False


@pytest.mark.parametrize("kind", COMPUTING_CLASSES, ids=lambda kind: kind.__qualname__)
def test_a_class_that_a_record_may_name_only_computes(
    kind: type, harm: list[str], tmp_path: Path
) -> None:
    """Whatever it is given: every argument is a path, an address and a command at once."""
    parameters = inspect.signature(kind).parameters.values()
    for hostile in (str(tmp_path / "written"), "http://127.0.0.1:9", "$(touch x)", [HOSTILE], {}):
        given = {
            parameter.name: hostile
            for parameter in parameters
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
        harm.clear()
        with suppress(Exception):
            kind(**given)
        assert harm == []
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_called_and_nothing_written_where_a_record_says(tmp_path: Path) -> None:
    extractor = {
        "_target_": "solvent.benchmarks.compat.llm.Extractor",
        "name": "llm",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "cache": str(tmp_path / "profile"),
    }
    benchmark = {"_target_": "solvent.benchmarks.benchmark.Benchmark"}
    record = {"benchmark": benchmark, "compat": extractor}
    (tmp_path / "DONE").write_text('{"tracking": []}')
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(record))
    with pytest.raises(ValueError, match=r"say compat\.model=VALUE yourself"):
        rescore.rescore(tmp_path, [], label=None, write=False)
    with pytest.raises(ValueError, match=r"compat\.base_url='http://127"):
        rescore.rescore(tmp_path, ["compat.model=m"], label=None, write=False)
    record["benchmark"]["parser"] = record.pop("compat") | {"extractor": None}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(record))
    with pytest.raises(ValueError, match="that only computes"):
        rescore.rescore(tmp_path, [], label=None, write=False)
