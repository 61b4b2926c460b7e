"""A wheel, installed into an environment of its own, works from a folder that knows nothing of the
checkout, beside folders that are named as some of ours.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from solvent.core.paths import ROOT

pytestmark = pytest.mark.xdist_group("wheel")  # built once

Call = Callable[..., str]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SOURCES = ("conf", "interventions", "solvent")
BUILD = "from setuptools import build_meta; build_meta.build_wheel({!r})"
BEFORE = """
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from solvent.core.paths import resolve

folder = resolve("solvent/models/checkpoints/tiny")
model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
processor = AutoProcessor.from_pretrained(folder)
content = [{"type": "image"}, {"type": "text", "text": "What colour is the star?"}]
text = processor.apply_chat_template([{"role": "user", "content": content}])
inputs = processor(images=[Image.new("RGB", (64, 64))], text=text, return_tensors="pt")
inputs["max_new_tokens"] = 3
"""
AFTER = """
import interventions, solvent
from interventions.methods.shipped import located

table = located("interventions/tables/ad_hh_llava_1_5_7b.json").is_file()
print(log.entries_edited, table, solvent.__version__, interventions.__version__)
print(*interventions.available())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, where nothing is left of earlier builds."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    unseen = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=unseen)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = BUILD.format(str(place))
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def call(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """`call("solvent", "--help")`: what a program of the fresh environment prints, run in a folder
    of somebody's own, inside of somebody's own git repository.
    """
    place = tmp_path_factory.mktemp("elsewhere")
    for command in (["init"], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "a",
                               "--allow-empty"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=place, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "fresh"], check=True)
    programs = place / "fresh/bin"
    (packages,) = place.glob("fresh/lib/python*/site-packages")
    shared = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "shared.pth").write_text("\n".join(shared))  # torch and all else
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet",
         "--no-deps", "--no-index", "--disable-pip-version-check", wheel],
        check=True,
    )  # fmt: skip
    folder = place / "mine"
    for name in ("models", "evaluation", "conf", "solvent", "interventions"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('this is not solvent')")
    (folder / "conf/evaluate.yaml").write_text("nothing: of ours")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def called(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert str(ROOT) not in done.stdout + done.stderr
        return done.stdout

    return called


def test_a_wheel_holds_what_the_packages_hold(wheel: Path) -> None:
    """And the definitions inside of them, and no other package."""
    expected = set()
    for name in SOURCES:
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = path.relative_to(ROOT).as_posix()
                expected.add(f"solvent/{inside}" if name == "conf" else inside)
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_notebook_lines_run(call: Call) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    lines = next(block for block in blocks if "with intervene(model" in block)
    edited, table, ours, theirs, *names = call("python", "-I", "-c", BEFORE + lines + AFTER).split()
    assert int(edited) > 0
    assert table == "True"
    assert ours == theirs == VERSION
    assert names == sorted(path.stem for path in (ROOT / "conf/intervention").glob("*.yaml"))


def test_cells_run_and_are_compared(call: Call, tmp_path: Path) -> None:
    sweep = ["-m", "intervention=learned,uniform", "limit=9", f"output={tmp_path}"]
    assert "tiny on shapes: uniform, layers all" in call("solvent", "evaluate", *sweep)
    (path,) = tmp_path.glob("study/tiny/shapes/uniform-*/provenance.json")
    (facts,) = json.loads(path.read_text())
    assert facts["code"]["commit"] is None  # not that of the repository around
    assert facts["packages"]["solvent"] == VERSION
    assert "minus learned" in call("solvent", "compare", f"output={tmp_path}")


def test_the_command_says_what_it_can(call: Call) -> None:
    assert "evaluate" in call("solvent", "--help")
    assert "== Configuration groups ==" in call("solvent", "evaluate", "--help")
    families = call("solvent", "families", "llava")
    assert re.search(r"llava_onevision +yes +yes", families)
    assert re.search(r"llava_next +yes +yes +1176, 2144 +\w+Attention", families)
