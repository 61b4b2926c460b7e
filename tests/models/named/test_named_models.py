"""Every family that a file of conf/model names loads by that file, from a tiny checkpoint of the
family, and so do families that no file names, by `model=hub`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from PIL import Image

from conformance.folders import TORCHVISION, UnwritableError, image_processor, write
from solvent.cells.loading import load_model
from solvent.cells.request import parse
from solvent.core.types import Prompt
from tests.models.named.shipped_models import on_the_hub

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # transformers' own
Composed = Callable[..., DictConfig]
FILES = {each.family: name for name, each in on_the_hub().items()}  # one of each family
WITHOUT_A_FILE = ("aria", "exaone4_5", "hunyuan_vl", "lighton_ocr", "video_llama_3")


def asked(composed: Composed, model: str, folder: Path) -> None:
    """Load it as a user would, and ask it once."""
    settings = parse(composed(f"model={model}", f"model.checkpoint={folder}")).model
    vlm = load_model(settings)
    picture = Image.new("RGB", (60, 40), "red")
    batch = vlm.encode([Prompt(uid="q", images=(picture,), text="Is it red?")])
    ((yes, no),) = vlm.rank(batch, [["yes", "no"]])
    assert yes.log_probability < 0 > no.log_probability
    assert batch.image_tokens[0] > 0
    assert vlm.provenance()["name"] == settings["name"]


@pytest.mark.parametrize("family", FILES)
def test_the_family_of_a_file_loads(composed: Composed, family: str, tmp_path: Path) -> None:
    try:
        image_processor(family)
    except UnwritableError as error:
        if TORCHVISION in str(error) and importlib.util.find_spec("torchvision") is None:
            pytest.skip(str(error))
        raise
    assert write(family, tmp_path) == "pil"
    asked(composed, FILES[family], tmp_path)


@pytest.mark.parametrize("family", WITHOUT_A_FILE)
def test_a_family_without_a_file_loads(composed: Composed, family: str, tmp_path: Path) -> None:
    assert family not in FILES
    folder = tmp_path / f"{family}-tiny"
    write(family, folder)
    asked(composed, "hub", folder)
