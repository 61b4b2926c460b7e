"""Three random checkpoints on disk, and each of them loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from solvent.models.vlm import VLM, load
from tests.random_models import FAMILIES, save_random_checkpoint

SETTINGS: dict[str, Any] = {
    "name": "random",
    "revision": "main",
    "dtype": "float32",
    "device": "cpu",
    "max_memory": None,
    "offload_folder": None,
    "quantization": "none",
    "attention": "sdpa",
    "image_backend": "pil",
    "min_pixels": None,
    "max_pixels": None,
    "image_settings": {},
    "chat_template": None,
    "thinking": 0,
    "feature_cache_mb": 0,
    "trust_remote_code": False,
}


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {family: save_random_checkpoint(family, folder / family) for family in FAMILIES}


@pytest.fixture(scope="session")
def loaded(checkpoints: dict[str, Path]) -> dict[str, VLM]:
    return {
        family: load(checkpoint=str(folder), **SETTINGS) for family, folder in checkpoints.items()
    }


@pytest.fixture(params=FAMILIES)
def vlm(request: pytest.FixtureRequest, loaded: dict[str, VLM]) -> VLM:
    return loaded[request.param]
