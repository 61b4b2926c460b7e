"""Every test stands in a file of its own, with every setting in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.core.paths import CONF, ROOT

FOLDER = CONF / "diagnostic"
PATHS = sorted(path for path in FOLDER.glob("*.yaml") if path.stem != "all")
FILES = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@FILES
def test_settings_make_the_test_of_their_name(path: Path) -> None:
    assert path.read_text().startswith(f"# @package diagnostic.{path.stem}\n")
    test = instantiate(OmegaConf.load(path))
    assert test.name == path.stem
    assert "real" in test.conditions
    assert len(set(test.conditions)) == len(test.conditions)
    assert all(isinstance(name, str) for name in test.conditions)


@FILES
def test_no_setting_has_a_second_home(path: Path) -> None:
    for field in fields(instantiate(OmegaConf.load(path))):
        assert field.default is MISSING
        assert field.default_factory is MISSING


def test_all_are_those_with_a_place_in_the_order_of_cards() -> None:
    """Those without one ask more of a model than `all` may cost, and are named by themselves."""
    facts = {path.stem: instantiate(OmegaConf.load(path)).facts for path in PATHS}
    placed = {name: each.place for name, each in facts.items() if each.place is not None}
    ordered = sorted(placed, key=lambda name: placed[name])
    assert OmegaConf.load(FOLDER / "all.yaml").defaults == ordered
    assert [placed[name] for name in ordered] == list(range(1, len(placed) + 1))


def test_who_owns_a_drawing_loads_no_matplotlib() -> None:
    names = {type(instantiate(OmegaConf.load(path))).__module__ for path in PATHS}
    code = f"import sys, {', '.join(sorted(names))}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
