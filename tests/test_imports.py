"""Who may import whom: the arrows of the architecture, walked."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("interventions", "models", "benchmarks", "diagnostics", "evaluation")
SHARED = {  # the nouns, pure functions of numbers, files by what is in them
    "evaluation.types",
    "evaluation.statistics",
    "evaluation.digests",
    "evaluation.checkpoints",
}
MAY_IMPORT = {
    "interventions": set(),
    "models": {*SHARED, "interventions"},
    "benchmarks": {*SHARED, "evaluation.disk"},  # what a model said of an answer is kept
    "diagnostics": SHARED,
    "evaluation": {"evaluation"},  # plug-ins are reached through their protocols
}
COMMANDS = {  # they only start what `evaluation` does
    "benchmarks/rescore.py",
    "benchmarks/show.py",
    "diagnostics/recompute.py",
}
RECIPE = "models/tiny/"  # the recipe trains on the world that benchmarks.shapes draws


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        ours = {name for name in imported(path) if name.split(".")[0] in PACKAGES}
        allowed = MAY_IMPORT[package] | {package}
        if place in COMMANDS:
            allowed = allowed | {"evaluation"}
        if place.startswith(RECIPE):
            allowed = allowed | {"benchmarks.shapes", "evaluation"}
        wrong = {
            name for name in ours if not any(f"{name}.".startswith(f"{ok}.") for ok in allowed)
        }
        assert not wrong, f"{place} imports {sorted(wrong)}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("wandb", {"evaluation/tracking/weights_and_biases.py"}),
        (
            "hydra",
            {
                "evaluate.py",
                "benchmarks/show.py",
                "compare.py",
                "evaluation/benchmark.py",
                "evaluation/building.py",
                "evaluation/calibrate.py",
                "evaluation/composing.py",
                "evaluation/diagnosing.py",
                "evaluation/overrides.py",
                "evaluation/identity.py",
                "evaluation/watching.py",
                "evaluation/rescore.py",
                "evaluation/session.py",
                "evaluation/asking.py",
                "evaluation/stored.py",
                "evaluation/commandline.py",
            },
        ),
    ],
)
def test_a_library_has_one_home(library: str, homes: set[str]) -> None:
    files = [
        *ROOT.glob("*.py"),
        *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
    ]
    users = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users <= homes
