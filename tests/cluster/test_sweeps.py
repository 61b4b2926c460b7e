"""Every shipped study composes, and sweeps over choices that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.core.paths import CONF

STUDIES = sorted((CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_first_and_last_cell_of_a_study_compose(path: Path) -> None:
    study = OmegaConf.load(path)
    assert study.study == path.stem
    assert study.hydra.mode == "MULTIRUN"
    axes = {name: str(value).split(",") for name, value in study.hydra.sweeper.params.items()}
    for name, choices in axes.items():
        if (CONF / name).is_dir():
            assert all((CONF / name / f"{choice}.yaml").exists() for choice in choices)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for which in (0, -1):
            cell = [f"{name}={choices[which]}" for name, choices in axes.items()]
            config = compose("evaluate", [f"experiment={path.stem}", *cell])
            instantiate(config.intervention, _convert_="all")
            instantiate(config.get("diagnostic") or {}, _convert_="all")
            assert config.study == path.stem
