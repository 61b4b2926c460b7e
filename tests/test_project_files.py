"""Files for whoever comes next say what is true: citation, changelog, contributing, workflow."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from solvent.__main__ import VERBS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
FIELDS = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license",
          "keywords", "references", "date-released", "doi"}  # fmt: skip


def test_the_citation_is_of_this_project() -> None:
    """Fields of https://github.com/citation-file-format/citation-file-format, version 1.2.0."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cited.keys() <= FIELDS
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert all(isinstance(author["name"], str) for author in cited["authors"])
    for field, own in (("title", "name"), ("version", "version"), ("license", "license")):
        assert cited[field] == PROJECT[own]


def test_the_workflow_runs_what_everybody_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert {"push", "pull_request"} <= workflow[True].keys()  # YAML reads `on` as a truth value
    (job,) = workflow["jobs"].values()
    versions = job["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    steps = {step.get("uses", "run").partition("@")[0]: step for step in job["steps"]}
    assert steps["run"]["run"].startswith("bash .ci/run ")
    assert steps["run"]["shell"] == "bash"
    set_up = steps["actions/setup-python"]["with"]
    assert set_up["cache"] == "pip"
    assert all((ROOT / path).is_file() for path in set_up["cache-dependency-path"].split())
    kept = steps["actions/upload-artifact"]
    assert kept["if"] == "failure()"
    assert set(kept["with"]["path"].split()) == {"ci.log", "/tmp/solvent"}
    assert "--basetemp=/tmp/solvent" in job["env"]["PYTEST_ADDOPTS"]
    assert "ci.log" in steps["run"]["run"]


def test_the_changelog_names_what_there_is() -> None:
    titles = re.findall(r"^## (.*)$", CHANGELOG, flags=re.MULTILINE)
    assert titles[0] == "[Unreleased]"
    sections = re.findall(r"^### (.*)$", CHANGELOG, flags=re.MULTILINE)
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    moves = re.findall(r"^\| (`.*`) \| (`.*`) \|$", CHANGELOG, flags=re.MULTILINE)
    assert len(moves) > 20
    for before, now in moves:
        olds, news = (re.findall(r"`([^`]+)`", side) for side in (before, now))
        assert len(olds) == len(news)
        for old, new in zip(olds, news, strict=True):
            assert not is_there(old), old
            assert is_there(new), new


def is_there(name: str) -> bool:
    """Whether a command or a dotted name leads somewhere."""
    if name.startswith("solvent "):
        return name.removeprefix("solvent ") in VERBS
    name = name.removeprefix("python -m ")
    package, _, attribute = name.rpartition(".")
    try:
        return bool(importlib.import_module(name))
    except ModuleNotFoundError:
        pass
    try:
        return hasattr(importlib.import_module(package), attribute) if package else False
    except ModuleNotFoundError:
        return False


def test_contributing_names_what_there_is() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z][\w-]*)", CONTRIBUTING))
    assert targets >= {"demo", "test", "test-latest", "test-lowest", "constraints"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    commands = re.findall(r"^\.venv/bin/.*?(?= {2}|$)", CONTRIBUTING, flags=re.MULTILINE)
    for path in re.findall(r"[\w./]+/[\w./]+", " ".join(commands).replace(".venv/bin/", "")):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`([\w.]+/[\w./]*)`", CONTRIBUTING):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m\s([\w.]+)", CONTRIBUTING):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_pages_link_to_files_that_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target
