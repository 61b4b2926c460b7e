"""Every test stands in a file of its own, with every setting in it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.core.paths import CONF

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


def test_all_means_all() -> None:
    assert set(OmegaConf.load(FOLDER / "all.yaml").defaults) == {path.stem for path in PATHS}
