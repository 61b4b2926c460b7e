"""Every file of conf/model composes, names a hub id or a folder, and fits `load`."""

from __future__ import annotations

import inspect
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import OmegaConf
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from solvent.cells.request import last_part
from tests.conftest import ROOT
from tests.models.named.published_templates import load_published
from tests.models.named.shipped_models import FOLDER, TINY, on_the_hub, table

HUB = on_the_hub()
NAMES = sorted((*TINY, *HUB))
COMMITS = {  # of the first four
    "llava_1_5_7b": "b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
    "llava_onevision_7b": "0d50680527681998e456c7b78950205bedd8a068",
    "qwen2_5_vl_3b": "66285546d2b821cf421d4f5eb2576359d3770cd3",
    "qwen2_5_vl_7b": "cc594898137f460bfe9f0759e9844b3ce807cfb5",
}


def settings(name: str, *overrides: str) -> dict:
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        composed = compose(name, [*overrides])
        return OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("name", NAMES)
def test_config_is_a_complete_call(name: str) -> None:
    config = settings(name)
    call = get_method(config.pop("_target_"))
    parameters = inspect.signature(call).parameters
    assert set(config) == set(parameters)
    assert all(parameter.default is inspect.Parameter.empty for parameter in parameters.values())
    assert config["name"] == name
    shipped = f"solvent/models/checkpoints/{name}"
    assert config["checkpoint"] == (HUB[name].checkpoint if name in HUB else shipped)
    assert (config["image_backend"], config["trust_remote_code"]) == ("pil", False)
    assert config["revision"] == COMMITS.get(name, config["revision"])
    assert re.fullmatch("main|[0-9a-f]{40}", config["revision"])


def test_a_model_file_pins_and_comments() -> None:
    """What a setting means is said in one place: hub.yaml."""
    pins = {"defaults", "name", "checkpoint", "revision"}
    own = {"min_pixels", "max_pixels", "chat_template"}  # of families that need them
    for name in HUB:
        file = FOLDER / f"{name}.yaml"
        written = OmegaConf.to_container(OmegaConf.load(file))
        assert pins <= set(written) <= pins | own, name
        assert written["defaults"] == ["hub", "_self_"]
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith((*own, "revision: main")):
                assert "  # " in line, name
    values = [line for line in (FOLDER / "hub.yaml").read_text("utf-8").splitlines() if ":" in line]
    explained = [line for line in values if not line.startswith(("#", "_target_"))]
    assert len(explained) == len(settings("hub", "checkpoint=a/b")) - 1
    assert all("  # " in line for line in explained)


@pytest.mark.parametrize(
    ("checkpoint", "name"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen3-VL-8B-Instruct"),
        ("/data/my models/run 3 (best)/", "run-3-best"),
        ("~/x/modèle.v2", "mod-le.v2"),
        ("./../..", ""),  # which `parse` refuses
        ("owner/..hidden", "hidden"),
    ],
)
def test_a_checkpoint_of_the_hub_is_named_by_its_last_part(checkpoint: str, name: str) -> None:
    assert last_part(checkpoint) == name
    assert settings("hub", f"checkpoint='{checkpoint}'")["name"] == name
    assert settings("hub", f"checkpoint='{checkpoint}'", "name=mine")["name"] == "mine"


def test_every_family_is_one_that_transformers_loads() -> None:
    families = {each.family for each in HUB.values()}
    assert families <= set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    certified = (ROOT / "docs/families.md").read_text("utf-8").partition("## Not possible")[0]
    assert all(f"| `{family}` |" in certified for family in families)
    assert len(HUB) >= 40
    assert len(families) >= 20


def test_every_model_has_one_published_template() -> None:
    named = [name for entry in load_published().values() for name in entry.models]
    assert sorted(named) == sorted(HUB)


def test_the_page_lists_all_models() -> None:
    page = (ROOT / "docs/models.md").read_text("utf-8")
    rows = "\n".join(table())
    assert rows in page, f"docs/models.md should have this table:\n{rows}"
