"""Every file of conf/model composes, names a hub id or a folder, and fits `load`."""

from __future__ import annotations

import inspect
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import OmegaConf

from tests.conftest import ROOT

FOLDER = ROOT / "conf" / "model"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
HUB = {
    "llava_1_5_7b": "llava-hf/llava-1.5-7b-hf",
    "llava_onevision_7b": "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "qwen2_5_vl_3b": "Qwen/Qwen2.5-VL-3B-Instruct",
    "qwen2_5_vl_7b": "Qwen/Qwen2.5-VL-7B-Instruct",
}


@pytest.mark.parametrize("name", NAMES)
def test_config_is_a_complete_call(name: str) -> None:
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        config = OmegaConf.to_container(compose(name), throw_on_missing=True)
    call = get_method(config.pop("_target_"))
    parameters = inspect.signature(call).parameters
    assert set(config) == set(parameters)
    assert all(parameter.default is inspect.Parameter.empty for parameter in parameters.values())
    assert config["name"] == name
    assert config["checkpoint"] == HUB.get(name, f"solvent/models/checkpoints/{name}")
    assert (config["image_backend"], config["trust_remote_code"]) == ("pil", False)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_a_comment(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if re.match(r"(?!_target_|defaults)\w+:", line)]
    assert values
    assert all("  # " in line for line in values)


def test_all_models_are_there() -> None:
    assert set(NAMES) == {"tiny", "tiny_blind", "tiny_prior", *HUB}
