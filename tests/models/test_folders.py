"""Tiny checkpoints of any family, as plain transformers reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
)

from conformance.folders import UnwritableError, write
from conformance.vocabularies import VOCABULARIES

GRIDS = {  # tokens of a picture of 336 x 336 pixels that a checkpoint of usual size has
    "qwen2_5_vl": 144,
    "qwen3_vl": 100,
    "glm4v": 144,
    "gemma3": 256,
    "llava": 576,
}
QUESTION = [
    {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "Is it {red}?\n\u00e9"}],
    }
]


@pytest.mark.parametrize("family", GRIDS)
def test_a_folder_is_what_a_download_is(family: str, tmp_path: Path) -> None:
    write(family, tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).model_type == family
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    images = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    pixels = images(Image.new("RGB", (336, 336)), return_tensors="pt")
    with torch.no_grad():
        features = model.get_image_features(**pixels).pooler_output
    assert sum(part.shape[:-1].numel() for part in features) == GRIDS[family]
    settings = json.loads((tmp_path / "processor_config.json").read_text(encoding="utf-8"))
    name = settings["processor_class"].removesuffix("Processor").lower()
    assert name.replace("_", "") == family.replace("_", "")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5e6

    text = tokenizer.apply_chat_template(QUESTION, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "Is it {red}?\n\u00e9" in text
    assert tokenizer.decode(ids) == text
    written = VOCABULARIES[family]
    assert text.count(written.placeholder or written.image) == 1
    assert model.config.image_token_id == tokenizer.convert_tokens_to_ids(written.image)
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id


def test_weights_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write("llava", tmp_path / name)
    one, other = ((tmp_path / name / "model.safetensors") for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="is not known here"):
        write("git", tmp_path)
