"""Who may import whom: the floors of the architecture, walked, dotted strings included."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (  # from the ground; who stands on one imports from those below it, never from beside
    ("core",),
    ("storage",),
    ("models", "benchmarks", "diagnostics", "tracking", "reports"),
    ("cells",),
    ("studies", "results"),
    ("commands",),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
OUTSIDE = ("conformance", "recipes", "tools")  # import what they like, and nobody imports them
NAMES = re.compile(r"(?:solvent|interventions|conformance|recipes|tools)(?:\.\w+)+")
USES_INTERVENTIONS = ("models", "cells")


def sources(*folders: str) -> list[Path]:
    """Of packages, and of modules by name without `.py`."""
    modules = [ROOT / f"{name}.py" for name in folders if (ROOT / f"{name}.py").exists()]
    return [*modules, *(path for name in folders for path in sorted((ROOT / name).rglob("*.py")))]


def named(path: Path) -> Iterator[str]:
    """Modules and what is in them that a file imports, or names in a string."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documents
            and NAMES.match(node.value)
        ):
            yield node.value


def floor_of(name: str) -> str:
    """`cells` of `solvent.cells.loading`"""
    return [*name.split("."), ""][1]


@pytest.mark.parametrize("place", LEVEL)
def test_imports_go_down(place: str) -> None:
    for path in sources(f"solvent/{place}"):
        for name in named(path):
            where = f"{path.relative_to(ROOT)} names {name}"
            root = name.partition(".")[0]
            assert root not in OUTSIDE, where
            if root == "interventions":
                assert place in USES_INTERVENTIONS, where
            if root == "solvent" and floor_of(name) != place:
                assert LEVEL[floor_of(name)] < LEVEL[place], where


def test_everything_stands_on_a_floor() -> None:
    there = {path.stem for path in (ROOT / "solvent").iterdir() if path.suffix in ("", ".py")}
    assert there - {"__init__", "__main__", "__pycache__"} == LEVEL.keys()


def test_interventions_stand_alone() -> None:
    for path in sources("interventions"):
        wrong = [name for name in named(path) if name.startswith(("solvent.", *OUTSIDE))]
        assert not wrong, f"{path.relative_to(ROOT)} names {wrong}"


def test_no_folder_is_a_heap() -> None:
    """Nobody finds a file among fifty."""
    counts: dict[Path, int] = defaultdict(int)
    for path in sources("solvent", "interventions", "tests", *OUTSIDE):
        counts[path.parent] += 1
    assert {place: count for place, count in counts.items() if count > 20} == {}


def test_a_name_stands_for_one_module() -> None:
    """Whoever says `tables.py` need not say which."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sources("solvent", "interventions", "tests", *OUTSIDE):
        homes[path.name].append(path.relative_to(ROOT).as_posix())
    several = {name: places for name, places in homes.items() if len(places) > 1}
    assert several.keys() <= {"__init__.py", "__main__.py", "conftest.py"}, several


def test_what_a_configuration_names_is_there() -> None:
    """Targets are reached in one place, by names that exist, and say what kinds they take."""
    from solvent.cells.building import kinds, parameters, target

    found = set()
    for path in (ROOT / "conf").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"_target_: ([\w.]+)", text))
    assert len(found) > 50
    for name in sorted(found):
        made = target(name, "conf")
        assert set(parameters(made) or ()) <= set(kinds(made)), name


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("wandb", ("solvent/tracking/",)),
        ("wandb_workspaces", ("solvent/tracking/saved_view.py",)),
        (
            "hydra",
            ("evaluate.py", "compare.py", "solvent/commands/", "solvent/studies/",
             "solvent/cells/request.py", "solvent/cells/building.py", "solvent/cells/mistakes.py",
             "solvent/cells/configuration.py", "solvent/cells/rescoring.py"),
        ),
        (
            "omegaconf",
            ("evaluate.py", "compare.py", "solvent/commands/", "solvent/studies/composing.py",
             "solvent/studies/overrides.py", "solvent/cells/request.py",
             "solvent/cells/configuration.py", "solvent/cells/mistakes.py",
             "interventions/methods/definitions.py"),
        ),
        ("accelerate", ("solvent/cells/", "solvent/models/")),
    ],
)  # fmt: skip
def test_a_library_has_one_home(library: str, homes: tuple[str, ...]) -> None:
    for path in [*ROOT.glob("*.py"), *sources("solvent", "interventions")]:
        place = path.relative_to(ROOT).as_posix()
        if any(name.partition(".")[0] == library for name in named(path)):
            assert place.startswith(homes), f"{place} imports {library}"


def test_conditions_are_classes_of_the_package() -> None:
    conditions = yaml.safe_load((ROOT / "conf/conditions.yaml").read_text())
    assert all(each["_target_"].startswith("solvent.") for each in conditions.values())
